import io
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from likeness.logs import set_up_logs


@pytest.fixture
def logged():
    """Sets up logs that end in a list of lines; puts logging back as it was."""
    root = logging.getLogger()
    ours = [logging.getLogger(name) for name in ("likeness", "consumers", "detector", "records")]
    before = root.handlers[:], root.level, [logger.level for logger in ours]
    written = io.StringIO()

    def begin(level, form):
        set_up_logs(level, form)
        (handler,) = root.handlers
        handler.setStream(written)
        return lambda: written.getvalue().splitlines()

    yield begin
    root.handlers[:], root.level = before[0], before[1]
    for logger, level in zip(ours, before[2], strict=True):
        logger.setLevel(level)


def test_a_json_line_has_time_level_logger_message_and_what_was_added(logged):
    lines = logged("INFO", "json")
    logging.getLogger("likeness.screening").info("screened", extra={"event_id": "event-1", "verdict": "clear"})
    (line,) = map(json.loads, lines())
    written = datetime.fromisoformat(line.pop("time"))
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert line == {
        "level": "INFO",
        "logger": "likeness.screening",
        "message": "screened",
        "event_id": "event-1",
        "verdict": "clear",
    }


def test_a_line_break_in_a_message_does_not_break_the_line(logged):
    lines = logged("INFO", "json")
    logging.getLogger("consumers.topics").error("one\ntwo", exc_info=ValueError("three\nfour"))
    (line,) = map(json.loads, lines())
    assert line["message"] == "one\ntwo"
    assert "four" in line["exc_info"]


def test_text_is_for_people(logged):
    lines = logged("INFO", "text")
    logging.getLogger("likeness.service").warning("Waiting for %s.", "the broker")
    (line,) = lines()
    assert line.split(" ", 1)[1] == "WARNING Waiting for the broker."


def test_our_loggers_follow_the_level(logged):
    lines = logged("WARNING", "json")
    for name in ("likeness.screening", "consumers.topics", "detector.picture", "records.database"):
        logging.getLogger(name).info("quiet")
        logging.getLogger(name).warning("loud")
    assert [json.loads(line)["message"] for line in lines()] == ["loud"] * 4


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_libraries_speak_from_warning_on_whatever_the_level(logged, level):
    lines = logged(level, "json")
    for name in ("kafka.conn", "urllib3", "alembic.runtime.migration", "sqlalchemy.engine"):
        logging.getLogger(name).info("quiet")
        logging.getLogger(name).warning("loud")
    assert [json.loads(line)["message"] for line in lines()] == ["loud"] * 4


def test_setting_up_twice_does_not_say_everything_twice(logged):
    logged("INFO", "json")
    lines = logged("INFO", "json")
    logging.getLogger("likeness").info("once")
    assert len(lines()) == 1
