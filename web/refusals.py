"""What the records refuse, in a visitor's words: by the error's reason, what its page says."""

from collections.abc import Mapping
from dataclasses import dataclass

from web.languages import N_
from web.problems import START, Way

QUEUE = Way(N_("Go to the queue"), "/queue")
PEOPLE = Way(N_("Go to the people"), "/people")
GALLERY = Way(N_("Go to the gallery"), "/identities")
SEARCH = Way(N_("Search"), "/search")
REPORTS = Way(N_("Go to the reports"), "/reports")
REPORT = Way(N_("Back to your report"), "/report/status")


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
    "appeal_of_nothing": Refusal(
        409,
        N_("Nothing was decided on this case"),
        N_("It was closed because the person it was about has been erased. There is no decision to appeal against."),
    ),
    "nothing_confirmed": Refusal(
        409,
        N_("There is nothing to release yet"),
        N_("An evidence file holds confirmed cases only, and none of this report is confirmed."),
        Way(N_("Go to the reports"), "/reports"),
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
    "not_protecting": Refusal(
        409,
        N_("There is nothing to extend"),
        N_("Nothing is looked for at the moment. Your report says how it stands."),
        REPORT,
    ),
    "not_longer": Refusal(
        409,
        N_("You have agreed for longer already"),
        N_("Nothing was changed: what you agreed to lasts longer than that."),
        REPORT,
    ),
    "unfit_contact": Refusal(
        422,
        N_("This is no e-mail address"),
        N_("Nothing was changed. An e-mail address looks like name@example.com."),
        REPORT,
    ),
    "too_many_lines": Refusal(
        422,
        N_("That is too much"),
        N_("Nothing was changed. Write at most 20 lines in each field, and keep each below 500 letters."),
        REPORT,
    ),
    "message_empty": Refusal(
        422,
        N_("The message is empty"),
        N_("Nothing was sent. Write something first."),
        REPORT,
    ),
    "message_too_long": Refusal(
        422,
        N_("The message is too long"),
        N_("Nothing was sent. Shorten it to 4,000 letters, or send it in parts."),
        REPORT,
    ),
    "too_many_messages": Refusal(
        429,
        N_("Please wait for an answer"),
        N_("Nothing was sent: many of your messages wait to be read already. You find the answer here."),
        REPORT,
    ),
    "report_decided": Refusal(
        409,
        N_("Somebody has decided on this report"),
        N_("Nothing that you sent was saved. Look at what was decided, or take the next report."),
        REPORTS,
    ),
    "not_your_lane": Refusal(
        403,
        N_("This report is for others"),
        N_("Reports of minors are worked by specialists. Take one from your own list."),
        REPORTS,
    ),
    "refusal_reason_missing": Refusal(
        422,
        N_("A reason is missing"),
        N_("Nothing was decided. Go back and choose a reason from the list."),
        REPORTS,
    ),
    "no_proof": Refusal(
        409,
        N_("Nothing shows whose face it is"),
        N_("Nobody is protected without a challenge photo, unless the platform says how it made sure. Refuse it."),
        REPORTS,
    ),
    "nothing_to_protect": Refusal(
        409,
        N_("No photo is left"),
        N_("Nobody was protected: there is no photo that could be compared. Take one in again, or refuse the report."),
        REPORTS,
    ),
    "with_specialists": Refusal(
        409,
        N_("The specialists have this report"),
        N_("Nothing was changed: it was handed to them before, and its photos are erased. Take the next report."),
        REPORTS,
    ),
    "nothing_to_close": Refusal(
        409,
        N_("This report is approved or refused"),
        N_("Nothing was decided. Only reports of minors, which have no photos, are closed."),
        REPORTS,
    ),
    "unseen": Refusal(
        422,
        N_("Something was not looked at"),
        N_("Nobody was protected. Go back, and tick what you have looked at, once you have."),
        REPORTS,
    ),
    "unlike": Refusal(
        409,
        N_("A face is not like that of the challenge photo"),
        N_("Nobody was protected. Leave that photo out, or say that you are sure all the same, or refuse the report."),
        REPORTS,
    ),
    "report_erased": Refusal(
        410,
        N_("This part of the report is erased"),
        N_("Photos are erased once a report is decided, and everything once it is taken back."),
        REPORTS,
    ),
    "unknown_report": Refusal(
        404,
        N_("There is no such report"),
        N_("It may have been taken back. Choose one from the list."),
        REPORTS,
    ),
}
