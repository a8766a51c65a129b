"""Texts given on the command line or as a folder's name: which can be kept."""

from likeness.errors import BadInput


def decoded(given: str, what: str) -> str:
    """`given`, which `what` names in the sentence. Raises BadInput for bytes that were no UTF-8: Python hands them on
    as lone surrogates (PEP 383), which no file and no database takes."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{what} is not text in UTF-8: {given!a}.") from None
    return given


def filled(given: str, what: str) -> str:
    """The same without blanks at its ends. Raises BadInput where nothing is left, too."""
    if not (text := decoded(given, what).strip()):
        raise BadInput(f"{what} cannot be blank.")
    return text
