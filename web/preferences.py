"""What a person chose for their own eyes and hands."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, cast, get_args

from config.settings import Console
from web.languages import LANGUAGES

Theme = Literal["auto", "light", "dark"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """`language` is a code of LANGUAGES, or None for what the browser asks for; `keys`: whether single keys act."""

    language: str | None
    theme: Theme
    blur: bool
    grey: bool
    keys: bool

    @classmethod
    def read(cls, kept: Mapping[str, Any], console: Console) -> Self:
        """From a moderator's settings; what is not among them, or makes no sense, is as the organisation has it."""
        language, theme = kept.get("language"), kept.get("theme")
        return cls(
            language=language if language in LANGUAGES else None,
            theme=cast(Theme, theme) if theme in get_args(Theme) else "auto",
            blur=bool(kept.get("blur", console.blur)),
            grey=bool(kept.get("grey", console.grey)),
            keys=bool(kept.get("keys", True)),
        )

    def kept(self) -> dict[str, Any]:
        """What to keep as the moderator's settings."""
        return asdict(self)
