"""What the messages on gallery-changes hold, opened: here, or by a process beside this one while a large gallery loads.

A start with a million references has two things to do, to read and open them and to take them into the index; with two
processes it does them at once. What the other process opened comes through a pipe and rests nowhere.
"""

import gc
import logging
import signal
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from kafka import TopicPartition

from config import Settings
from consumers.kafka import make_consumer, read_to_end
from consumers.messages import read_data
from detector.identity import Identity
from records.database import open_database
from records.errors import ChangeUnreadable
from records.gallery import GalleryRecords
from records.gallery_changes import open_change, read_opened
from records.keys.keyring import DataKey
from records.keys.open_master_key import open_master_key

log = logging.getLogger("likeness.gallery")
Positions = Mapping[int, int]
"""By partition, the offset of the next message."""
AHEAD = 4
"""Lists of messages that wait until the parent takes them in: the broker answers in fits and starts."""


class Opened(NamedTuple):
    """One message. plain: for records.gallery_changes.read_opened, None where the message removes the identity;
    unreadable: why it tells nothing."""

    identity_id: str
    offset: int
    sequence: int
    plain: bytes | None
    unreadable: str | None = None


class State(NamedTuple):
    """Of an identity as of one message. identity: None where the message removes it."""

    identity_id: str
    sequence: int
    identity: Identity | None
    offset: int


def identity_id_of(message: Any) -> str:
    """The id in a message's key; whatever the key holds, a database can be asked for it."""
    return (message.key or b"").decode(errors="replace").replace("\0", "\ufffd")


def open_message(message: Any, key: DataKey | None) -> Opened:
    """`key`: the identity's, None where it was erased."""
    identity_id = identity_id_of(message)
    try:
        if message.value is None:
            return Opened(identity_id, message.offset, int(dict(message.headers)["sequence"]), None)
        data = read_data(message.value)
        if key is None:
            return Opened(identity_id, message.offset, int(data["sequence"]), None)
        return Opened(identity_id, message.offset, *open_change(identity_id, data, key))
    except (ChangeUnreadable, KeyError, ValueError, TypeError, OverflowError) as error:
        return Opened(identity_id, message.offset, 0, None, str(error) or type(error).__name__)


def open_beside(
    settings: Settings, begin: Positions, stop: threading.Event
) -> Iterator[tuple[list[Opened], Positions]]:
    """The messages from `begin` on, opened by a process of its own, each list with where it ends. Ends where the topic
    ended, when `stop` is set, or early when that process fails: then the caller reads on by itself."""
    context = get_context("spawn")  # a fork would copy the locks of our threads as they stand
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(settings, dict(begin), theirs), name="gallery-reader", daemon=True)
    process.start()
    theirs.close()
    try:
        while not stop.is_set():
            if not ours.poll(0.1):
                continue
            given = ours.recv()
            if isinstance(given, str):
                log.warning("The process that reads the gallery beside this one has failed: %s", given)
                return
            if given is None:
                return
            yield given
    except EOFError:
        log.warning("The process that reads the gallery beside this one has ended.")
    finally:
        process.terminate()
        process.join()
        ours.close()


def _read(settings: Settings, begin: Positions, link: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the parent knows, too
    logging.disable()
    gc.disable()
    sent = deque[Future[None]]()
    try:
        with ThreadPoolExecutor(1) as sender:  # reads on while the parent takes in what came before
            for given in chain(_opened(settings, begin), [None]):
                sent.append(sender.submit(link.send, given))
                if len(sent) > AHEAD:
                    sent.popleft().result()
    except BrokenPipeError:
        return
    except Exception as error:
        link.send(f"{type(error).__name__}: {error}")


def _opened(settings: Settings, begin: Positions) -> Iterator[tuple[list[Opened], Positions]]:
    with closing(open_database(settings.database_url)) as database, closing(make_consumer(settings.kafka)) as consumer:
        records = GalleryRecords(database, open_master_key(settings.keys, settings.master_key_file, create=False))
        topic = settings.topics.gallery_changes
        consumer.assign([TopicPartition(topic, number) for number in begin])
        for number, offset in begin.items():
            consumer.seek(TopicPartition(topic, number), offset)
        for messages in read_to_end(consumer, threading.Event()):
            yield open_all(records, messages), {messages[-1].partition: messages[-1].offset + 1}


def open_all(records: GalleryRecords, messages: Sequence[Any]) -> list[Opened]:
    """The messages in their order, with the keys as the database has them now. Raises DatabaseAway."""
    keys = records.data_keys(list({identity_id_of(message) for message in messages}))
    return [open_message(message, keys.get(identity_id_of(message))) for message in messages]


def states_by_identity(opened: Sequence[Opened], results: Counter[str]) -> list[Iterator[State]]:
    """For each identity what its messages say, newest first; `results` counts what cannot be read, once it is met."""
    by_identity = defaultdict[str, list[Opened]](list)
    for one in opened:
        by_identity[one.identity_id].append(one)
    return [_states(reversed(of_one), results) for of_one in by_identity.values()]


def _states(newest_first: Iterator[Opened], results: Counter[str]) -> Iterator[State]:
    """What can be read of an identity's messages; `results` counts what cannot."""
    for one in newest_first:
        try:
            if one.unreadable is not None:
                raise ChangeUnreadable(one.unreadable)
            identity = None if one.plain is None else read_opened(one.identity_id, one.sequence, one.plain)
            yield State(one.identity_id, one.sequence, identity, one.offset)
        except ChangeUnreadable as error:
            log_unreadable(one.identity_id, one.offset, error)
            results["unreadable"] += 1


def log_unreadable(identity_id: str, offset: int, error: Exception) -> None:
    """Tell the operator of a message that changes nothing."""
    log.error(
        "A gallery change cannot be read and is passed over; the identity stays as it was.",
        extra={"identity_id": identity_id, "offset": offset, "error": str(error)},
    )
