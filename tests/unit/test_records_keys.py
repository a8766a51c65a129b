import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from records.errors import MasterKeyError, SealBroken
from records.keys import DataKey, load_master_key

MASTER = bytes(range(32))


def test_a_master_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "home" / "master.key"
    key = load_master_key(None, path, create=True)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_master_key(None, path, create=False) == key
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_starters_at_the_same_time_all_get_the_same_master_key(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_master_key(None, tmp_path / "master.key", create=True), range(64)))
    assert len(keys) == 1


def test_a_key_in_the_settings_wins_over_the_file(tmp_path):
    load_master_key(None, tmp_path / "master.key", create=True)
    assert load_master_key(base64.b64encode(MASTER).decode(), tmp_path / "master.key", create=False) == MASTER


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode(), "é" * 44])
def test_a_malformed_master_key_is_refused_with_what_to_do(text, tmp_path):
    with pytest.raises(MasterKeyError, match=r"32 bytes; `openssl rand"):
        load_master_key(text, tmp_path / "master.key", create=True)
    (tmp_path / "file.key").write_text(text, encoding="utf-8")
    with pytest.raises(MasterKeyError, match=r"file\.key"):
        load_master_key(None, tmp_path / "file.key", create=True)


def test_a_missing_master_key_is_named_when_none_may_be_made(tmp_path):
    with pytest.raises(MasterKeyError, match=r"no master key at .*master\.key"):
        load_master_key(None, tmp_path / "master.key", create=False)


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


@pytest.mark.parametrize(("identity_id", "master"), [("idn_a", b"\1" * 32), ("idn_b", MASTER)])
def test_a_data_key_unwraps_only_with_its_master_key_and_for_its_identity(identity_id, master):
    wrapped = DataKey.new("idn_a").wrap(MASTER)
    with pytest.raises(MasterKeyError, match="give the master key that this database was made with"):
        DataKey.unwrap(identity_id, wrapped, master)
