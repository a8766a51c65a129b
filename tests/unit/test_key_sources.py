import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from config import load_settings
from records.errors import MasterKeyError
from records.keys.keyring import DataKey, MasterKey
from records.keys.open_master_key import open_master_key
from records.keys.sources import PlainFile

ZEROS = base64.b64encode(bytes(32)).decode()
ONES = base64.b64encode(b"\1" * 32).decode()


def opened(path, create=False, **keys):
    return open_master_key(load_settings(keys=keys).keys, path, create=create)


def test_a_master_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "home" / "master.key"
    key = opened(path, create=True)
    assert len(key.current) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert opened(path).ids == key.ids
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_starters_at_the_same_time_all_get_the_same_master_key(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: opened(tmp_path / "master.key", create=True).current, range(64)))
    assert len(keys) == 1


def test_a_key_in_the_settings_wins_over_the_file(tmp_path):
    path = tmp_path / "master.key"
    opened(path, create=True)
    assert opened(path, master_key=ONES).current == b"\1" * 32


def test_several_keys_are_the_current_one_and_those_before_it(tmp_path):
    path = tmp_path / "master.key"
    path.write_text(f"{ONES}\n{ZEROS}\n")
    assert opened(path).ids == opened(path, master_key=f"{ONES} {ZEROS}").ids == ("72cd6e84", "66687aad")


def test_a_deployment_that_moves_from_one_place_to_another_opens_what_it_left_there(tmp_path):
    (tmp_path / "old").write_text(ZEROS)
    (tmp_path / "new").write_text(ONES)
    assert opened(tmp_path / "new", older_master_key_file=str(tmp_path / "old")).ids == ("72cd6e84", "66687aad")


@pytest.mark.parametrize("text", ["not base64!", base64.b64encode(b"short").decode(), "é" * 44, f"{ZEROS} short"])
def test_a_malformed_master_key_is_refused_with_what_to_do(text, tmp_path):
    with pytest.raises(MasterKeyError, match=r"32 bytes; `openssl rand"):
        opened(tmp_path / "master.key", master_key=text)
    (tmp_path / "file.key").write_text(text, encoding="utf-8")
    with pytest.raises(MasterKeyError, match=r"file\.key"):
        opened(tmp_path / "file.key", create=True)


def test_a_missing_or_empty_master_key_is_named(tmp_path):
    with pytest.raises(MasterKeyError, match=r"no master key at .*master\.key"):
        opened(tmp_path / "master.key")
    (tmp_path / "master.key").touch()
    with pytest.raises(MasterKeyError, match="is empty"):
        opened(tmp_path / "master.key")
    with pytest.raises(MasterKeyError, match="is empty"):
        opened(tmp_path / "master.key", master_key="  ")


def test_a_running_process_takes_up_a_new_key_before_it_wraps_and_when_it_must_unwrap(tmp_path):
    path = tmp_path / "master.key"
    running, other = opened(path, create=True), opened(path)
    old = DataKey.new("idn_a").wrap(running)
    other.source.add(other.current)
    by_new = DataKey.new("idn_a").wrap(other)
    assert DataKey.unwrap("idn_a", by_new, running)
    assert running.ids == other.ids and len(running.ids) == 2
    other.source.add(other.current)
    assert running.opener("idn_a", DataKey.new("idn_a").wrap(running), "data-key") == other.ids[0]
    assert DataKey.unwrap("idn_a", old, running)
    other.source.drop_older()
    with pytest.raises(MasterKeyError):
        DataKey.unwrap("idn_a", old, opened(path))


def test_nothing_is_wrapped_by_a_key_that_may_be_none_any_more(tmp_path):
    path = tmp_path / "master.key"
    running = opened(path, create=True)
    wrapped = DataKey.new("idn_a").wrap(running)
    (tmp_path / "broken").write_text("broken")
    (tmp_path / "broken").rename(path)
    with pytest.raises(MasterKeyError):
        DataKey.new("idn_a").wrap(running)
    assert DataKey.unwrap("idn_a", wrapped, running), "what the keys in hand open stays readable"
    path.unlink()
    assert DataKey.new("idn_a").wrap(running), "a file that is taken away after the start is no change"


def test_of_many_who_rotate_at_once_one_makes_the_new_key(tmp_path):
    path = tmp_path / "master.key"
    first = opened(path, create=True).current
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: PlainFile(path).add(first), range(16)))
    assert len(PlainFile(path).read()) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_changed_is_named(tmp_path):
    path = tmp_path / ("k" * 250)  # beside it there is no room for a longer name, as of the new file
    path.write_text(ZEROS)
    key = opened(path)
    with pytest.raises(MasterKeyError, match="cannot be changed"):
        key.source.add(key.current)
    assert opened(path).ids == key.ids


def test_a_key_in_the_settings_is_left_to_the_operator(tmp_path):
    key = MasterKey(opened(tmp_path / "none", master_key=ZEROS).source)
    with pytest.raises(MasterKeyError, match="put a new key before it"):
        key.source.add(key.current)
    with pytest.raises(MasterKeyError, match="take the older keys out"):
        key.source.drop_older()
