"""Keeps secrets out of what is printed, wherever the words came from."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from config import Settings
from likeness.commands.config import MASK, SECRET

SHORTEST = 4
"""Characters of a secret that is masked in texts: a shorter one would mask parts of words, and is no secret."""


def masked(text: str, settings: Settings) -> str:
    """`text` without any of the settings' secrets."""
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, MASK)
    return text


def _secrets(settings: Settings) -> Iterator[str]:
    yield from _wrapped(settings)
    yield from (str(value) for name, value in settings.kafka.extra.items() if SECRET.search(name))
    if settings.database.url is not None:
        try:
            url = make_url(settings.database_url)
        except (ArgumentError, ValueError):
            return
        yield from (str(url.password or ""), quote(str(url.password or ""), safe=""))
        yield from (str(value) for name, value in url.query.items() if SECRET.search(name))


def _wrapped(model: BaseModel) -> Iterator[str]:
    for _, value in model:
        values: Any = value
        if isinstance(values, SecretStr):
            yield values.get_secret_value()
        elif isinstance(values, BaseModel):
            yield from _wrapped(values)
