"""What reporters agree to, word for word.

Who changes a text, in whichever language, changes VERSION with it: version and language stand on every report, so that
what somebody agreed to can be shown years later.
"""

from collections.abc import Mapping

from web.languages import N_, Language

VERSION = "2026-11b"

TEXTS: Mapping[str, str] = {
    "matching": N_(
        "I agree that my face is measured in the photos that I send (biometric data), to make sure that it is mine and "
        "to find it in profile pictures on this service that use it without my consent. For nothing else."
    ),
    "matching_hashes": N_(
        "I agree that the codes of my photos are compared with profile pictures on this service, only to find accounts "
        "that use these photos without my consent."
    ),
    "months": N_(
        "I agree that what I send is kept for this purpose for so long. After that it is erased, unless I extend it."
    ),
    "months_words": N_(
        "I agree that what I write is kept for so long at most. Once it has been dealt with, it is erased after 30 "
        "days."
    ),
    "contact": N_("I agree that you write to my e-mail address when there is news about my report."),
    "words": N_("I agree that you keep what I write here, to look into this and to answer me."),
    "minor": N_("I am under 18."),
    "guardian": N_("I am a parent of this child, or look after them."),
    "true": N_(
        "What I say is true: the photos show me, and the accounts that I call mine are mine. I know that reports with "
        "other people’s photos are refused."
    ),
    "true_words": N_("What I say is true, as far as I know."),
}
"""matching, matching_hashes: the use of photos, and of the codes of photos that stay with the person; words: of who is
under 18, or looks after a child; months, months_words: how long; contact: to be written to; minor, guardian, true: not
consents, but statements."""


def agreed_text(language: Language) -> str:
    """What a report notes of the texts that were agreed to: their version, and the language that they were read in."""
    return f"{VERSION}.{language.code}"
