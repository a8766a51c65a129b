"""The second factor: codes of six digits that an app makes from a shared secret and the time (TOTP, RFC 6238)."""

import hmac
import re
from datetime import datetime

import pyotp

from records.errors import MasterKeyError, SealBroken
from records.keys.keyring import MasterKey

STEP_SECONDS = 30
SKEW_STEPS = 1
"""A code holds so many steps before and after its own: telephones' clocks differ."""
SECRET_CHARACTERS = 32
PURPOSE = "totp"


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32(SECRET_CHARACTERS)


def is_secret(text: str) -> bool:
    """Whether the text has the form of `new_secret`'s."""
    return re.fullmatch(f"[A-Z2-7]{{{SECRET_CHARACTERS}}}", text) is not None


def accepted_step(secret: str, code: str, now: datetime, last_step: int | None) -> int | None:
    """The step whose code this is, if it is near `now` and after `last_step`, the last one used; else None."""
    given = "".join(code.split()).encode(errors="replace")
    totp = pyotp.TOTP(secret)
    current = int(now.timestamp()) // STEP_SECONDS
    for step in range(current - SKEW_STEPS, current + SKEW_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            return step if last_step is None or step > last_step else None
    return None


def sealed(secret: str, moderator_id: str, master_key: MasterKey) -> bytes:
    """Bound to the moderator; needs no key of its own, since whose row is deleted is erased."""
    return master_key.seal(moderator_id, secret.encode(), PURPOSE)


def opened(kept: bytes, moderator_id: str, master_key: MasterKey) -> str:
    """Raises MasterKeyError."""
    try:
        return master_key.open(moderator_id, kept, PURPOSE).decode()
    except SealBroken:
        raise MasterKeyError(
            f"The master key does not open the second factor of moderator {moderator_id}; give the master key that "
            "this database was made with (settings: [keys])."
        ) from None
