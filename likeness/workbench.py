"""What the commands that work without Kafka share: the gallery's records, and a detector over them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from config import Settings
from consumers.open_detector import open_detector
from detector import Detector
from records.database import open_database
from records.decisions import DecisionRecords
from records.gallery import GalleryRecords
from records.keys.keyring import MasterKey
from records.keys.open_master_key import open_master_key
from records.quarantine import BurstRule


@dataclass(frozen=True, slots=True)
class Workbench:
    """The gallery's records and a detector whose index holds them."""

    records: GalleryRecords
    detector: Detector


@contextmanager
def open_records(settings: Settings) -> Iterator[GalleryRecords]:
    """The gallery's records, migrated. Raises RecordsError."""
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        yield GalleryRecords(database, _master_key(settings))


@contextmanager
def open_decisions(settings: Settings) -> Iterator[tuple[GalleryRecords, DecisionRecords]]:
    """The gallery's records and what moderators decide about them, migrated. Raises RecordsError."""
    with closing(open_database(settings.database_url)) as database:
        database.migrate()
        key = _master_key(settings)
        rule = BurstRule(**settings.quarantine.model_dump())
        yield GalleryRecords(database, key), DecisionRecords(database, key, rule)


@contextmanager
def open_workbench(settings: Settings) -> Iterator[Workbench]:
    """A detector with the gallery loaded. Raises RecordsError, PackError, NoThreshold, GalleryOfAnotherPack."""
    with open_records(settings) as records, closing(open_detector(settings)) as detector:
        for identity in records.identities():
            for index in detector.indexes:
                index.apply(identity)
        detector.index.require_searchable()
        yield Workbench(records, detector)


def _master_key(settings: Settings) -> MasterKey:
    return open_master_key(settings.keys, settings.master_key_file, create=True)
