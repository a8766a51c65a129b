"""The master key that the settings name."""

from pathlib import Path

from config.settings import Keys
from records.errors import MasterKeyError
from records.keys.keyring import MasterKey
from records.keys.sources import FileOfKeys, GivenKeys, KeySource, PlainFile, WithOlder, key_from


def open_master_key(keys: Keys, path: Path, *, create: bool) -> MasterKey:
    """The master key in the settings [keys], or else that of the file at `path`, which is made when `create` is true
    and there is none. Raises MasterKeyError."""
    return MasterKey(key_source(keys, path, create=create))


def key_source(keys: Keys, path: Path, *, create: bool) -> KeySource:
    """Where the master key of `open_master_key` rests. Raises MasterKeyError."""
    if keys.master_key is not None:
        return _given(keys.master_key.get_secret_value())
    file = _file(keys, path)
    if create:
        file.create()
    return file if keys.older_master_key_file is None else WithOlder(file, PlainFile(keys.older_master_key_file))


def _given(text: str) -> GivenKeys:
    name = "The master key in the settings"
    if not text.split():
        raise MasterKeyError(f"{name} is empty.")
    return GivenKeys([key_from(one, name) for one in text.split()], name)


def _file(keys: Keys, path: Path) -> FileOfKeys:
    if keys.kms_key_id is None:
        return PlainFile(path)
    from records.keys.kms import KmsFile, kms_client  # boto3 is an extra, and slow to import

    return KmsFile(path, keys.kms_key_id, kms_client(keys.kms_region, keys.kms_endpoint))
