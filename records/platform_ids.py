"""Ids that others give, the platform's of accounts and those of reviews: kept as they are, so they must come clean."""

from records.errors import UnfitId


def checked_account_id(text: str) -> str:
    """The text itself. Raises UnfitId when it is blank or has blanks at its ends: it would match no account."""
    return _checked("account id", text)


def checked_review_id(text: str) -> str:
    """The text itself. Raises UnfitId when it is blank or has blanks at its ends: blank ones would be one."""
    return _checked("review id", text)


def _checked(what: str, text: str) -> str:
    if not text or text != text.strip():
        raise UnfitId(f"The {what} {text!r} is blank or has blanks at its ends; give it without them.")
    return text
