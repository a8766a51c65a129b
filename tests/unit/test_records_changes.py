import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from detector.identity import Fingerprint, Identity, Reference
from records.errors import ChangeUnreadable
from records.fingerprints import LAYOUT, VERSION, fingerprint_bytes
from records.gallery_changes import read_change, write_change
from records.keys.keyring import DataKey

KEY = DataKey.new("idn_a")
VECTOR = np.array([0.6, 0.8, 0, 0], np.float32)
PRINT = Fingerprint(bytes(range(32)), 87, bytes(range(32, 64)), 1280, 960, (10.5, -2.25, 100.1, 120.0))
ADA = Identity(
    id="idn_a",
    name="Ada Lovelace",
    kind="victim",
    sequence=7,
    own_accounts=frozenset({"acc-1", "acc-2"}),
    references=(
        Reference("ref_1", {"opencv-zoo": VECTOR, "other": -VECTOR}, PRINT),
        Reference("ref_2", {"other": VECTOR}),
    ),
    negative_accounts=frozenset({"acc-9"}),
    reach=5,
    quarantined=True,
)


def test_a_change_brings_the_whole_identity_over():
    read = read_change("idn_a", json.loads(write_change(ADA, KEY)), KEY)
    assert (read.id, read.name, read.kind, read.sequence) == ("idn_a", "Ada Lovelace", "victim", 7)
    assert read.own_accounts == ADA.own_accounts
    assert (read.negative_accounts, read.reach, read.quarantined) == ({"acc-9"}, 5, True)
    assert [reference.fingerprint for reference in read.references] == [PRINT, None]
    assert [reference.id for reference in read.references] == ["ref_1", "ref_2"]
    assert read.references[0].embeddings.keys() == {"opencv-zoo", "other"}
    np.testing.assert_array_equal(read.references[0].embeddings["opencv-zoo"], VECTOR)
    np.testing.assert_array_equal(read.references[0].embeddings["other"], -VECTOR)
    assert read.references[1].embeddings["other"].dtype == np.float32


def test_a_change_shows_nobody_without_the_key_more_than_its_identity_and_number():
    value = json.loads(write_change(ADA, KEY))
    assert value.keys() == {"identity_id", "sequence", "sealed"}
    assert "Ada" not in json.dumps(value)


def test_a_tombstone_and_an_erased_key_both_read_as_no_identity():
    assert read_change("idn_a", None, KEY) is None
    assert read_change("idn_a", json.loads(write_change(ADA, KEY)), None) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"sequence": 8},
        {"sequence": "7"},
        {"sequence": True},
        {"identity_id": "idn_b"},
        {"sealed": "%%%"},
        {"sealed": "AAAA"},
        {"sealed": None},
    ],
)
def test_a_change_that_was_tampered_with_is_unreadable(damage):
    with pytest.raises(ChangeUnreadable, match="idn_a"):
        read_change("idn_a", json.loads(write_change(ADA, KEY)) | damage, KEY)


def test_a_change_cannot_be_passed_off_as_another_identitys():
    with pytest.raises(ChangeUnreadable):
        read_change("idn_b", json.loads(write_change(ADA, KEY)) | {"identity_id": "idn_b"}, KEY)


def test_a_change_without_a_field_is_unreadable():
    with pytest.raises(ChangeUnreadable):
        read_change("idn_a", {"identity_id": "idn_a"}, KEY)


def sealed_bytes(plain):
    sealed = KEY.seal(plain, "gallery-change:7")
    return {"identity_id": "idn_a", "sequence": 7, "sealed": base64.b64encode(sealed).decode()}


def sealed_anew(document):
    """A change with this document inside, as releases before this one sealed it."""
    return sealed_bytes(json.dumps(document).encode())


def opened(value):
    """The line of JSON, and the numbers behind it."""
    line, _, numbers = KEY.open(base64.b64decode(value["sealed"]), "gallery-change:7").partition(b"\n")
    return json.loads(line), numbers


