"""What a page raises when it cannot go on; errors.py makes a page of it that says what to do next."""

from dataclasses import dataclass

from web.languages import N_


@dataclass(frozen=True, slots=True)
class Way:
    """Where to go next: a link's text, in English, and a path of ours."""

    text: str
    path: str


START = Way(N_("Go to the start page"), "/")


class Problem(Exception):
    """`reason` is for programs; `title` and `text` are English texts of the catalogue (marked with N_): what happened,
    and what to do next. `way` is a link that does it."""

    def __init__(self, status: int, reason: str, title: str, text: str, way: Way = START, *, retry: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.title = title
        self.text = text
        self.way = way
        self.retry = retry
        """After how many seconds to try again; 0 says nothing."""


class NotSignedIn(Exception):
    """Nobody is logged in. `place`: the path of the page to come back to; `sent`: whether a form was lost."""

    def __init__(self, place: str, *, sent: bool = False) -> None:
        super().__init__("nobody is logged in")
        self.place = place
        self.sent = sent


class Elsewhere(Exception):
    """What was asked for comes after, or before, another page of ours: the visitor is sent to its `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def forbidden() -> Problem:
    return Problem(
        403,
        "forbidden",
        N_("This page is not for your role"),
        N_("Ask an administrator if your work needs it. That you tried has been noted in the audit log."),
    )


def forged(place: str) -> Problem:
    """A form that does not come from one of our pages in this login."""
    return Problem(
        403,
        "wrong_token",
        N_("This form is out of date"),
        N_("It was opened in another login or on another site. Nothing was changed. Load the page again."),
        Way(N_("Load the page again"), place),
    )


def not_found() -> Problem:
    return Problem(
        404,
        "not_found",
        N_("There is nothing here"),
        N_("The address may be mistyped, or what it showed has been erased."),
    )


def draft_gone(begin: str) -> Problem:
    """The report that a browser wrote at is sent or erased. `begin`: the path where another one begins."""
    return Problem(
        410,
        "draft_gone",
        N_("Your report is not here any more"),
        N_(
            "What is not sent is erased after a while, to protect you. Have you sent it already? Then look at it with "
            "your case number and PIN."
        ),
        Way(N_("Begin again"), begin),
    )


def stale_form(status: int) -> Problem:
    """A form that is not as our pages send it."""
    title = N_("This form could not be read")
    text = N_("It may come from an older page. Nothing was changed. Go back, load the page again, and repeat it.")
    return Problem(status, "stale_form", title, text)
