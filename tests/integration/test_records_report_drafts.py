"""Drafts and limits of reports, in both kinds of database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from records.errors import TooManyReports
from records.keys.keyring import MasterKey
from records.references import PictureHash
from records.reports.contents import Details
from records.reports.drafts import Draft, ReportDrafts
from records.reports.limits import ReportLimits
from tests.support.clock import START

HOUR = timedelta(hours=1)


@pytest.fixture
def drafts(database, clock):
    return ReportDrafts(database, lasts=HOUR, clock=clock)


def with_hash(number):
    found = PictureHash(bytes([number] * 32), 90, 800, 600)
    return lambda draft: replace(draft, hashes=(*draft.hashes, found))


def test_a_draft_comes_back_as_it_was_kept(drafts):
    details = Details(contact="ana@example.org", links=("@a", "@b"), accounts=("c",), words="我的照片")
    draft = Draft("hashes", "adult", consent_text="1.en", consented_at=START, months=6, details=details, code="7K2MX")
    token = drafts.begin(with_hash(1)(draft))
    found = drafts.find(token)
    assert (found.details, found.consented_at, found.pin, found.code) == (details, START, draft.pin, "7K2MX")
    assert [one.pdq for one in found.hashes] == [bytes([1] * 32)]


def test_changes_at_once_come_one_after_another(drafts):
    token = drafts.begin(Draft("hashes", "adult"))
    with ThreadPoolExecutor(8) as browsers:
        list(browsers.map(lambda number: drafts.change(token, with_hash(number)), range(24)))
    assert {one.pdq[0] for one in drafts.find(token).hashes} == set(range(24))


def test_a_draft_is_gone_when_its_time_is_over_and_each_change_gives_it_more(drafts, clock):
    token, other = drafts.begin(Draft("photos", "adult")), drafts.begin(Draft("photos", "adult"))
    clock.pass_by(minutes=59)
    assert drafts.change(token, with_hash(1))
    clock.pass_by(minutes=2)
    assert drafts.find(other) is None and drafts.change(other, with_hash(1)) is None
    assert drafts.find(token) is not None
    assert (drafts.sweep(), drafts.sweep()) == (1, 0)


def test_a_draft_that_was_dropped_is_gone(drafts):
    token = drafts.begin(Draft("photos", "adult"))
    drafts.drop(token)
    assert drafts.find(token) is None and drafts.sweep() == 0


def test_many_at_once_are_held_back_as_exactly_as_one_after_another(database, clock):
    limits = ReportLimits(database, MasterKey.of(bytes(32)), per_address=5, per_device=100, clock=clock)

    def send(number):
        try:
            limits.allow("192.0.2.7", f"device {number}", f"report {number}")
        except TooManyReports as error:
            return error.until
        return None

    with ThreadPoolExecutor(8) as people:
        told = list(people.map(send, range(16)))
    assert told.count(None) == 5
    assert set(told) == {None, START + timedelta(days=1)}


def test_a_report_counts_once_however_often_it_is_sent(database, clock):
    limits = ReportLimits(database, MasterKey.of(bytes(32)), per_address=2, per_device=2, clock=clock)
    for key in ("a", "a", "b", "b", "a"):
        limits.allow("192.0.2.7", "device", key)
    with pytest.raises(TooManyReports):
        limits.check("192.0.2.7", "another")
    with pytest.raises(TooManyReports):
        limits.allow("192.0.2.8", "device", "c")
    limits.check("192.0.2.8", "another")