def as_before(identity):
    """What releases before this one sealed: all in one document."""
    return {
        "name": identity.name,
        "kind": identity.kind,
        "reach": identity.reach,
        "quarantined": identity.quarantined,
        "own_accounts": sorted(identity.own_accounts),
        "negative_accounts": sorted(identity.negative_accounts),
        "references": [
            {
                "reference_id": one.id,
                "embeddings": [
                    {"pack": pack, "dimension": len(vector), "vector": base64.b64encode(vector.tobytes()).decode()}
                    for pack, vector in sorted(one.embeddings.items())
                ],
                "fingerprint": one.fingerprint and base64.b64encode(fingerprint_bytes(one.fingerprint)).decode(),
            }
            for one in identity.references
        ],
    }


OLDER = sealed_anew(as_before(ADA))

OF_THE_FIRST_RELEASE = {
    "name": "Ada Lovelace",
    "kind": "victim",
    "own_accounts": ["acc-1"],
    "references": [
        {
            "reference_id": "ref_1",
            "embeddings": [{"pack": "p", "dimension": 4, "vector": base64.b64encode(VECTOR.tobytes()).decode()}],
        }
    ],
}


def test_a_change_written_by_the_first_release_is_read_with_the_defaults_for_what_it_does_not_say():
    read = read_change("idn_a", sealed_anew(OF_THE_FIRST_RELEASE), KEY)
    assert (read.name, read.own_accounts) == ("Ada Lovelace", {"acc-1"})
    assert (read.negative_accounts, read.reach, read.quarantined) == (frozenset(), 3, False)
    (reference,) = read.references
    np.testing.assert_array_equal(reference.embeddings["p"], VECTOR)
    assert reference.fingerprint is None


def test_a_change_written_by_the_release_before_reads_as_the_same_identity():
    now, before = (read_change("idn_a", value, KEY) for value in (json.loads(write_change(ADA, KEY)), OLDER))
    assert (now.name, now.kind, now.reach, now.quarantined) == (before.name, before.kind, before.reach, True)
    assert (now.own_accounts, now.negative_accounts) == (before.own_accounts, before.negative_accounts)
    for one, other in zip(now.references, before.references, strict=True):
        assert (one.id, one.fingerprint) == (other.id, other.fingerprint)
        assert one.embeddings.keys() == other.embeddings.keys()
        for pack, vector in one.embeddings.items():
            np.testing.assert_array_equal(vector, other.embeddings[pack])


def test_a_change_is_hardly_longer_than_the_numbers_that_it_carries():
    vectors = np.eye(128, dtype=np.float32)[:50]
    references = tuple(Reference(f"ref_{number}", {"p": vector}, PRINT) for number, vector in enumerate(vectors))
    value = json.loads(write_change(replace(ADA, references=references), KEY))
    assert len(value["sealed"]) < 1.6 * 50 * (512 + LAYOUT.size)


def cut(line, numbers):
    return line, numbers[:-1]


def more(line, numbers):
    return line, numbers + b"\0"


def references_set(**wrong):
    def change(line, numbers):
        return line | {"references": [one | wrong for one in line["references"]]}, numbers

    return change


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        more,
        references_set(embeddings={"opencv-zoo": "4"}),
        references_set(embeddings={"opencv-zoo": -4}),
        references_set(embeddings={"opencv-zoo": True}),
        references_set(embeddings=["opencv-zoo"]),
        references_set(embeddings=None),
        references_set(fingerprint=None),
        references_set(fingerprint="106"),
        references_set(reference_id=1),
        lambda line, numbers: (line | {"references": {}}, numbers),
        lambda line, numbers: (line | {"references": [1]}, numbers),
    ],
)
def test_a_change_whose_numbers_are_not_as_it_tells_is_unreadable(damage):
    line, numbers = damage(*opened(json.loads(write_change(ADA, KEY))))
    with pytest.raises(ChangeUnreadable, match="idn_a"):
        read_change("idn_a", sealed_bytes(json.dumps(line).encode() + b"\n" + numbers), KEY)


