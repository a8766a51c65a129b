"""What people agreed to can be shown later: a text that changes, in whichever language, has a new version."""

import hashlib
import json

from web.languages import LANGUAGES
from web.report.consent_texts import TEXTS, VERSION, agreed_text

KNOWN = {
    "2026-11": "558d96dbc58dfbd9b3f0a7159333982d4220f0be2b5f32c91693eb8b4f3a0d2e",
    "2026-11b": "81777ab0cc56aaabaef2777835a52223e165f26c35eb59af0222229638ad9b7b",
}
"""SHA-256 of the texts of each version, in all languages. A version that was in use stays here for good."""


def test_a_version_of_the_consent_texts_never_changes():
    texts = {code: {name: language.text(text) for name, text in TEXTS.items()} for code, language in LANGUAGES.items()}
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
    assert KNOWN[VERSION] == digest, "texts have changed: give them a new VERSION, and add it here"


def test_a_report_notes_the_version_and_the_language_that_was_read():
    assert agreed_text(LANGUAGES["zh_Hans"]) == f"{VERSION}.zh_Hans"
