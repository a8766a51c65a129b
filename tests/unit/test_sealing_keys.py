"""What is sealed for a deployment it alone opens, and whatever else lies on the topic is refused in one way."""

import base64
import json
import re
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from joserfc.jwk import OKPKey
from sqlalchemy import delete, select

from records.database import open_database
from records.errors import MasterKeyError, NotSealed
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.probe_keys import ProbeKeys
from records.keys.sealing import SealingKeyLost, SealingKeys
from records.reports.schema_reports import SealingKeyRow
from tests.support.clock import START, Clock
from tests.support.sealed_reports import sealed

DOCS = Path(__file__).parents[2] / "docs"
KEY = MasterKey.of(bytes(32))


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('records') / 'likeness.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def sealing(database):
    with database.write() as session:
        session.execute(delete(SealingKeyRow))
    return SealingKeys(database, KEY, clock=Clock())


def in_header(sealed_report, **facts):
    """The sealed report with another header, as a stranger writes it."""
    header, rest = sealed_report.split(b".", 1)
    told = json.loads(base64.urlsafe_b64decode(header + b"=="))
    return base64.urlsafe_b64encode(json.dumps(told | facts).encode()).rstrip(b"=") + b"." + rest


def test_what_is_sealed_for_the_public_key_opens_in_every_process_even_five_photos_long(database, sealing):
    key = sealing.public_key()
    report = bytes(range(256)) * 40_000
    assert SealingKeys(database, KEY).open(sealed(report, key)) == report
    assert sealing.public_key() == key == SealingKeys(database, KEY).public_key(), "one pair is made"
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}, "its private half is not among them"


def test_a_platform_seals_as_the_guide_says(sealing):
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "reports.md").read_text(), re.DOTALL)
    given = {"keys": [{"use": "sig", "kid": "sig_1"}, sealing.public_key()]}
    page = SimpleNamespace(get=lambda _, timeout: SimpleNamespace(json=lambda: given))
    names = {"requests": page, "json": json, "report": {"your_id": "ticket-1"}}
    exec(code, names)
    assert json.loads(sealing.open(names["value"])) == {"your_id": "ticket-1"}


def test_without_the_master_key_nothing_opens(database, sealing):
    report = sealed(b"a report", sealing.public_key())
    with pytest.raises(MasterKeyError):
        SealingKeys(database, MasterKey.of(b"\1" * 32)).open(report)
    with database.read() as session:
        wrapped = session.scalars(select(SealingKeyRow.wrapped)).one()
    assert KEY.opener(sealing.public_key()["kid"], wrapped, "data-key"), "the data key alone rests there, wrapped"


def test_who_has_lost_the_master_key_gives_out_a_key_that_opens_again(database, sealing):
    lost = sealing.public_key()
    after = SealingKeys(database, MasterKey.of(b"\1" * 32))
    assert after.public_key() != lost
    assert after.open(sealed(b"a report", after.public_key())) == b"a report"


def test_a_pair_of_a_destroyed_master_key_holds_nobody_up_unless_the_one_in_hand_may_be_the_wrong_one(tmp_path):
    """As in a copy of the database from before the last rotation, whose people have their newest keys."""
    new, old = (MasterKey.of(one * 32) for one in (b"\1", b"\2"))
    with closing(open_database(f"sqlite:///{tmp_path / 'likeness.db'}")) as database:
        database.migrate()
        report = sealed(b"a report", SealingKeys(database, old).public_key())
        with pytest.raises(MasterKeyError):
            SealingKeys(database, new).open(report)
        GalleryRecords(database, new).add_identity("LK-1", "victim")
        with pytest.raises(SealingKeyLost, match="no master key in hand opens"):
            SealingKeys(database, new).open(report)
        wrong = MasterKey.of(b"\3" * 32)
        SealingKeys(database, wrong).public_key()
        ProbeKeys(database, wrong, 1).make(START.date())
        with pytest.raises(MasterKeyError, match="give the master key that this database was made with"):
            SealingKeys(database, wrong).open(report)


def test_a_key_that_is_not_there_opens_nothing(database, sealing):
    report = sealed(b"a report", sealing.public_key())
    with database.write() as session:
        session.execute(delete(SealingKeyRow))
    with pytest.raises(NotSealed, match="a key that this deployment does not have"):
        SealingKeys(database, KEY).open(report)


def test_any_change_of_what_was_sealed_is_found(sealing):
    report = sealed(b"a report", sealing.public_key())
    for part in range(5):
        parts = report.split(b".")
        parts[part] = b"A" * max(4, len(parts[part]))
        with pytest.raises(NotSealed):
            sealing.open(b".".join(parts))


@pytest.mark.parametrize(
    "value", [None, b"", b"{}", b'{"your_id": "a"}', b"....", b"\xff\xfe", b"W10....", b"bnVsbA...."]
)
def test_what_is_not_sealed_is_refused(sealing, value):
    with pytest.raises(NotSealed):
        sealing.open(value)


@pytest.mark.parametrize(
    "facts",
    [
        {"typ": "JWT"},
        {"typ": ["likeness-report+jwe"]},
        {"kid": None},
        {"kid": {}},
        {"kid": "\0"},
        {"alg": "none"},
        {"alg": "dir"},
        {"alg": "RSA-OAEP"},
        {"alg": 3},
        {"enc": "A128GCM"},
        {"enc": []},
        {"zip": "DEF"},
        {"crit": ["exp"]},
        {"epk": None},
        {"epk": "x"},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": ""}},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43}},
        {"epk": {"kty": "oct", "k": "AAAA"}},
        {"epk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
        {"apu": 3},
    ],
)
def test_a_strangers_header_neither_opens_nor_breaks_anything_and_is_not_quoted(sealing, facts):
    report = sealed(b"a report", sealing.public_key())
    assert sealing.open(report)
    with pytest.raises(NotSealed) as refused:
        sealing.open(in_header(report, **facts))
    assert refused.value.__cause__ is None
    assert not any(
        str(fact) in str(refused.value) for fact in facts.values() if isinstance(fact, str) and len(fact) > 3
    )


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"zip": "DEF"}, {"alg": "ECDH-ES+A256KW"}, {"enc": "A128GCM"}])
def test_what_is_sealed_in_another_way_than_the_one_agreed_upon_is_refused(sealing, header):
    with pytest.raises(NotSealed):
        sealing.open(sealed(b"a report", sealing.public_key(), **header))


def test_another_platforms_key_under_our_name_does_not_open(sealing):
    stranger = OKPKey.generate_key("X25519").as_dict(private=False) | {"kid": sealing.public_key()["kid"]}
    with pytest.raises(NotSealed):
        sealing.open(sealed(b"a report", stranger))
