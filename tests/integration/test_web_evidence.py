"""A lead releases the evidence of a report: one ZIP that anybody can read and check, and that names no more than policy
allows."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pypdfium2
import pytest

from detector.calibration import Calibration
from detector.impostor_tail import ImpostorTail
from likeness.evidence_check import EvidenceWrong, check_file
from records.audit import AuditFilter
from records.keys.sealing import SealingKeys
from records.keys.signing import read_jwks
from tests.support.console_site import MASTER, Visitor, entering, make_desk, running_site
from tests.support.protection import AVATAR, CONTACT, PHOTO, Protection
from tests.support.sealed_reports import sealed

PEOPLE = {"lena": "lead", "mona": "moderator", "carla": "curator"}
MEASURED = Calibration("opencv-zoo@1", "LFW, for tests", 1680, 9000, 0.0, ImpostorTail(0.3, 1e-3, 40.0, 0.0, 1e-7))


class Enrolling:
    """Of web.enrolling.Enrols what an evidence file asks for."""

    calibration = MEASURED


@pytest.fixture
def here(database):
    return Protection(database)


@pytest.fixture
def accounts():
    return "digests"


@pytest.fixture
def site(here, accounts):
    desk = make_desk(here.database, here.office.clock, Enrolling(), reports={"evidence_accounts": accounts})
    with running_site(desk) as address:
        yield address, entering(desk, address, PEOPLE)


def released(site, report_id, login="lena"):
    _, enter = site
    return enter(login).post(f"/reports/{report_id}/evidence", form_of="/account")


def files_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pages_of(pdf):
    """What the pages say, in one line each."""
    return [page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf)]


@pytest.fixture
def confirmed(here):
    """A report with a confirmed case, one that shows somebody else, and one that waits."""
    taken, identity_id = here.protect()
    here.case("aaaaaaaa-0000-5000-8000-000000000001", identity_id, decision="confirmed")
    here.case("aaaaaaaa-0000-5000-8000-000000000002", identity_id, decision="not_this_person")
    here.case("aaaaaaaa-0000-5000-8000-000000000003", identity_id)
    return taken


def test_a_lead_gets_a_file_that_stands_on_its_own_and_the_log_knows_it(here, site, confirmed, tmp_path):
    answer = released(site, confirmed.report_id)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert confirmed.number in answer.headers["Content-Disposition"]
    (entry,) = here.office.audit.find(AuditFilter(confirmed.report_id, action="evidence_released"))
    assert entry.details == {"sha256": hashlib.sha256(answer.data).hexdigest(), "cases": 1}

    path = tmp_path / "evidence.zip"
    path.write_bytes(answer.data)
    keys = read_jwks(keys_at(site))
    assert any(confirmed.number in line for line in check_file(path, keys).says)
    with pytest.raises(EvidenceWrong, match="none of the platform's"):
        check_file(path, [replace(keys[0], public=bytes(32))])

    files = files_of(answer.data)
    assert files["pictures/case-001-avatar.jpg"] == AVATAR
    assert files["pictures/case-001-reference.jpg"] == PHOTO
    told = json.loads(files["evidence.json"])
    (case,) = told["cases"]
    assert case["case_id"].endswith("1"), "nobody learns of strangers who merely look alike"
    assert [one["decision"] for one in case["decisions"]] == ["confirmed", "confirmed"]
    assert "account_sha256" in case["account"]
    texts = b"".join(content for name, content in files.items() if not name.endswith((".pdf", ".jpg")))
    pages = pages_of(files["evidence.pdf"]) + pages_of(files["evidence.zh-Hans.pdf"])
    assert "account-of" not in texts.decode() + "".join(pages)


def keys_at(site):
    address, _ = site
    answer = Visitor(address).get("/.well-known/likeness-signing-keys.json")
    assert answer.status == 200
    return answer.data.decode()


def test_beside_the_keys_that_sign_everybody_gets_the_one_that_platforms_seal_reports_for(site, database):
    first, second = ([key for key in json.loads(keys_at(site))["keys"] if key["use"] == "enc"] for _ in range(2))
    (key,) = first
    assert second == first, "one is made, not one for each visitor"
    assert "d" not in key
    assert SealingKeys(database, MASTER).open(sealed(b"a report", key)) == b"a report"


def test_it_says_in_words_what_was_found_who_decided_and_how_often_comparisons_are_wrong(site, confirmed):
    files = files_of(released(site, confirmed.report_id).data)
    english = " ".join(" ".join(pages_of(files["evidence.pdf"])).split())
    for said in (
        confirmed.number,
        "more like the reporter’s than look-alikes’ usually are",
        "second reviewer, who did not see the first decision: mia",
        "It shows the reporter, and the account is somebody else’s.",
        "about one in 3,000,000 comparisons of two different people is wrong",
        "9,000 photos of 1,680 people (LFW, for tests)",
    ):
        assert said in english, said
    chinese = "".join(pages_of(files["evidence.zh-Hans.pdf"]))
    assert confirmed.number in chinese and "第 1 例，共 1 例" in chinese


def test_neither_contact_nor_notes_nor_similarities_leave_the_house(site, confirmed):
    files = files_of(released(site, confirmed.report_id).data)
    texts = b"".join(content for name, content in files.items() if not name.endswith((".pdf", ".jpg")))
    said = texts.decode() + "".join(pages_of(files["evidence.pdf"]))
    for secret in (CONTACT, "Cabo", "0.71", "similarity", "dating.example"):
        assert secret not in said, secret


@pytest.mark.parametrize("accounts", ["ids"])
def test_accounts_are_named_where_the_settings_allow_it(site, confirmed, accounts):
    files = files_of(released(site, confirmed.report_id).data)
    assert "account-of-aaaaaaaa" in files["evidence.json"].decode()
    assert "account-of-aaaaaaaa" in "".join(pages_of(files["evidence.pdf"])).replace("\r\n", "")


def test_the_button_on_the_report_is_for_leads(site, confirmed):
    _, enter = site
    pages = {login: enter(login).get(f"/reports/{confirmed.report_id}").data.decode() for login in ("lena", "mona")}
    action = f'action="/reports/{confirmed.report_id}/evidence"'
    assert (action in pages["lena"], action in pages["mona"]) == (True, False)


def test_only_leads_release_it_and_only_where_something_is_confirmed(here, site, confirmed):
    assert [released(site, confirmed.report_id, login).status for login in ("mona", "carla")] == [403, 403]
    nothing = here.report()
    answer = released(site, nothing.report_id)
    assert answer.status == 409 and "nothing to release" in answer.data.decode()
    assert released(site, "rpt_none").status == 404
    assert here.office.audit.find(AuditFilter(action="evidence_released")) == []


def test_pictures_that_are_not_kept_any_more_are_said_to_be_gone(here, site, confirmed):
    here.office.clock.pass_by(here.office.cases._keep_pictures)
    answer = released(site, confirmed.report_id)
    files = files_of(answer.data)
    assert not [name for name in files if name.endswith("avatar.jpg")]
    assert "Not kept any more" in "".join(pages_of(files["evidence.pdf"]))
