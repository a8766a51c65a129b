"""What an evidence file says in words, for people who know nothing of Likeness: a lawyer, the police, a court."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent

from detector.calibration import Calibration
from records.casework.cases import Case
from records.reports.evidence import EvidenceCase
from web.languages import N_, Language

AccountPolicy = Literal["ids", "digests", "none"]

FINDINGS = {
    "same_picture": N_("The avatar is the same picture as a photo that the reporter sent, perhaps edited."),
    "cropped_picture": N_("The avatar is a part of a photo that the reporter sent."),
    "same_person": N_("The face in the avatar is more like the reporter’s than look-alikes’ usually are."),
    "look_alike_risk": N_(
        "The face in the avatar is like the reporter’s; by the comparison alone, a look-alike’s may be."
    ),
    "name_claim": N_("The profile bears the name under which the reporter is protected, and the face is like theirs."),
}
DECISIONS = {
    "confirmed": N_("It shows the reporter, and the account is somebody else’s."),
    "not_this_person": N_("It shows somebody else."),
    "genuine_owner": N_("The account is the reporter’s own."),
    "bad_picture": N_("Nobody can tell who is shown."),
    "escalated": N_("Left to a lead."),
}
STAGES = {
    "first": N_("first reviewer"),
    "second": N_("second reviewer, who did not see the first decision"),
    "lead": N_("lead"),
    "appeal": N_("reviewer of an appeal"),
}
TRIGGERS = {
    "upload": N_("It was compared when it was uploaded."),
    "look_back": N_("It had been uploaded before the report, and was found when older avatars were searched."),
}
ABOUT = (
    N_("This file was made for the person who reported that others use their face, and for those who act for them."),
    N_(
        "It holds the cases in which a moderator confirmed that an account shows the reporter’s face and is somebody "
        "else’s. A program only asked moderators to look; people decided."
    ),
    N_("All times are in Coordinated Universal Time (UTC). Moderators are named by ids that the platform can resolve."),
)
HOW = (
    N_(
        "Photos of the reporter were made into numbers that describe the face (an embedding) and numbers that describe "
        "the picture (a fingerprint). Every avatar is described in the same way, and the two are compared."
    ),
    N_(
        "Fingerprints find the very same picture, also when it was cropped, mirrored or filtered. Faces are compared "
        "by the angle between their embeddings (cosine); only beyond a line does anybody look at them."
    ),
)
CHECK = (
    N_(
        "manifest.json names every file in the ZIP with its SHA-256, and signature.json is an Ed25519 signature of it. "
        "Any program that knows Ed25519 and SHA-256 can check both; “likeness evidence verify” does it in one step."
    ),
    N_(
        "audit.jsonl is an excerpt of the log of who did what. Each entry holds the hash of the one before it, so that "
        "none can be changed later without all that follow."
    ),
)


def account_of(case: Case, policy: AccountPolicy) -> dict[str, str]:
    """The account as the settings let it out, fit for JSON."""
    if policy == "none":
        return {}
    if policy == "digests":
        return {"account_sha256": hashlib.sha256(case.account_id.encode()).hexdigest()}
    profile = {"handle": case.handle, "display_name": case.display_name}
    return {"account_id": case.account_id} | {name: said for name, said in profile.items() if said}


def findings_of(one: EvidenceCase, identity_id: str | None) -> list[str]:
    """Texts of the catalogue, each once."""
    kinds = [finding["kind"] for finding in one.case.evidence.get("findings", []) if _about(finding, identity_id)]
    return [FINDINGS[kind] for kind in dict.fromkeys(kinds) if kind in FINDINGS]


def error_rates(language: Language, one: EvidenceCase, calibration: Calibration | None) -> Iterable[str]:
    """How often a comparison at the line of this case is wrong, in sentences."""
    pack, line = one.case.evidence.get("model_pack"), one.case.evidence.get("threshold")
    if calibration is None or calibration.pack != pack or line is None:
        yield language.text(N_("No error rates are known for the model that compared the faces."))
        return
    locale, fmr = language.locale, calibration.tail.fmr(line)
    one_in = format_decimal(round(1 / fmr, 1 - len(str(int(1 / fmr)))), locale=locale) if fmr > 0 else "∞"
    yield language.text(
        N_("At the line in force, about one in %(number)s comparisons of two different people is wrong."), number=one_in
    )
    if not calibration.tail.supports(fmr):
        yield language.text(N_("That is rarer than the measurement reaches, and was extrapolated from it."))
    if (found := calibration.detection_rate(line)) is not None:
        share = format_percent(found, locale=locale)
        yield language.text(
            N_("Of two photos of one person, %(share)s reach the line; the others are missed."), share=share
        )
    measured = N_("Measured on %(photos)s photos of %(people)s people (%(data)s) with the model %(pack)s.")
    yield language.text(
        measured,
        photos=format_decimal(calibration.photos, locale=locale),
        people=format_decimal(calibration.people, locale=locale),
        data=calibration.data,
        pack=pack,
    )
    yield language.text(
        N_(
            "An avatar is compared with every photo in the gallery, twins look alike, and error rates differ between "
            "groups of people: that is why a person compares the pictures, and why this is no proof by itself."
        )
    )


def moment(language: Language, at: datetime | None) -> str:
    if at is None:
        return language.text(N_("unknown"))
    return f"{format_datetime(at, 'medium', locale=language.locale)} UTC"


def _about(finding: dict[str, Any], identity_id: str | None) -> bool:
    return finding.get("identity_id") == identity_id
