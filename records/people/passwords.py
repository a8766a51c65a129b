"""Passwords of moderators and PINs of reports: which are fit, and their hashes (argon2id, RFC 9106, the library's
defaults)."""

import secrets
import threading
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from records.errors import UnfitPassword

LEAST_CHARACTERS = 12
HASHER = PasswordHasher()
AT_ONCE = 4
"""So many hashes are made or checked at the same time in a process, whoever asks: each takes 64 MiB. Others wait, not
for long."""
_TURNS = threading.BoundedSemaphore(AT_ONCE)
CLEAR_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Those that nobody takes for another when they read them out."""


def check_fit(password: str, login: str) -> None:
    """Raises UnfitPassword. `login` as it is kept."""
    if len(password) < LEAST_CHARACTERS:
        raise UnfitPassword(f"The password is too short; take at least {LEAST_CHARACTERS} characters.")
    if canonical(password) == login:
        raise UnfitPassword("The password is the login; take another.")


def first_password() -> str:
    """A random one to hand over once, of some 99 bits: four groups of five letters."""
    return "-".join("".join(secrets.choice(CLEAR_LETTERS) for _ in range(5)) for _ in range(4))


def hashed(password: str) -> str:
    """The hash with its salt and parameters; takes some 50 ms and 64 MiB."""
    with _TURNS:
        return HASHER.hash(_bytes(password))


def matches(kept: str | None, password: str) -> bool:
    """Whether `kept` was made from the password; takes as long where there is none."""
    try:
        with _TURNS:
            return HASHER.verify(kept or _nobodys(), _bytes(password)) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def renewed(kept: str, password: str) -> str:
    """`kept`, or a new hash where it was made with other parameters than today's."""
    return hashed(password) if HASHER.check_needs_rehash(kept) else kept


def canonical(text: str) -> str:
    """As logins are compared: without blanks at the ends, case and compatibility forms of the same letters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


@cache
def _nobodys() -> str:
    """A hash with today's parameters, to spend the time on."""
    return HASHER.hash("nobody's")


def _bytes(password: str) -> bytes:
    """The same for every way in which a keyboard composes a letter."""
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
