"""What an operator did wrong, or must mend, ends the program with one sentence and a code; a traceback never shows it.

1: whoever read the output has left. 2: wrong input or settings. 3: too many dead letters. 4: another worker took over.
5: the processes that look at pictures cannot be had. 130: Ctrl-C, which Typer sees to.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from config import SettingsError
from consumers.dead_letter_limit import TooManyDeadLetters
from consumers.delivery import WorkerFenced
from consumers.kafka import BrokerAway
from consumers.topics import TopicMissing, TopicUnfit
from detector.calibration import CalibrationUnfit
from detector.enrolment import EnrolmentRefused
from detector.impostor_tail import TooFewPairs
from detector.packs import PackError
from detector.picture import PictureRejected
from detector.policy import NoThreshold
from detector.searchable import GalleryOfAnotherPack
from detector.worker_process import WorkersBroken
from records.errors import RecordsError


class BadInput(Exception):
    """What the user asked for cannot be done; the message says why."""


MENDABLE = (
    BadInput,
    BrokerAway,
    CalibrationUnfit,
    EnrolmentRefused,
    GalleryOfAnotherPack,
    NoThreshold,
    OSError,
    PackError,
    PictureRejected,
    RecordsError,
    SettingsError,
    TooFewPairs,
    TopicMissing,
    TopicUnfit,
)
# BrokenPipeError comes first: it is an OSError, too.
EXIT_CODES: dict[tuple[type[Exception], ...], int] = {
    (BrokenPipeError,): 1,
    MENDABLE: 2,
    (TooManyDeadLetters,): 3,
    (WorkerFenced,): 4,
    (WorkersBroken,): 5,
}

log = logging.getLogger("likeness")


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns the errors of EXIT_CODES into a sentence on stderr and their code."""
    try:
        try:
            yield
        finally:
            _flush()
    except Exception as error:
        for kinds, code in EXIT_CODES.items():
            if isinstance(error, kinds):
                log.debug("The program ends.", exc_info=error)
                if not isinstance(error, BrokenPipeError):
                    print(f"likeness: {_sentence(error)}", file=sys.stderr)
                raise SystemExit(code) from None
        raise


def _flush() -> None:
    """Raises OSError when the output cannot be written; Python would say so later, in words and a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _sentence(error: Exception) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return " ".join(str(error).split())
    where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
    return f"The operating system refused: {error.strerror}{where}."
