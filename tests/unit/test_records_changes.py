import json

import numpy as np
import pytest

from detector.identity import Identity, Reference
from records.errors import ChangeUnreadable
from records.gallery_changes import read_change, write_change
from records.keys import DataKey

KEY = DataKey.new("idn_a")
VECTOR = np.array([0.6, 0.8, 0, 0], np.float32)
ADA = Identity(
    id="idn_a",
    name="Ada Lovelace",
    kind="victim",
    sequence=7,
    own_accounts=frozenset({"acc-1", "acc-2"}),
    references=(Reference("ref_1", {"opencv-zoo": VECTOR, "other": -VECTOR}), Reference("ref_2", {"other": VECTOR})),
)


def test_a_change_brings_the_whole_identity_over():
    read = read_change("idn_a", json.loads(write_change(ADA, KEY)), KEY)
    assert (read.id, read.name, read.kind, read.sequence) == ("idn_a", "Ada Lovelace", "victim", 7)
    assert read.own_accounts == ADA.own_accounts
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
