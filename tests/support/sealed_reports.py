"""A platform that seals its reports, as docs/messages.md tells it to."""

import json
from typing import Any

from joserfc import jwe
from joserfc.jwk import OKPKey


def sealed(report: dict[str, Any] | bytes, key: dict[str, Any], **header: str) -> bytes:
    """`report`, or any bytes, for the public `key` (JWK); `header` changes the header."""
    plain = report if isinstance(report, bytes) else json.dumps(report).encode()
    usual = {"alg": "ECDH-ES", "enc": "A256GCM", "typ": "likeness-report+jwe", "kid": key["kid"]}
    return jwe.encrypt_compact(usual | header, plain, OKPKey.import_key(key)).encode()
