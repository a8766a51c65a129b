"""The collections in Milvus and what is asked of them: rows bear ids, and vectors that only we can compare with.

One collection for the faces of each model pack, one for pictures, one for names, one for how far all of it is written.
A row's key is identity/sequence/number: a state never writes over another's rows, and what is older can be told.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import grpc
import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from config.settings import Milvus
from records.errors import DatabaseAway

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs what was asked for; errors are told by us
T = TypeVar("T")
AT_ONCE = 1000
"""Rows that are written, or looked for by their ids, in one request."""
NOT_LOADED = 101
"""Milvus's code for a collection that cannot be read before it is loaded."""
FIRST, FURTHER, MOST = 16, 16, 16_384
"""Rows asked for a probe at first; by what factor more, while all of them are near; Milvus gives no more."""


class MilvusAway(DatabaseAway):
    """Milvus does not answer, or not as it should; trying again may help."""

    reason = "milvus_away"


class Store:
    """The collections under one prefix and one turning key. Safe to share among threads, with one that writes."""

    def __init__(self, settings: Milvus, turning_id: str, *, later: bool = False) -> None:
        """`turning_id`: vectors turned by another key cannot be compared, so each key has collections of its own.
        `later`: Milvus is connected to when it is first asked, not now; so every method may raise MilvusAway. Raises
        MilvusAway otherwise."""
        self._settings = settings
        self._prefix = f"{settings.prefix}{turning_id}_"
        self.pictures, self.names, self._state = (f"{self._prefix}{one}" for one in ("pictures", "names", "state"))
        self._connected: MilvusClient | None = None
        self._connecting = threading.Lock()
        if not later:
            self._connect()

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()

    def faces(self, pack: str) -> str:
        """The name of the pack's collection."""
        return self.named_for(f"faces_{pack}")

    def collections(self, kind: str = "") -> list[str]:
        """Those under our prefix whose name goes on with `kind`."""
        names: list[str] = self._asked(lambda: self._client.list_collections(timeout=self._settings.seconds))
        return sorted(name for name in names if name.startswith(self._prefix + kind))

    def of_gallery(self) -> list[str]:
        """The collections that are there in which rows bear an identity."""
        return [*self.collections("faces_"), *self.collections("pictures"), *self.collections("names")]

    def named_for(self, kind: str, more: str = "") -> str:
        """The name of a collection of a kind, such as `faces_` and a pack."""
        plain = "".join(letter if letter.isalnum() else "_" for letter in kind)
        return f"{self._prefix}{plain}_{more}" if more else f"{self._prefix}{plain}"

    def prepare(self, collections: Mapping[str, int]) -> bool:
        """Makes those of the collections, by the dimension of their vectors, that are missing; whether any was. Raises
        MilvusAway."""
        there = set(self.collections())
        if self._state not in there:
            schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=1024)
            schema.add_field("document", DataType.JSON)
            self._create(self._state, schema, 0)
        missing = collections.keys() - there
        for name in missing:
            self.make(name, collections[name])
        return bool(missing)

    def make(self, name: str, dimension: int) -> None:
        """A collection of vectors, or of names where `dimension` is 0."""
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=128)
        schema.add_field("identity_id", DataType.VARCHAR, max_length=64)
        schema.add_field("beside", DataType.BOOL)
        if not dimension:
            schema.add_field("name", DataType.INT64)
        self._create(name, schema, dimension)

    def search(self, name: str, vectors: NDArray[np.float32], least: float) -> set[str]:
        """The owners of all rows whose inner product with any of (N, D) `vectors` is at least `least`.

        The nearest rows come first, so as long as the last of them is nearer than `least`, more are asked for.
        """
        found: set[str] = set()
        limit = FIRST
        while len(vectors):
            answers = self._search(name, vectors, limit)
            found |= {owner_of(row["id"]) for rows in answers for row in rows if row["distance"] >= least}
            full = [len(rows) == limit and rows[-1]["distance"] >= least for rows in answers]
            if limit >= MOST:
                break
            vectors, limit = vectors[full], min(limit * FURTHER, MOST)
        return found

    def named(self, names: Iterable[int]) -> set[str]:
        """The owners of names."""
        return {owner_of(row) for row in self._rows(self.names, "name", list(names), self._settings.consistency)}

    def rows_of(self, name: str, identity_ids: Sequence[str]) -> list[str]:
        """The keys of the identities' rows, all that are written by now."""
        return self._rows(name, "identity_id", list(identity_ids), "Strong")

    def put(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for part in _parts(rows):
            self._asked(partial(self._client.upsert, name, part, timeout=self._settings.seconds))

    def drop(self, name: str, rows: Sequence[str]) -> None:
        for part in _parts(rows):
            self._asked(partial(self._client.delete, name, ids=part, timeout=self._settings.seconds))

    def drop_collection(self, name: str) -> None:
        self._asked(lambda: self._client.drop_collection(name, timeout=self._settings.seconds))

    def count(self, name: str, which: str = "") -> int:
        """Rows that meet a condition."""
        (answer,) = self._asked(
            lambda: self._client.query(
                name,
                which,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=self._settings.seconds,
            ),
            name,
        )
        return int(answer["count(*)"])

    def compact(self, names: Iterable[str]) -> None:
        """Has Milvus write its files without the rows that were dropped; it goes on doing so afterwards."""
        for name in names:
            self._asked(partial(self._client.flush, name, timeout=self._settings.seconds))
            self._asked(partial(self._client.compact, name, timeout=self._settings.seconds))

    def state(self, key: str) -> dict[str, Any]:
        """What `tell` was told last; empty if nothing."""
        rows = self._asked(
            lambda: self._client.query(
                self._state,
                f"id == {json.dumps(key)}",
                output_fields=["document"],
                consistency_level="Strong",
                timeout=self._settings.seconds,
            ),
            self._state,
        )
        return dict(rows[0]["document"]) if rows else {}

    def tell(self, key: str, document: Mapping[str, Any]) -> None:
        row = {"id": key, "document": dict(document), "vector": [0.0, 0.0]}
        self._asked(lambda: self._client.upsert(self._state, [row], timeout=self._settings.seconds))

    def _create(self, name: str, schema: Any, dimension: int) -> None:
        """Milvus wants a vector in every collection; where `dimension` is 0 it means nothing."""
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension or 2)
        indexes = self._client.prepare_index_params()
        chosen = self._settings.index if dimension else "FLAT"
        indexes.add_index("vector", index_type=chosen, metric_type="IP", params=self._settings.build_params(chosen))
        for field in schema.fields:
            if field.name in ("identity_id", "name"):
                indexes.add_index(field.name, index_type="INVERTED")
        self._asked(
            lambda: self._client.create_collection(
                name,
                schema=schema,
                index_params=indexes,
                consistency_level=self._settings.consistency,
                timeout=self._settings.seconds,
            )
        )

    def _search(self, name: str, vectors: NDArray[np.float32], limit: int) -> list[Any]:
        params = self._settings.search_params(limit)
        return self._asked(
            lambda: list(
                self._client.search(
                    name,
                    data=list(vectors),
                    anns_field="vector",
                    limit=limit,
                    search_params={"metric_type": "IP", "params": params},
                    consistency_level=self._settings.consistency,
                    timeout=self._settings.seconds,
                )
            ),
            name,
        )

    def _rows(self, name: str, field: str, values: Sequence[str | int], consistency: str) -> list[str]:
        found: list[str] = []
        for part in _parts(values):
            query = partial(
                self._client.query,
                name,
                f"{field} in {json.dumps(part)}",
                output_fields=["id"],
                consistency_level=consistency,
                timeout=self._settings.seconds,
            )
            found += [row["id"] for row in self._asked(query, name)]
        return found

    @property
    def _client(self) -> MilvusClient:
        return self._connected or self._connect()

    def _connect(self) -> MilvusClient:
        settings = self._settings
        token = settings.token.get_secret_value() if settings.token else ""
        options = {"uri": settings.uri, "token": token, "timeout": settings.seconds}
        with self._connecting:
            self._connected = self._connected or self._asked(lambda: MilvusClient(**options))
            return self._connected

    def _asked(self, ask: Callable[[], T], name: str | None = None) -> T:
        """What `ask` gives. `name`: the collection that is read, which is loaded if it is not, as after a restart of
        Milvus Lite. Raises MilvusAway."""
        try:
            try:
                return ask()
            except MilvusException as error:
                if name is None or error.code != NOT_LOADED:
                    raise
                self._client.load_collection(name, timeout=self._settings.seconds)
                return ask()
        except (MilvusException, grpc.RpcError, OSError, ValueError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise MilvusAway(f"Milvus at {self._settings.uri} does not answer as it should: {said}") from error


def row_key(identity_id: str, sequence: int, number: int) -> str:
    return f"{identity_id}/{sequence}/{number}"


def owner_of(row: str) -> str:
    return row.partition("/")[0]


def sequence_of(row: str) -> int:
    return int(row.split("/")[1])


def _parts(values: Sequence[T]) -> Iterable[list[T]]:
    for start in range(0, len(values), AT_ONCE):
        yield list(values[start : start + AT_ONCE])
