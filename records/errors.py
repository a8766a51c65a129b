"""What can go wrong with records. An error's text is one sentence for an operator."""

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
