"""Which cases show the same picture: each new one's fingerprint is compared with those of all pictures that are kept.

1. consumers/case_pictures.py takes the fingerprint where the pixels are  2. cases.py asks here whose group the case
joins, and seals the fingerprint beside the picture  3. campaigns.py makes one piece of work of a group.
"""

import threading
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from detector.identity import PICTURE_LIMIT
from records.casework.case_pictures import open_fingerprint
from records.casework.schema_cases import CaseFingerprintRow, CasePictureKeyRow, CasePictureRow, CaseRow
from records.keys.keyring import MasterKey

GROUPS_LOCK = 7_301_100_005
"""PostgreSQL's advisory lock, another than those of records/database.py: who opens a case with a picture sees all that
were opened before."""
WORDS = 4
NEAREST = 100


class PictureGroups:
    """The fingerprints in memory, 32 bytes a case; read at first use, and then only those that have come since. Safe to
    share among threads. Its methods may raise MasterKeyError and SealBroken."""

    def __init__(self, master_key: MasterKey) -> None:
        self._master_key = master_key
        self._lock = threading.Lock()
        self._cases: list[str] = []
        self._hashes: NDArray[np.uint64] = np.empty((WORDS, 1024), np.uint64)
        self._last = 0

    def catch_up(self, session: Session) -> None:
        """Reads the fingerprints that have come since the last time."""
        newer = (
            select(CaseFingerprintRow.number, CaseFingerprintRow.case_id, CaseFingerprintRow.sealed)
            .add_columns(CasePictureKeyRow.wrapped)
            .join(CasePictureKeyRow, CasePictureKeyRow.case_id == CaseFingerprintRow.case_id)
            .order_by(CaseFingerprintRow.number)
        )
        with self._lock:
            for row in session.execute(newer.where(CaseFingerprintRow.number > self._last)):
                self._add(row.case_id, open_fingerprint(row.case_id, row.wrapped, row.sealed, self._master_key))
                self._last = row.number

    def group_of(self, session: Session, case_id: str, turns: bytes, now: datetime) -> str:
        """The group of the nearest picture that is kept and within PICTURE_LIMIT; the case's own id when there is none.

        `session`: a write transaction; no other case with a picture is opened until it ends.
        """
        if session.get_bind().dialect.name == "postgresql":
            session.execute(select(func.pg_advisory_xact_lock(GROUPS_LOCK)))
        self.catch_up(session)
        near = self._nearest(turns)
        shown = (
            select(CaseRow.id, CaseRow.picture_group)
            .join(CasePictureRow, CasePictureRow.case_id == CaseRow.id)
            .where(CaseRow.id.in_(near), CasePictureRow.kept_until > now)
        )
        groups = {row.id: row.picture_group for row in session.execute(shown)} if near else {}
        return next((groups[one] for one in near if groups.get(one)), case_id)

    def forget_erased(self, session: Session) -> None:
        """Drops the fingerprints of pictures that were erased, here or by another process. `session`: a new one."""
        with self._lock:
            there = set(session.scalars(select(CaseFingerprintRow.case_id)))
            kept = [place for place, case_id in enumerate(self._cases) if case_id in there]
            if len(kept) < len(self._cases):
                self._hashes = self._hashes[:, kept]
                self._cases = [self._cases[place] for place in kept]

    def _add(self, case_id: str, fingerprint: bytes) -> None:
        if len(self._cases) == self._hashes.shape[1]:
            self._hashes = np.hstack([self._hashes, np.empty((WORDS, max(1024, len(self._cases))), np.uint64)])
        self._hashes[:, len(self._cases)] = np.frombuffer(fingerprint, np.uint64)
        self._cases.append(case_id)

    def _nearest(self, turns: bytes) -> list[str]:
        """Cases within the limit of any of the turns, 32 bytes each, nearest first."""
        with self._lock:
            kept = self._hashes[:, : len(self._cases)]
            distances: dict[int, int] = {}
            for turn in np.frombuffer(turns, np.uint64).reshape(-1, WORDS):
                # two of the four words rule out nearly all
                half = np.bitwise_count(kept[0] ^ turn[0]) + np.bitwise_count(kept[1] ^ turn[1])
                few = np.flatnonzero(half <= PICTURE_LIMIT)
                bits = np.bitwise_count(kept[:, few] ^ turn[:, None]).sum(axis=0)
                for place, distance in zip(few.tolist(), bits.tolist(), strict=True):
                    if distance <= PICTURE_LIMIT:
                        distances[place] = min(distance, distances.get(place, distance))
            return [self._cases[place] for place in sorted(distances, key=lambda one: (distances[one], one))[:NEAREST]]
