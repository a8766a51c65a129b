"""Whatever changes something or shows a face leaves an entry in the audit log, or is named here with a reason.

Read from the code: what a route calls is followed through the classes that its arguments are declared as.
"""

import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType

import pytest

from records.database import open_database
from tests.support.console_site import make_desk
from web.app import make_app
from web.console.casework import may_decide
from web.pages.case_steps import decide, undo
from web.pages.pictures import avatar, avatar_marks

FACE = re.compile(r"face|photo|picture|avatar|image|portrait")
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
OURS = ("records", "web")
NOT_NOTED = {
    "/language": "a choice of who makes it, about nobody else",
    "/account/settings": "a choice of who makes it, about nobody else",
    "/account/second-factor": "makes a secret that is in force only once it is confirmed, which is noted",
    "/case/{case_id}/release": "what was seen and decided before is noted; who takes the case next is noted, too",
    "/case/{case_id}/renew": "a browser says every minute that somebody is still there",
    "/case/{case_id}/avatar.svg": "frames and points without a picture",
    "/case/{case_id}/reference/{reference_id}/photo.svg": "frames and points without a picture",
    "/identities/photos": "photos are judged, and rest in memory until they are added, which is noted, or dropped",
    "/identities/tray": "what is stored is stored by who judges the photos, and noted there",
    "/identities/tray/drop": "forgets what was never stored",
    "/campaign/{kind}/{campaign_id}/release": "as of one case",
    "/campaign/{kind}/{campaign_id}/renew": "as of one case",
    "/campaign/{kind}/{campaign_id}/preview": "tells what a decision would do, and does nothing",
    "/api/v1/cases/{case_id}/release": "as on the page",
    "/api/v1/cases/{case_id}/renew": "as on the page",
    "/audit/verify": "reads the log, and changes nothing",
    "/report/status/leave": "ends the reporter's own session",
    "/report": "begins a draft that only the reporter's browser can open; what is sent is noted when it is sent",
    "/report/consent": "as of the draft",
    "/report/photos": "as of the draft",
    "/report/photos/choose": "as of the draft",
    "/report/photos/remove": "as of the draft",
    "/report/photos/{photo_id}/{face}.jpg": "a photo of their own that they have just sent",
    "/report/codes": "as of the draft",
    "/report/details": "as of the draft",
    "/report/challenge": "as of the draft",
    "/report/words": "as of the draft",
    "/report/drop": "forgets what was never sent",
    "/report/noted": "forgets what was shown to the reporter",
}


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Path and function of each route that changes something, by its method, or shows a face, by its path."""
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('routes') / 'likeness.db'}")
    database.migrate()
    found = list(listed(make_app(make_desk(database)).routes))
    database.close()
    return [(path, endpoint) for path, methods, endpoint in found if methods & CHANGING or FACE.search(path)]


def listed(routes: list[object], prefix: str = "") -> Iterator[tuple[str, set[str], Callable[..., object]]]:
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if (methods := getattr(route, "methods", None)) and hasattr(route, "endpoint"):
            yield prefix + route.path, methods, inspect.unwrap(route.endpoint)
        elif inner is not None and hasattr(inner, "routes"):
            yield from listed(inner.routes, prefix + getattr(route, "path", ""))


def test_what_changes_something_or_shows_a_face_is_noted(routes):
    assert {"/case/{case_id}/decide", "/case/{case_id}/avatar.jpg", "/audit/export"} <= {path for path, _ in routes}
    assert sorted({path for path, endpoint in routes if not is_noted(endpoint)} - NOT_NOTED.keys()) == []


def test_no_exception_is_left_of_a_route_that_is_noted_or_gone(routes):
    assert sorted(NOT_NOTED.keys() - {path for path, endpoint in routes if not is_noted(endpoint)}) == []


def test_the_code_is_read_rightly():
    assert [is_noted(one) for one in (decide, undo, avatar)] == [True] * 3
    assert [is_noted(one) for one in (avatar_marks, may_decide)] == [False] * 2


def is_noted(function: object, within: type | None = None, seen: frozenset[object] = frozenset()) -> bool:
    """Whether the function, or one that it calls, adds an entry to the audit log. `within`: the class of its self."""
    if not isinstance(function, FunctionType) or not function.__module__.startswith(OURS) or function in seen:
        return False
    calls = calls_of(function)
    if any(re.search(r"audit\.append(_in)?$", call) for call in calls):
        return True
    called = (find(call.split("."), function, within) for call in calls)
    return any(is_noted(callee, owner, seen | {function}) for callee, owner in called)


@cache
def calls_of(function: FunctionType) -> tuple[str, ...]:
    """What the function calls, as its source has it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return tuple(ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def find(names: list[str], function: FunctionType, within: type | None) -> tuple[object, type | None]:
    """The function that is called so from within `function`, and the class whose method it is; None if unknown."""
    if len(names) == 1:
        return inspect.unwrap(function.__globals__.get(names[0])), None
    owner = within if names[0] == "self" else types_of(function).get(names[0])
    for name in names[1:-1]:
        owner = attributes_of(owner).get(name) if is_ours(owner) else None
    return (inspect.unwrap(getattr(owner, names[-1], None)), owner) if is_ours(owner) else (None, None)


def is_ours(owner: object) -> bool:
    return isinstance(owner, type) and owner.__module__.startswith(OURS)


def types_of(function: object) -> dict[str, object]:
    try:
        return typing.get_type_hints(function)
    except NameError:
        return {}


@cache
def attributes_of(owner: type) -> dict[str, object]:
    """Of each attribute its class: as declared, or as the argument that it is set from."""
    made = types_of(owner.__init__)
    kept = re.findall(r"self\.(\w+) = (\w+)$", inspect.getsource(owner), re.MULTILINE)
    return types_of(owner) | {name: made[argument] for name, argument in kept if argument in made}
