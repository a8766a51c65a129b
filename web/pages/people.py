"""People, for administrators: who may log in, as what, and how they prove it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from records.errors import LoginTaken, OwnRights, UnfitLogin
from records.people import passwords
from records.people.moderators import Role
from records.people.web_sessions import Session
from web.languages import N_
from web.oidc import provider_name
from web.pages.account import ROLE_NAMES
from web.rendering import render
from web.security import DeskOf, desk_of, signed_in, visit_of

router = APIRouter(prefix="/people")
Administrator = Annotated[Session, Depends(signed_in("administrator"))]


def another(session: Administrator, moderator_id: str) -> str:
    """Whom to change: never oneself, since who finds an open browser must not get new proofs by it."""
    if moderator_id == session.moderator.id:
        raise OwnRights("Nobody changes their own rights or proofs here.")
    return moderator_id


Another = Annotated[str, Depends(another)]

DUTIES: Mapping[Role, str] = {
    "moderator": N_("works the queues"),
    "lead": N_("works the queues, decides where two differ, looks after the quality of review"),
    "curator": N_("changes the gallery"),
    "administrator": N_("changes people and settings"),
    "auditor": N_("reads the audit log, and sees no faces"),
}
DONE: Mapping[str, str] = {
    "added": N_("They may log in with the login service from now on."),
    "role": N_("The role is changed; it counts from their next page on."),
    "disabled": N_("They are logged out, and may not log in any more."),
    "enabled": N_("They may log in."),
    "second_factor": N_("The second factor is gone, and they are logged out everywhere."),
    "sessions": N_("They are logged out everywhere."),
}
TAKEN = N_("Somebody has this login already. Take another.")
UNFIT = N_("Login and name have 1 to 100 characters that print.")


@router.get("")
def people(request: Request, desk: DeskOf, _: Administrator) -> Response:
    return render(request, "people.html", people=desk.people.list(), roles=ROLE_NAMES)


@router.get("/add")
def form(request: Request, _: Administrator) -> Response:
    return _form(request)


@router.post("/add")
def add(
    request: Request,
    desk: DeskOf,
    session: Administrator,
    login: Annotated[str, Form(max_length=200)],
    name: Annotated[str, Form(max_length=200)],
    role: Annotated[Role, Form()],
    proof: Annotated[Literal["password", "provider"], Form()] = "password",
) -> Response:
    password = passwords.first_password() if proof == "password" else None
    try:
        added = desk.moderators.add(login, name, role, password, by=session.moderator.id)
    except (LoginTaken, UnfitLogin) as error:
        wrong = TAKEN if isinstance(error, LoginTaken) else UNFIT
        return _form(request, 422, login=login, name=name, role=role, proof=proof, wrong=wrong)
    if password is None:
        return RedirectResponse(f"/people/{added.id}?done=added", 303)
    return render(request, "people_password.html", person=added, password=password)


def _form(
    request: Request,
    status: int = 200,
    *,
    login: str = "",
    name: str = "",
    role: Role = "moderator",
    proof: str = "password",
    wrong: str = "",
) -> Response:
    typed = {"login": login, "name": name, "role": role, "proof": proof, "wrong": wrong}
    return render(request, "people_add.html", status, roles=ROLE_NAMES, duties=DUTIES, **_provider(request), **typed)


def _provider(request: Request) -> dict[str, str]:
    return {"provider": provider_name(desk_of(request).settings.web.oidc, visit_of(request).language)}


@router.get("/{moderator_id}")
def person(request: Request, desk: DeskOf, _: Administrator, moderator_id: str, done: str = "") -> Response:
    found = desk.people.get(moderator_id)
    return render(request, "person.html", person=found, roles=ROLE_NAMES, duties=DUTIES, note=DONE.get(done, ""))


@router.post("/{moderator_id}/role")
def change_role(desk: DeskOf, session: Administrator, moderator_id: Another, role: Annotated[Role, Form()]) -> Response:
    desk.moderators.set_role(moderator_id, role, by=session.moderator.id)
    return _done(moderator_id, "role")


@router.post("/{moderator_id}/disable")
def disable(desk: DeskOf, session: Administrator, moderator_id: Another) -> Response:
    desk.moderators.disable(moderator_id, by=session.moderator.id)
    return _done(moderator_id, "disabled")


@router.post("/{moderator_id}/enable")
def enable(desk: DeskOf, session: Administrator, moderator_id: Another) -> Response:
    """Also ends a lock-out."""
    desk.moderators.enable(moderator_id, by=session.moderator.id)
    return _done(moderator_id, "enabled")


@router.post("/{moderator_id}/password")
def new_password(request: Request, desk: DeskOf, session: Administrator, moderator_id: Another) -> Response:
    password = passwords.first_password()
    desk.moderators.set_password(moderator_id, password, by=session.moderator.id)
    return render(request, "people_password.html", person=desk.moderators.get(moderator_id), password=password)


@router.post("/{moderator_id}/second-factor")
def reset_second_factor(desk: DeskOf, session: Administrator, moderator_id: Another) -> Response:
    desk.moderators.reset_totp(moderator_id, by=session.moderator.id)
    return _done(moderator_id, "second_factor")


@router.post("/{moderator_id}/sessions")
def end_sessions(desk: DeskOf, session: Administrator, moderator_id: Another) -> Response:
    desk.moderators.end_sessions(moderator_id, by=session.moderator.id)
    return _done(moderator_id, "sessions")


def _done(moderator_id: str, what: str) -> Response:
    return RedirectResponse(f"/people/{moderator_id}?done={what}", 303)
