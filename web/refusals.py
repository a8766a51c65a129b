"""What the records refuse, in a visitor's words: by the error's reason, what its page says."""

from collections.abc import Mapping
from dataclasses import dataclass

from web.languages import N_
from web.problems import START, Way

QUEUE = Way(N_("Go to the queue"), "/queue")
SEARCH = Way(N_("Search"), "/search")


@dataclass(frozen=True, slots=True)
class Refusal:
    """As in Problem."""

    status: int
    title: str
    text: str
    way: Way = QUEUE


REFUSALS: Mapping[str, Refusal] = {
    "claim_lost": Refusal(
        409,
        N_("This case is no longer yours"),
        N_("You were away for too long, or it is decided. What you sent last was not saved. Take the next case."),
    ),
    "held_by_another": Refusal(
        409,
        N_("Somebody else works on this case"),
        N_("It comes back to the queue if they leave it. Take another one."),
    ),
    "not_open": Refusal(
        409,
        N_("This case is decided"),
        N_("There is nothing left to do on it. Take the next case."),
    ),
    "not_your_queue": Refusal(
        403,
        N_("This case is in a queue that others work"),
        N_("Ask a lead if you should work it, too. Take a case from your own queues."),
    ),
    "decided_by_you": Refusal(
        409,
        N_("You have decided on this case"),
        N_("Now another pair of eyes is to look at it. Take the next case."),
    ),
    "lead_only": Refusal(
        403,
        N_("A lead decides on this case"),
        N_("It was escalated, or two reviewers disagreed. Take the next case."),
    ),
    "reason_missing": Refusal(
        422,
        N_("A reason is missing"),
        N_("Nothing was decided. Go back and choose a reason from the list."),
    ),
    "decision_not_offered": Refusal(
        422,
        N_("That decision is not offered here"),
        N_("Nothing was decided. Go back, load the page again, and choose from what it offers."),
    ),
    "unknown_decision": Refusal(
        404,
        N_("There is no such decision"),
        N_("It may have been erased with its case."),
    ),
    "too_late": Refusal(
        409,
        N_("It is too late to undo this"),
        N_("The decision has gone to the platform, or was somebody else's. Tell a lead if it is wrong."),
    ),
    "unknown_case": Refusal(
        404,
        N_("There is no such case"),
        N_("It may have been erased. Search for it by account, identity or event."),
        SEARCH,
    ),
    "unknown_identity": Refusal(
        410,
        N_("This identity has been erased"),
        N_("Its owner took it back, so there is nothing left to compare with. Take the next case."),
    ),
    "unknown_reference": Refusal(
        410,
        N_("This reference has been erased"),
        N_("Its owner took it back. Go back and load the page again: the other evidence is still there."),
        START,
    ),
}
