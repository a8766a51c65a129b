"""How long a consumer takes from its start until it screens, with a gallery of many references on gallery-changes.

`python -m benchmarks.start` enrols 200,000 people with 5 references each (benchmarks/start_gallery.py), starts
`likeness run` on it and on a gallery without anybody, and does each step of the loading alone.
"""

import argparse
import gc
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from kafka import TopicPartition

from benchmarks.results import write_results
from benchmarks.start_gallery import DIMENSION, PACK, enrol
from benchmarks.through_kafka import broker_settings, running_consumer
from config import Settings, load_settings, packaged
from consumers.kafka import make_consumer, read_to_end
from consumers.messages import read_data
from detector import GalleryIndex
from detector.packs import pull, read_packs
from likeness.console import err
from records.database import open_database
from records.gallery import GalleryRecords
from records.gallery_changes import read_change
from records.keys.open_master_key import open_master_key

SAMPLE = 20_000
"""Identities with which the steps are done one by one."""
T = TypeVar("T")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--identities", type=int, default=200_000)
    arguments.add_argument("--each", type=int, default=5, help="references of each")
    arguments.add_argument("--steps", action="store_true", help="the steps alone, without a consumer")
    chosen = arguments.parse_args()
    cache = load_settings().home / "benchmarks"
    pack = read_packs(packaged("models.toml"))["opencv-zoo"]
    pull(pack, cache / "models" / pack.name)
    with tempfile.TemporaryDirectory(prefix="likeness-start-") as folder:
        shutil.copytree(cache / "models", Path(folder) / "models")
        with broker_settings(Path(folder)) as settings:
            figures = measure(settings, chosen.identities, chosen.each, chosen.steps)
    for name, value in figures.items():
        err.print(name, value)
    if not chosen.steps:
        write_results("start" if chosen.each > 1 else "start_single", figures)


def measure(settings: Settings, identities: int, each: int, only_steps: bool) -> dict[str, Any]:
    figures: dict[str, Any] = {"identities": identities, "references": identities * each}
    if not only_steps:
        with running_consumer(settings) as consumer:
            figures |= {"empty_seconds": consumer.start_seconds, "empty_mb": consumer.memory_mb}
    began = time.perf_counter()
    enrol(settings, identities, each)
    err.print(f"Enrolled within {time.perf_counter() - began:.0f} s.")
    if not only_steps:
        with running_consumer(settings) as consumer:
            figures |= {"seconds": consumer.start_seconds, "mb": consumer.memory_mb, "parent_mb": consumer.parent_mb}
    return figures | {"microseconds_per_identity": steps(settings)}


def steps(settings: Settings) -> dict[str, float]:
    """Microseconds of each step per identity, done alone with the first of them."""
    taken: dict[str, float] = {}

    def timed(name: str, work: Callable[[], T], count: int | None = None) -> T:
        began = time.perf_counter()
        made = work()
        taken[name] = 1e6 * (time.perf_counter() - began) / (count or len(messages))
        return made

    gc.disable()  # as it is while a gallery is loaded
    messages: list[Any] = []
    began = time.perf_counter()
    with closing(make_consumer(settings.kafka)) as consumer:
        consumer.assign([TopicPartition(settings.topics.gallery_changes, 0)])
        for records in read_to_end(consumer, threading.Event()):
            messages += records
            if len(messages) >= SAMPLE:
                break
    taken["read the topic"] = 1e6 * (time.perf_counter() - began) / len(messages)
    ids = [message.key.decode() for message in messages]
    with closing(open_database(settings.database_url)) as database:
        gallery = GalleryRecords(database, open_master_key(settings.keys, settings.master_key_file, create=False))
        keys = timed("data keys", lambda: gallery.data_keys(ids))
    data = timed("envelope", lambda: [read_data(message.value) for message in messages])
    identities = timed(
        "open and read", lambda: [read_change(one, value, keys[one]) for one, value in zip(ids, data, strict=True)]
    )
    index = GalleryIndex(PACK, DIMENSION)
    timed("take into the index", lambda: index.apply_all(identities))
    taken["bytes"] = statistics.mean(len(message.value) for message in messages)
    return taken


if __name__ == "__main__":
    main()
