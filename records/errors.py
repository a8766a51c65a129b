"""What can go wrong with records. An error's text is one sentence for an operator."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar


class RecordsError(Exception):
    """The root of the others. `reason` is the error's machine-readable name."""

    reason: ClassVar[str] = "records"


class DatabaseAway(RecordsError):
    """The database's URL is wrong, or nobody answers there, or the connection broke; trying again may help."""

    reason = "database_away"


class SchemaMismatch(RecordsError):
    """The database's tables are older or newer than this version of Likeness."""

    reason = "schema_mismatch"


class MasterKeyError(RecordsError):
    """The master key is missing, malformed, or not the one that the database was made with."""

    reason = "master_key"


class SealBroken(RecordsError):
    """Sealed bytes were made with another key, for another purpose, or were altered."""

    reason = "seal_broken"


class KeyCopyUnreadable(RecordsError):
    """A file is no copy of wrapped keys, or not a whole one."""

    reason = "key_copy_unreadable"


class ChangeUnreadable(RecordsError):
    """A gallery change is malformed, or was not sealed for its identity and sequence."""

    reason = "change_unreadable"


class UnknownIdentity(RecordsError):
    """No identity has this id, or it has been erased."""

    reason = "unknown_identity"


class AmbiguousName(RecordsError):
    """Several identities bear the name."""

    reason = "ambiguous_name"


class UnknownReference(RecordsError):
    """No reference has this id, or it has been removed."""

    reason = "unknown_reference"


class LastEmbedding(RecordsError):
    """References have no embedding but the one that is to be dropped."""

    reason = "last_embedding"


class ReviewOfAnother(RecordsError):
    """The review that a decision names is about another account."""

    reason = "review_of_another"


class UnfitId(RecordsError):
    """The id of an account or of a review is blank, or has blanks at its ends."""

    reason = "unfit_id"


class DuplicateReference(RecordsError):
    """The identity already has a reference made from the same file."""

    reason = "duplicate_reference"


class UnknownModerator(RecordsError):
    """No moderator has this id or login."""

    reason = "unknown_moderator"


class LoginTaken(RecordsError):
    """Another moderator has the login."""

    reason = "login_taken"


class NotAdmitted(RecordsError):
    """Somebody for whom the OpenID Connect provider vouches may not come in. `reason`: no_role, login_disabled,
    login_taken or unfit_login; `moderator_id`: who they are here, where that is known."""

    reason: str  # type: ignore[misc]  # here it differs from one error to the next

    def __init__(self, reason: str, text: str, moderator_id: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.moderator_id = moderator_id


class LastAdministrator(RecordsError):
    """Nobody would be left who may change people and settings."""

    reason = "last_administrator"


class OwnRights(RecordsError):
    """Somebody would change their own role, or disable themselves."""

    reason = "own_rights"


class UnfitLogin(RecordsError):
    """A login or a moderator's name is blank, too long, or has characters that do not print."""

    reason = "unfit_login"


class UnfitPassword(RecordsError):
    """A new password is too short, or is the login."""

    reason = "unfit_password"


class WrongLogin(RecordsError):
    """Login or password is wrong, or the moderator may not log in; which of these is not told."""

    reason = "wrong_login"


class LoginLocked(RecordsError):
    """Too many wrong passwords or codes: even the right ones are refused until `until`."""

    reason = "login_locked"

    def __init__(self, until: datetime) -> None:
        super().__init__(f"Too many wrong attempts; log in again after {until:%Y-%m-%d %H:%M:%S} UTC.")
        self.until = until


class WrongCode(RecordsError):
    """The code is not that of the second factor now, or has been used already."""

    reason = "wrong_code"


class UnknownCase(RecordsError):
    """No case has this id."""

    reason = "unknown_case"


class ClaimLost(RecordsError):
    """The case is not, or no longer, in the hands of who wants to work on it."""

    reason = "claim_lost"


class Refused(RecordsError):
    """What was asked for cannot be had, for one of several reasons, each with a code of its own."""

    reason: str  # type: ignore[misc]  # here it differs from one error to the next

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ClaimRefused(Refused):
    """The case cannot be had. `reason`: held_by_another, not_open, not_your_queue, decided_by_you, lead_only, or of a
    whole campaign nothing_free."""


class ReasonMissing(RecordsError):
    """A decision or a skip comes without a reason, or with one that is not on the list."""

    reason = "reason_missing"


class DecisionNotOffered(RecordsError):
    """The case's queue does not offer the decision, at this stage or to this role, or the case names another person."""

    reason = "decision_not_offered"


class AppealRefused(Refused):
    """An appeal cannot be taken in. `reason`: appeal_empty, appeal_too_long, appeal_too_early, appeal_open,
    appeal_again (only a lead lets in a second one), appeal_over (there were two) or appeal_of_nothing (an erasure
    closed the case without a decision)."""


class UnknownDecision(RecordsError):
    """No decision has this id."""

    reason = "unknown_decision"


class TooLate(RecordsError):
    """The decision can no longer be taken back, or not by this person."""

    reason = "too_late"


class GoldenRefused(Refused):
    """The case cannot be made one that tests others. `reason`: not_an_answer, not_closed or picture_erased."""


class UnknownToken(RecordsError):
    """No token of the API has this id, or it is revoked already."""

    reason = "unknown_token"


class UnfitToken(RecordsError):
    """A token's name is blank or does not print, or it is to have no scope or one that there is not."""

    reason = "unfit_token"


class WrongPin(RecordsError):
    """The case number or the PIN is wrong; which of these is not told."""

    reason = "wrong_pin"


class UnknownReport(RecordsError):
    """No report has this id."""

    reason = "unknown_report"


class UnknownErasure(RecordsError):
    """Nobody was erased by this case number or id."""

    reason = "unknown_erasure"


class ReportErased(RecordsError):
    """What the report held of a person has been erased."""

    reason = "report_erased"


class ReportUnfit(RecordsError):
    """A platform's report cannot be taken in. `problems`: where each is in its form, and what is wrong."""

    reason = "report_unfit"

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("The report cannot be taken in: " + "; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = tuple(problems)


class NotSealed(RecordsError):
    """A platform's report is not sealed for this deployment; the message says why and quotes nothing of it."""

    reason = "not_sealed"


class PhotosUnseen(RecordsError):
    """Photos of a report cannot be judged as this process is set up."""

    reason = "photos_unseen"


class ReportRefused(Refused):
    """What was asked of a report cannot be done. `reason`, of a moderator: report_decided, not_your_lane,
    refusal_reason_missing, with_specialists, no_proof, nothing_to_protect, nothing_to_close, unlike or unseen; of a
    reporter: not_protecting, no_consent, not_longer, unfit_contact or too_many_lines; of both: message_empty,
    message_too_long or too_many_messages."""


class TooManyReports(RecordsError):
    """So many reports came from one address or browser in a day that no more is taken `until` then."""

    reason = "too_many_reports"

    def __init__(self, until: datetime) -> None:
        super().__init__(f"No more reports are taken from there until {until.isoformat(timespec='minutes')}.")
        self.until = until
