"""A gallery of many people for benchmarks/start.py: straight into the tables and onto the topic, by two processes.

What is published is what a relay would publish; only the outbox is left out.
"""

import gc
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from sqlalchemy import insert, update

from config import Settings
from consumers.kafka import make_admin, make_producer
from consumers.messages import CONTENT_TYPE, GalleryChanged, write_event
from consumers.topics import ensure_topics
from detector.identity import Fingerprint, Identity, Reference
from records.database import open_database
from records.gallery_changes import write_change
from records.keys.keyring import DataKey
from records.keys.open_master_key import open_master_key
from records.schema import GalleryStateRow, IdentityKeyRow, IdentityRow

PACK, DIMENSION = "opencv-zoo@1", 128
TOGETHER = 10_000
"""Identities that are made at once."""
GIVEN = ("Amara", "Bogdan", "Chiara", "Dawit", "Elif", "Farid", "Greta", "Hiroshi", "Ines", "Jamal", "Kemi", "Lars")
FAMILY = ("Almeida", "Baker", "Chen", "Diallo", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova", "Jansen", "Kaya")
Row = tuple[str, str, int, bytes]
"""Identity id, name, sequence, wrapped data key."""


def enrol(settings: Settings, identities: int, each: int) -> None:
    """Puts as many people, with as many references each, into the empty gallery of `settings`."""
    with closing(make_admin(settings.kafka)) as admin:
        ensure_topics(admin, settings.topics, settings.kafka)
    open_master_key(settings.keys, settings.master_key_file, create=True)
    now = datetime.now(UTC)
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as makers:
            starts = range(1, identities + 1, TOGETHER)
            ranges = [range(start, min(start + TOGETHER, identities + 1)) for start in starts]
            for rows in makers.map(partial(_publish, settings, each), ranges):
                with database.write() as session:
                    session.execute(insert(IdentityRow), [_person(row, now) for row in rows])
                    keys = [{"identity_id": row[0], "wrapped": row[3], "created_at": now} for row in rows]
                    session.execute(insert(IdentityKeyRow), keys)
        with database.write() as session:
            session.execute(update(GalleryStateRow).values(last_sequence=identities))


def _person(row: Row, now: datetime) -> dict[str, Any]:
    identity_id, name, sequence, _ = row
    person = {"id": identity_id, "name": name, "kind": "victim", "status": "active", "sequence": sequence}
    return person | {"created_at": now, "updated_at": now}


def _publish(settings: Settings, each: int, sequences: Sequence[int]) -> list[Row]:
    """Makes and publishes the identities with these sequence numbers; gives their rows."""
    gc.disable()  # many objects, and none of them garbage
    random = np.random.default_rng(sequences[0])
    master = open_master_key(settings.keys, settings.master_key_file, create=False)
    rows, now = [], datetime.now(UTC)
    with closing(make_producer(settings.kafka)) as producer:
        for sequence in sequences:
            identity = _identity(random, sequence, each)
            key = DataKey.new(identity.id)
            change = GalleryChanged.model_validate_json(write_change(identity, key))
            value = write_event(change, f"{identity.id}:{sequence}", now, source="likeness/gallery")
            headers = [CONTENT_TYPE, ("sequence", str(sequence).encode())]
            producer.send(settings.topics.gallery_changes, value, identity.id.encode(), headers=headers)
            rows.append((identity.id, identity.name, sequence, key.wrap(master)))
        producer.flush()
    return rows


def _identity(random: np.random.Generator, sequence: int, each: int) -> Identity:
    vectors = random.standard_normal((each, DIMENSION), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    references = tuple(
        Reference(
            f"ref_{random.bytes(16).hex()}",
            {PACK: vector},
            Fingerprint(random.bytes(32), 90, random.bytes(32), 640, 640, (101.5, 88.25, 230.0, 301.5)),
        )
        for vector in vectors
    )
    name = f"{GIVEN[sequence % len(GIVEN)]} {FAMILY[sequence % len(FAMILY)]}{random.bytes(3).hex()}"
    accounts = frozenset({f"acct-{sequence}"})
    return Identity(f"idn_{random.bytes(16).hex()}", name, "victim", sequence, accounts, references)
