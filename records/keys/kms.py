"""Master keys that AWS KMS seals: the file of them is worth nothing to who may not ask that service.

A master key is asked for once a start, not a data key at each use: a gallery of 100,000 identities would need as many
calls, a new upload would wait for another service, and a data key can be erased here whatever that service keeps.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

from records.errors import MasterKeyError
from records.keys.sources import KEY_BYTES, FileOfKeys

CONTEXT = {"likeness": "master-key"}
"""Bound to each sealed key, and named in the service's own log."""
CONNECT_SECONDS, READ_SECONDS = 5, 10


class KmsFile(FileOfKeys):
    """`key_id`: id, ARN or alias of a symmetric key; `client`: see `kms_client`."""

    def __init__(self, path: Path, key_id: str, client: Any) -> None:
        super().__init__(path)
        self._key_id = key_id
        self._client = client

    def _new(self) -> str:
        made = self._ask("generate_data_key", NumberOfBytes=KEY_BYTES)
        return base64.b64encode(made["CiphertextBlob"]).decode()

    def _key(self, line: str) -> bytes:
        try:
            sealed = base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            raise MasterKeyError(f"{self.name} is not one that KMS sealed.") from None
        key: bytes = self._ask("decrypt", CiphertextBlob=sealed)["Plaintext"]
        return key

    def _ask(self, action: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, action)(KeyId=self._key_id, EncryptionContext=CONTEXT, **arguments)
        except ClientError as error:
            said = error.response["Error"]
            raise MasterKeyError(
                f"KMS refuses {action} with the key {self._key_id} for {self._path}: {said['Code']}. See that it is "
                "the key that sealed the file, that it is enabled, and that we may use it."
            ) from error
        except BotoCoreError as error:
            raise MasterKeyError(f"KMS cannot be asked for {action}: {error}") from error


def kms_client(region: str | None, endpoint: str | None) -> Any:
    """None takes what the environment says (AWS_REGION, ~/.aws). Raises MasterKeyError."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise MasterKeyError("keys.kms_key_id needs the extra: pip install 'likeness[kms]'.") from None
    waits = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    try:
        return boto3.Session().client("kms", region_name=region, endpoint_url=endpoint, config=waits)
    except (BotoCoreError, ValueError) as error:
        raise MasterKeyError(f"KMS cannot be asked: {error}") from error
