"""What the pages need of whoever keeps the faces of avatars: they know no topics."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from detector.identity import Embedding
from records.reports.look_backs import Shown


class ShowsFaces(Protocol):
    """Safe to share among threads."""

    def who_shows(
        self, report_id: str, embeddings: Sequence[Embedding], pack: str, older_than: datetime
    ) -> Sequence[Shown] | None:
        """The accounts that showed a face as like one of these as one person's photos are, before that moment, aware;
        the oldest first, as far back as faces are kept. embeddings: of the report's photos, by the model pack `pack`.
        None while it is being looked for, from the first time on that it is asked for the report."""
        ...
