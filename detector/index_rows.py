"""Which row of an index belongs to whom; rows that become free are used again, so that changes grow nothing."""

from collections.abc import Iterable


class Rows:
    """Rows from 0 on, each with the id of the identity that owns it, or None. Not safe for several threads."""

    def __init__(self) -> None:
        self.owners: list[str | None] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        """Rows that have an owner."""
        return len(self.owners) - len(self._free)

    def take(self, identity_id: str) -> int:
        if self._free:
            row = self._free.pop()
            self.owners[row] = identity_id
        else:
            row = len(self.owners)
            self.owners.append(identity_id)
        return row

    def free(self, rows: Iterable[int]) -> None:
        """Gives back rows that were taken."""
        for row in rows:
            self.owners[row] = None
            self._free.append(row)