def test_a_number_that_is_not_finite_is_unreadable_in_the_new_form_too():
    line, numbers = opened(json.loads(write_change(ADA, KEY)))
    broken = np.array([np.nan], np.float32).tobytes() + numbers[4:]
    with pytest.raises(ChangeUnreadable, match="not finite"):
        read_change("idn_a", sealed_bytes(json.dumps(line).encode() + b"\n" + broken), KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reach": 0},
        {"reach": 6},
        {"reach": "3"},
        {"reach": None},
        {"kind": "villain"},
        {"kind": ["victim"]},
        {"name": None},
        {"name": ["Ada"]},
        {"own_accounts": "acc-1"},
        {"own_accounts": {"acc-1": 1}},
        {"own_accounts": [7]},
        {"own_accounts": [["acc-1"]]},
        {"negative_accounts": "acc-1"},
        {"negative_accounts": None},
        {"negative_accounts": [None]},
        {"quarantined": "false"},
        {"references": {}},
        {"references": [{"reference_id": "ref_1", "embeddings": {}}]},
        {"references": [{"reference_id": 1, "embeddings": []}]},
    ],
)
def test_a_change_with_an_impossible_field_is_unreadable(wrong):
    with pytest.raises(ChangeUnreadable, match="malformed"):
        read_change("idn_a", sealed_anew(OF_THE_FIRST_RELEASE | wrong), KEY)


@pytest.mark.parametrize("wrong", ["", "AAAA", "%%%", 7, base64.b64encode(b"\2" + bytes(106)).decode()])
def test_a_change_with_a_fingerprint_of_another_layout_is_unreadable(wrong):
    document = as_before(ADA)
    document["references"][0]["fingerprint"] = wrong
    with pytest.raises(ChangeUnreadable, match="malformed"):
        read_change("idn_a", sealed_anew(document), KEY)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_change_with_an_embedding_that_is_not_finite_is_unreadable(wrong):
    document = as_before(ADA)
    vector = np.array([wrong, 0.8, 0, 0], np.float32)
    document["references"][0]["embeddings"][0]["vector"] = base64.b64encode(vector.tobytes()).decode()
    with pytest.raises(ChangeUnreadable, match="not finite"):
        read_change("idn_a", sealed_anew(document), KEY)


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_change_that_is_nested_without_end_is_unreadable(depth):
    sealed = KEY.seal(b'{"name":' + b"[" * depth + b"]" * depth + b"}", "gallery-change:7")
    value = {"identity_id": "idn_a", "sequence": 7, "sealed": base64.b64encode(sealed).decode()}
    with pytest.raises(ChangeUnreadable, match="idn_a"):
        read_change("idn_a", value, KEY)


IMPOSSIBLE = [
    {"width": 0},
    {"height": 0},
    {"picture_quality": 101},
    {"face_box": (float("nan"), 0.0, 1.0, 1.0)},
    {"face_box": (0.0, float("-inf"), 1.0, 1.0)},
    {"face_box": (0.0, 0.0, float("inf"), 1.0)},
    {"face_box": (0.0, 0.0, 0.0, 1.0)},
    {"face_box": (0.0, 0.0, 1.0, -1.0)},
]


@pytest.mark.parametrize("wrong", IMPOSSIBLE)
def test_a_fingerprint_with_impossible_numbers_is_neither_kept_nor_read(wrong):
    odd = PRINT._replace(**wrong)
    with pytest.raises(ValueError, match="fingerprint is none"):
        fingerprint_bytes(odd)
    packed = LAYOUT.pack(VERSION, odd.picture, odd.picture_quality, odd.face, odd.width, odd.height, *odd.face_box)
    document = as_before(ADA)
    document["references"][0]["fingerprint"] = base64.b64encode(packed).decode()
    with pytest.raises(ChangeUnreadable, match="fingerprint is none"):
        read_change("idn_a", sealed_anew(document), KEY)
