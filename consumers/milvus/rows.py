"""An identity's state as rows in Milvus: of each face and of their template, each picture, each key of the name."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from consumers.milvus.store import Store, owner_of, row_key, sequence_of
from consumers.milvus.turning import BITS, Turning
from detector.fingerprint import LEAST_QUALITY, hash_from
from detector.identity import Identity
from detector.names import keys_of
from detector.template import template

Row = dict[str, Any]
NO_MEANING = (0.0, 0.0)
"""The vector of a row that needs none."""


class GalleryRows:
    """For one writer at a time. `packs`: dimension by model pack."""

    def __init__(self, store: Store, turning: Turning, packs: Mapping[str, int]) -> None:
        self._store = store
        self._turning = turning
        self.packs = packs

    @property
    def collections(self) -> list[str]:
        return [*map(self._store.faces, self.packs), self._store.pictures, self._store.names]

    def prepare(self) -> bool:
        """Makes the collections that are missing; whether any was, and so all is to be written anew."""
        faces = {self._store.faces(pack): dimension for pack, dimension in self.packs.items()}
        return self._store.prepare(faces | {self._store.pictures: BITS, self._store.names: 0})

    def write(self, states: Mapping[str, Identity | int]) -> bool:
        """Bring identities, by id, to their states, of who is gone the sequence number of the removal; whether anybody
        was dropped. What Milvus has newer stays. Raises MilvusAway: then all of it may be written again."""
        dropped = False
        for name in self.collections:
            known: dict[str, list[str]] = defaultdict(list)
            for row in self._store.rows_of(name, list(states)):
                known[owner_of(row)].append(row)
            put, drop = [], []
            for identity_id, state in states.items():
                sequence = state if isinstance(state, int) else state.sequence
                rows = known[identity_id]
                if any(sequence_of(row) > sequence for row in rows):
                    continue
                put += [] if isinstance(state, int) else self._rows(name, state)
                drop += [row for row in rows if isinstance(state, int) or sequence_of(row) < sequence]
            # New rows first: nobody is unprotected in between.
            self._store.put(name, put)
            self._store.drop(name, drop)
            dropped |= bool(drop)
        return dropped

    def _rows(self, name: str, identity: Identity) -> list[Row]:
        if name == self._store.names:
            made = self._names(identity)
        elif name == self._store.pictures:
            made = self._pictures(identity)
        else:
            made = self._faces(identity, next(pack for pack in self.packs if self._store.faces(pack) == name))
        return [
            {"id": row_key(identity.id, identity.sequence, number), "identity_id": identity.id, **row}
            for number, row in enumerate(made)
        ]

    def _faces(self, identity: Identity, pack: str) -> Iterable[Row]:
        """beside: whether it is the template."""
        embeddings = [one.embeddings[pack] for one in identity.references if pack in one.embeddings]
        if not embeddings:
            return []
        vectors = np.stack(embeddings)
        if len(vectors) > 1:
            vectors = np.vstack([vectors, template(vectors)[None]])
        turned = self._turning.vectors(vectors)
        return [{"vector": vector, "beside": number >= len(embeddings)} for number, vector in enumerate(turned)]

    def _pictures(self, identity: Identity) -> Iterable[Row]:
        """beside: whether the photo stayed with the person."""
        known = [one for one in identity.references if one.fingerprint is not None]
        usable = [one for one in known if one.fingerprint and one.fingerprint.picture_quality >= LEAST_QUALITY]
        if not usable:
            return []
        hashes = np.stack([hash_from(one.fingerprint.picture) for one in usable if one.fingerprint])
        turned = self._turning.pictures(hashes)
        return [{"vector": vector, "beside": one.hash_only} for one, vector in zip(usable, turned, strict=True)]

    def _names(self, identity: Identity) -> Iterable[Row]:
        """beside: whether it is the identity's first."""
        names = self._turning.names(keys_of(identity.name) or [""])
        return [{"vector": NO_MEANING, "name": name, "beside": not number} for number, name in enumerate(names)]
