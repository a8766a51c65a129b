"""The languages that pages speak, and which of them a visitor gets.

Texts are written in English, in templates as `{{ _("...") }}` and in code as `N_("...")` where they are named and
`language.text(...)` where they are shown; their translations are in locale/, compiled in memory when this is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

LOCALE = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is what settings keep, `tag` is HTML's `lang`, `name` is what the language calls itself."""

    code: str
    tag: str
    name: str
    locale: Locale
    texts: NullTranslations

    def text(self, text: str, /, **values: object) -> str:
        """An English text in this language, with its %(name)s filled in."""
        said = str(self.texts.ugettext(text))
        return said % values if values else said


def N_(text: str, /) -> str:  # noqa: N802
    """The text itself: marks it for the catalogue where it is not shown yet."""
    return text


def _language(code: str, name: str, texts: NullTranslations) -> Language:
    return Language(code, code.replace("_", "-"), name, Locale.parse(code), texts)


def _catalogue(code: str) -> Translations:
    with (LOCALE / code / "LC_MESSAGES" / "web.po").open("rb") as source:
        catalogue = read_po(source, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


ENGLISH = _language("en", "English", NullTranslations())
LANGUAGES: Mapping[str, Language] = {
    "en": ENGLISH,
    "zh_Hans": _language("zh_Hans", "简体中文", _catalogue("zh_Hans")),
}


def choose_language(chosen: str | None, accept_language: str) -> Language:
    """The language that was chosen, else the first of the Accept-Language header that there is, else English."""
    if chosen and chosen in LANGUAGES:
        return LANGUAGES[chosen]
    by_primary = {language.locale.language: language for language in LANGUAGES.values()}
    for wanted in _by_weight(accept_language):
        if language := by_primary.get(wanted.partition("-")[0]):
            return language
    return ENGLISH


def _by_weight(accept_language: str) -> list[str]:
    weighted = []
    for part in accept_language.lower().split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighted, key=lambda one: -one[0]) if weight > 0]
