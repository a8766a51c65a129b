import pytest

from records.errors import MasterKeyError, SealBroken
from records.keys.keyring import DataKey, MasterKey

MASTER = MasterKey.of(bytes(range(32)))


def test_what_is_sealed_opens_for_its_identity_and_purpose_only():
    key = DataKey.new("idn_a")
    sealed = key.seal(b"face", "photo")
    again = DataKey.unwrap("idn_a", key.wrap(MASTER), MASTER)
    assert again.open(sealed, "photo") == b"face"
    with pytest.raises(SealBroken):
        again.open(sealed, "embedding")
    with pytest.raises(SealBroken):
        again.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "photo")
    with pytest.raises(SealBroken):
        again.open(b"short", "photo")
    with pytest.raises(SealBroken):
        DataKey.new("idn_a").open(sealed, "photo")


def test_the_same_bytes_never_look_alike_when_sealed_twice():
    key = DataKey.new("idn_a")
    assert key.seal(b"face", "photo") != key.seal(b"face", "photo")


@pytest.mark.parametrize(("identity_id", "master"), [("idn_a", MasterKey.of(b"\1" * 32)), ("idn_b", MASTER)])
def test_a_data_key_unwraps_only_with_its_master_key_and_for_its_identity(identity_id, master):
    wrapped = DataKey.new("idn_a").wrap(MASTER)
    with pytest.raises(MasterKeyError, match="give the master key that this database was made with"):
        DataKey.unwrap(identity_id, wrapped, master)


def test_an_older_master_key_unwraps_and_the_current_one_wraps():
    old, new = bytes(32), b"\1" * 32
    wrapped = DataKey.new("idn_a").wrap(MasterKey.of(old))
    ring = MasterKey.of(new, old)
    sealed = DataKey.unwrap("idn_a", wrapped, ring).seal(b"face", "photo")
    anew = DataKey.unwrap("idn_a", wrapped, ring).wrap(ring)
    assert DataKey.unwrap("idn_a", anew, MasterKey.of(new)).open(sealed, "photo") == b"face"
    assert [ring.opener("idn_a", one, "data-key") for one in (anew, wrapped)] == list(ring.ids)
    assert MASTER.opener("idn_a", anew, "data-key") is None


def test_an_id_tells_keys_apart_and_nothing_about_them():
    assert MasterKey.of(bytes(32), b"\1" * 32).ids == ("66687aad", "72cd6e84")


def test_what_is_derived_differs_by_purpose_and_key():
    derived = {MasterKey.of(key).derive(purpose) for key in (bytes(32), b"\1" * 32) for purpose in ("a", "b")}
    assert len(derived) == 4 and {len(one) for one in derived} == {32}
    assert MASTER.derive("a") == MASTER.derive("a")
