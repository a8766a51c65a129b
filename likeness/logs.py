"""Logs to stderr, as JSON lines or as text. Logs carry event ids, never biometrics, pictures or secrets."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter


def set_up_logs(level: str, form: Literal["json", "text"]) -> None:
    """One handler on the root logger; libraries speak from WARNING on. In JSON, `time` is UTC in ISO 8601."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )
        if form == "json"
        else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    )
    # Whatever the level of ours: at DEBUG kafka-python writes its settings and requests, passwords included.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)  # it warns of every busy moment
    for ours in ("likeness", "consumers", "detector", "records"):
        logging.getLogger(ours).setLevel(level)
