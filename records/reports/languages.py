"""The languages in which reporters are answered, and which of them a language tag asks for."""

from collections.abc import Mapping

CODES = ("en", "zh_Hans")
_BY_PRIMARY: Mapping[str, str] = {code.partition("_")[0]: code for code in CODES}


def language_code(tag: str) -> str:
    """Of a tag (BCP 47) such as `zh-CN` our code of its language, whatever the script; the tag itself where we do not
    speak the language: moderators see it, and the reporter is answered in English."""
    return _BY_PRIMARY.get(tag.partition("-")[0], tag)
