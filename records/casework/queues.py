"""The queues that cases wait in: which one takes a case, who may work it, and what may be decided there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CaseDecision = Literal["confirmed", "not_this_person", "genuine_owner", "bad_picture", "escalated"]
"""The account shows the identity and is not its owner's; it shows somebody else; it is the owner's; nobody can tell;
a lead shall decide."""

CaseStage = Literal["first", "second", "lead", "appeal"]
"""Whose turn it is: the first reviewer's, the second's (four eyes), a lead's, or that of who judges an appeal."""


@dataclass(frozen=True, slots=True)
class QueueRule:
    """Cases that the same people work on.

    kinds, identity_kinds: of the leading finding; empty takes any. held: whether it takes the cases of identities in
    quarantine, or the others. roles: who works it. four_eyes: a second person must agree. target_minutes: how old a
    case may become before it is late.
    """

    name: str
    kinds: Sequence[str]
    identity_kinds: Sequence[str]
    held: bool
    roles: Sequence[str]
    decisions: Sequence[str]
    four_eyes: bool
    target_minutes: int


def route(queues: Sequence[QueueRule], kind: str, identity_kind: str | None, held: bool) -> str:
    """The name of the first queue that takes such a case; of the last one when none does, so that no case is lost."""
    for rule in queues:
        of_kind = not rule.kinds or kind in rule.kinds
        of_identity_kind = not rule.identity_kinds or identity_kind in rule.identity_kinds
        if rule.held == held and of_kind and of_identity_kind:
            return rule.name
    return queues[-1].name


def stages_of(rule: QueueRule, role: str) -> tuple[CaseStage, ...]:
    """The stages at which the role works the queue's cases. What was escalated is a lead's, whoever works the queue;
    appeals are for leads, too."""
    stages: tuple[CaseStage, ...] = ("first", "second") if role in rule.roles else ()
    if role == "lead":
        return (*stages, "lead", "appeal")
    return (*stages, "appeal") if stages else ()


def offered_decisions(rule: QueueRule, stage: CaseStage) -> tuple[str, ...]:
    """What can be decided at the stage: nobody is above a lead, so a lead cannot escalate."""
    return tuple(decision for decision in rule.decisions if (decision, stage) != ("escalated", "lead"))
