"""What a statement of reasons says in words, to the account's holder: a paragraph for each letter of article 17(3) of
Regulation (EU) 2022/2065. It names neither the protected person nor how alike the faces are."""

from collections.abc import Iterable
from datetime import datetime

from babel.dates import format_date

from config.settings import Statement as Wording
from records.casework.case_decisions import DecisionMade
from records.casework.cases import Case
from web.languages import N_, Language

RULE = N_("the rule against impersonation")
"""What is broken, where the settings name no clause."""
EXPLAINED = N_("An account must not pass for somebody else, or show a picture that was taken from somebody else.")
RESTRICTED = {
    "content_removed": N_("We have removed your profile picture."),
    "content_disabled": N_("We have hidden your profile picture from others."),
    "account_suspended": N_("We have suspended your account."),
    "account_terminated": N_("We have closed your account."),
}
FACTS = {
    "same_picture": N_("The profile picture is the same as a photo of another person."),
    "cropped_picture": N_("The profile picture is a part of a photo of another person."),
    "name_claim": N_("The profile picture shows another person, and the profile bears that person’s name."),
    "foreign_watermark": N_("The profile picture carries a mark which shows that it was taken from somebody else."),
}
SHOWS_ANOTHER = N_("The profile picture shows another person.")
DECIDED = N_("A person compared the pictures and decided that the account is not that person’s.")
DECIDED_BY_MARK = N_("A person looked at the picture and decided that it is not the account’s own.")


def text_for_holder(language: Language, case: Case, made: DecisionMade, wording: Wording) -> str:
    paragraphs = (
        [language.text(N_("Why we restricted your account or its picture"))],
        _about(language, case, made, wording),
        _restriction(language, made, wording),
        [
            *map(language.text, facts_of(case, made)),
            language.text(N_("Our own checks found this, not a notice by somebody else.")),
        ],
        [
            language.text(N_("A program compares new profile pictures and asks a person to look at some of them.")),
            language.text(N_("It found yours; it did not decide: a person did.")),
        ],
        _ground(language, wording),
        _redress(language, wording),
    )
    return "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"


def facts_of(case: Case, made: DecisionMade) -> tuple[str, str]:
    """What was found, and what a person made of it: texts of the catalogue."""
    about = (one for one in case.evidence.get("findings", ()) if one.get("identity_id") == made.identity_id)
    kind = next((str(one["kind"]) for one in about), case.kind)
    return FACTS.get(kind, SHOWS_ANOTHER), DECIDED if made.identity_id else DECIDED_BY_MARK


def uploaded(case: Case) -> datetime:
    return case.uploaded_at or case.screened_at


def _about(language: Language, case: Case, made: DecisionMade, wording: Wording) -> Iterable[str]:
    if wording.platform:
        yield language.text(N_("Platform: %(name)s"), name=wording.platform)
    yield language.text(N_("Account: %(id)s"), id=case.handle or case.account_id)
    yield language.text(N_("Picture uploaded: %(day)s"), day=_day(language, uploaded(case)))
    yield language.text(N_("Decided: %(day)s"), day=_day(language, made.decided_at))
    yield language.text(N_("Number of this decision: %(id)s"), id=made.id)


def _restriction(language: Language, made: DecisionMade, wording: Wording) -> Iterable[str]:
    yield from (language.text(RESTRICTED[one]) for one in wording.restrictions)
    places = ", ".join(_place(language, one) for one in wording.territorial_scope)
    holds = N_("This holds from %(day)s on, without an end date. Where: %(places)s.")
    yield language.text(holds, day=_day(language, made.decided_at), places=places)


def _ground(language: Language, wording: Wording) -> Iterable[str]:
    broken = N_("This breaks our terms: %(clause)s.") if wording.ground == "terms" else N_("It is illegal: %(clause)s.")
    yield language.text(broken, clause=wording.clause.rstrip(".") or language.text(RULE))
    yield language.text(EXPLAINED)
    if wording.clause_url:
        yield language.text(N_("You can read it here: %(address)s"), address=wording.clause_url)


def _redress(language: Language, wording: Wording) -> Iterable[str]:
    yield language.text(N_("If you think that this is wrong, you can object within six months, free of charge."))
    by_answer = N_("Answer this message to do so: a person who has not decided on it before looks at it.")
    yield wording.complaint or language.text(by_answer)
    if wording.dispute_body:
        body = N_("You can also turn to a certified body for out-of-court dispute settlement: %(body)s")
        yield language.text(body, body=wording.dispute_body)
    if wording.court:
        yield language.text(N_("You can also go to court: %(court)s"), court=wording.court)
    else:
        yield language.text(N_("You can also go to court."))


def _day(language: Language, moment: datetime) -> str:
    return str(format_date(moment, "long", locale=language.locale))


def _place(language: Language, code: str) -> str:
    if code == "EEA":
        return language.text(N_("European Economic Area"))
    return str(language.locale.territories[code])
