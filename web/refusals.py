"""What the records refuse, in a visitor's words: by the error's reason, what its page says."""

from collections.abc import Mapping
from dataclasses import dataclass

from web.languages import N_
from web.problems import START, Way

QUEUE = Way(N_("Go to the queue"), "/queue")
PEOPLE = Way(N_("Go to the people"), "/people")
GALLERY = Way(N_("Go to the gallery"), "/identities")
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
    "nothing_free": Refusal(
        409,
        N_("Nothing of this campaign is free"),
        N_("Others work on its cases, or you have decided on them. What they leave comes back. Take the next case."),
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
    "appeal_empty": Refusal(
        422,
        N_("The appeal says nothing"),
        N_("Nothing was changed. Go back and write down what the account’s holder said."),
    ),
    "appeal_too_long": Refusal(
        422,
        N_("The appeal is too long"),
        N_("Nothing was changed. Go back and shorten it to 10,000 characters."),
    ),
    "appeal_too_early": Refusal(
        409,
        N_("This case is not final yet"),
        N_("A decision can be appealed once the platform has been told. Come back when the case is closed."),
    ),
    "appeal_open": Refusal(
        409,
        N_("An appeal on this case is open"),
        N_("Wait until it is decided. What else the holder says can be added as a comment on the case."),
    ),
    "appeal_again": Refusal(
        403,
        N_("A lead lets in a second appeal"),
        N_("This case was appealed before. Tell a lead what the holder says now."),
    ),
    "appeal_over": Refusal(
        409,
        N_("This case was appealed twice"),
        N_("That is as often as it goes here. Out-of-court bodies and courts are named in the statement of reasons."),
    ),
    "unknown_token": Refusal(
        404,
        N_("There is no such token"),
        N_("It may be revoked already. Look at the list of tokens."),
        Way(N_("Go to the tokens"), "/tokens"),
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
    "not_closed": Refusal(
        409,
        N_("This case is not closed"),
        N_("Only a closed case can test others. Decide on it first, and wait until that is final."),
    ),
    "picture_erased": Refusal(
        409,
        N_("This case’s picture is erased"),
        N_("Nobody could judge it any more. Choose a newer case to test others with."),
    ),
    "not_an_answer": Refusal(
        422,
        N_("That is no answer to a test"),
        N_("Nothing was changed. Go back and choose one of the decisions."),
    ),
    "unknown_case": Refusal(
        404,
        N_("There is no such case"),
        N_("It may have been erased. Search for it by account, identity or event."),
        SEARCH,
    ),
    "unknown_moderator": Refusal(
        404,
        N_("There is no such person"),
        N_("The address may be mistyped. Choose somebody from the list."),
        PEOPLE,
    ),
    "last_administrator": Refusal(
        409,
        N_("This is the last administrator"),
        N_("Nothing was changed: nobody would be left to change people. Make somebody else an administrator first."),
        PEOPLE,
    ),
    "own_rights": Refusal(
        409,
        N_("That is for another administrator"),
        N_("Nothing was changed: nobody changes their own role or closes their own login."),
        PEOPLE,
    ),
    "unknown_identity": Refusal(
        410,
        N_("This identity has been erased"),
        N_("Its owner took it back, so there is nothing left to compare with. Take the next case."),
    ),
    "duplicate_reference": Refusal(
        409,
        N_("This photo is in the gallery already"),
        N_("Somebody else has just added it. Nothing was changed. Look at the references, and send the others."),
        GALLERY,
    ),
    "unknown_reference": Refusal(
        410,
        N_("This reference has been erased"),
        N_("Its owner took it back. Go back and load the page again: the other evidence is still there."),
        START,
    ),
}
