"""The statement of reasons of a confirmed case, as article 17 of Regulation (EU) 2022/2065 (DSA) asks for one.

There are two forms. `fields` go to the DSA Transparency Database: its names and coded values (API version 2, in force
since 1 July 2025, https://transparency.dsa.ec.europa.eu/page/api-documentation), and no account and no person in them,
since that database takes no personal data. `texts` are for the account's holder, in every language of ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.settings import Statement as Wording
from records.casework.case_decisions import DecisionMade
from records.casework.cases import Case
from records.people.moderators import Moderator
from web.console.statement_text import EXPLAINED, RULE, facts_of, text_for_holder, uploaded
from web.desk import Desk
from web.languages import ENGLISH, LANGUAGES

MEMBERS = (
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
    *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
)
UNIONS = {"EU": MEMBERS, "EEA": (*MEMBERS, "IS", "LI", "NO")}
VISIBILITY = {
    "content_removed": "DECISION_VISIBILITY_CONTENT_REMOVED",
    "content_disabled": "DECISION_VISIBILITY_CONTENT_DISABLED",
}
ACCOUNT = {
    "account_terminated": "DECISION_ACCOUNT_TERMINATED",
    "account_suspended": "DECISION_ACCOUNT_SUSPENDED",
}
"""The graver one first: the database takes one."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`fields`: for the Transparency Database; `texts`: for the account's holder, by language code."""

    decision: DecisionMade
    fields: Mapping[str, Any]
    texts: Mapping[str, str]


def statement_of(desk: Desk, case: Case) -> Statement | None:
    """The statement of a case whose impersonation is confirmed, from the decision on, even if that can still be taken
    back; None for any other case. Raises DatabaseAway."""
    made = desk.decisions.standing([case.id]).get(case.id) if case.state != "open" else None
    if made is None or not calls_for_statement(case, made):
        return None
    wording = desk.settings.console.statement
    texts = {code: text_for_holder(language, case, made, wording) for code, language in LANGUAGES.items()}
    return Statement(made, _fields(case, made, wording), texts)


def calls_for_statement(case: Case, standing: DecisionMade) -> bool:
    """Whether there is one, by the decision that stands on the case."""
    over = case.golden_id is not None and case.state == "closed"  # until then a copy looks like any other case
    return case.state != "open" and not over and standing.decision == "confirmed"


def may_read(stated: DecisionMade, moderator: Moderator) -> bool:
    """Whether they made the decision that the statement is on, or are a lead."""
    return moderator.role == "lead" or stated.decided_by == moderator.id


def _fields(case: Case, made: DecisionMade, wording: Wording) -> dict[str, Any]:
    impersonates = made.identity_id is not None
    keyword = "KEYWORD_IMPERSONATION_ACCOUNT_HIJACKING" if impersonates else "KEYWORD_INAUTHENTIC_ACCOUNTS"
    return {
        **_restrictions(wording),
        **_ground(wording),
        "content_type": ["CONTENT_TYPE_IMAGE"],
        "category": "STATEMENT_CATEGORY_SCAMS_AND_FRAUD",
        "category_specification": [keyword],
        "territorial_scope": _countries(wording.territorial_scope),
        "content_date": uploaded(case).date().isoformat(),
        "application_date": made.decided_at.date().isoformat(),
        "decision_facts": " ".join(map(ENGLISH.text, facts_of(case, made))),
        "source_type": "SOURCE_VOLUNTARY",
        "automated_detection": "Yes",
        "automated_decision": "AUTOMATED_DECISION_NOT_AUTOMATED",
        "puid": f"likeness-{made.id}",
    }


def _restrictions(wording: Wording) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if visibility := [code for name, code in VISIBILITY.items() if name in wording.restrictions]:
        fields["decision_visibility"] = visibility
    if account := [code for name, code in ACCOUNT.items() if name in wording.restrictions]:
        fields["decision_account"] = account[0]
    return fields


def _ground(wording: Wording) -> dict[str, Any]:
    clause, explained = wording.clause or ENGLISH.text(RULE), ENGLISH.text(EXPLAINED)
    fields = (
        {
            "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
            "incompatible_content_ground": clause,
            "incompatible_content_explanation": explained,
        }
        if wording.ground == "terms"
        else {
            "decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT",
            "illegal_content_legal_ground": clause,
            "illegal_content_explanation": explained,
        }
    )
    return fields | ({"decision_ground_reference_url": wording.clause_url} if wording.clause_url else {})


def _countries(scope: Sequence[str]) -> list[str]:
    return sorted({country for one in scope for country in UNIONS.get(one, (one,))})
