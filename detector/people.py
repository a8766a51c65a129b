"""What the index knows of its people, packed: a million identities as Python objects would take more memory than their
faces. Only who is found is unpacked.
"""

import marshal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detector.identity import Fingerprint, Identity, Reference


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """An identity without embeddings, and where its references are searched.

    face_rows, hash_rows: of each reference its row among the faces or among the hashes of photos that stayed with the
    person, None where it has none; template_row: of what its faces make together, where there are several.
    """

    identity: Identity
    face_rows: tuple[int | None, ...]
    hash_rows: tuple[int | None, ...]
    template_row: int | None

    @property
    def faces(self) -> list[int]:
        return [row for row in self.face_rows if row is not None]

    @property
    def hashes(self) -> list[int]:
        return [row for row in self.hash_rows if row is not None]

    @property
    def compared(self) -> list[int]:
        """The rows that a face is compared with."""
        return self.faces if self.template_row is None else [*self.faces, self.template_row]

    @property
    def missing(self) -> int:
        """References that have no row of any kind."""
        return self.face_rows.count(None) - len(self.hash_rows) + self.hash_rows.count(None)

    def reference_of(self, row: int, rows: Sequence[int | None]) -> str:
        return self.identity.references[rows.index(row)].id


class People:
    """Known people by id. Not safe for several threads by itself."""

    def __init__(self) -> None:
        # marshal is Python's most compact form that needs no code here; nothing of it ever leaves the process.
        self._packed: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def sequence(self, identity_id: str) -> int | None:
        """Of the state that is known."""
        packed = self._packed.get(identity_id)
        return None if packed is None else int(marshal.loads(packed)[0])  # noqa: S302  (packed here)

    def get(self, identity_id: str) -> Known | None:
        packed = self._packed.get(identity_id)
        return None if packed is None else _unpacked(identity_id, packed)

    def put(self, known: Known) -> None:
        self._packed[known.identity.id] = _packed(known)

    def pop(self, identity_id: str) -> Known | None:
        """What was known, which it is no more."""
        packed = self._packed.pop(identity_id, None)
        return None if packed is None else _unpacked(identity_id, packed)


def _packed(known: Known) -> bytes:
    one = known.identity
    references: Any = tuple((each.id, each.fingerprint and tuple(each.fingerprint)) for each in one.references)
    facts = (one.sequence, one.name, one.kind, tuple(one.own_accounts), references, tuple(one.negative_accounts))
    rows = (known.face_rows, known.hash_rows, known.template_row)
    # Version 2 seeks no objects that come twice, and takes half the time.
    return marshal.dumps((*facts, one.reach, one.quarantined, *rows), 2)


def _unpacked(identity_id: str, packed: bytes) -> Known:
    sequence, name, kind, own, parts, negative, reach, quarantined, *rows = marshal.loads(packed)  # noqa: S302  (as above)
    references = tuple(Reference(each, {}, None if mark is None else Fingerprint(*mark)) for each, mark in parts)
    accounts = frozenset(own), frozenset(negative)
    identity = Identity(identity_id, name, kind, sequence, accounts[0], references, accounts[1], reach, quarantined)
    return Known(identity, *rows)
