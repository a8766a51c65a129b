"""What ROOST Coop is told of a case: the body of its documented `POST /api/v1/report`.

No embedding, no similarity, and of protected people the names of celebrities only: who else is protected is told to
those who open the case here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from config.settings import Coop
from detector.explanation import (
    explain_foreign_text,
    explain_look_alike,
    explain_name_claim,
    explain_same_person,
    explain_same_photo,
)
from detector.policy import CLEAR_MARGIN
from detector.verdict import ForeignText, NameClaim, RunnerUp, SamePhoto
from records.casework.coop_reports import CoopReport

SOMEBODY = "a protected person"
EARLIER = " The picture was uploaded before the person was protected."


def coop_body(report: CoopReport, coop: Coop, public_address: str | None) -> dict[str, Any]:
    """The report; `reportedItem.data` has the fields that docs/api.md asks of Coop's item type. `public_address`: where
    browsers find our pages. A case is always the same item, so a repeat is known by its id."""
    case = report.case
    findings = case.evidence.get("findings", [])
    explanation = " ".join(dict.fromkeys(_explanation(one, report) for one in findings))
    if case.trigger == "look_back":
        explanation += EARLIER
    data: dict[str, Any] = {
        "account_id": case.account_id,
        "event_id": case.event_id,
        "finding_kinds": list(dict.fromkeys(one["kind"] for one in findings)),
        "explanation": explanation,
        "priority": case.priority,
    }
    if report.picture_url:
        data["images"] = [report.picture_url]
    if public_address:
        data["case_url"] = f"{public_address}/case/{case.id}"
    reason = {"reason": explanation} | ({"policyId": coop.policy_id} if coop.policy_id else {})
    return {
        "reporter": {"kind": "user", "id": coop.reporter_id, "typeId": coop.reporter_type_id},
        "reportedAt": _moment(case.opened_at),
        "reportedForReason": reason,
        "reportedItem": {"id": case.id, "typeId": coop.item_type_id, "data": data},
    }


def _explanation(finding: Mapping[str, Any], report: CoopReport) -> str:
    """As screening explained it, which is not kept since it names people."""

    def name_of(identity_id: str | None) -> str:
        return report.celebrities.get(identity_id or "", SOMEBODY)

    name = name_of(finding.get("identity_id"))
    if photo := finding.get("same_photo"):
        return explain_same_photo(name, SamePhoto(**photo), cropped=finding["kind"] == "cropped_picture")
    if claim := finding.get("name_claim"):
        return explain_name_claim(name, NameClaim(**claim))
    if mark := finding.get("foreign_text"):
        return explain_foreign_text(ForeignText(**mark))
    if finding["kind"] != "look_alike_risk":
        return explain_same_person(name)
    rival = finding.get("runner_up")
    poor = finding["similarity"] >= report.case.evidence["sure_threshold"]
    if rival is None:
        return explain_look_alike(name, None, poor=poor, nearer=False)
    other = RunnerUp(rival["identity_id"], name_of(rival["identity_id"]), rival["similarity"])
    nearer = other.similarity - finding["similarity"] >= CLEAR_MARGIN
    return explain_look_alike(name, other, poor=poor, nearer=nearer)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
