"""likeness run: the screening consumer."""

import signal
import threading
from types import FrameType

from config import load_settings
from consumers.service import Service
from likeness.logs import set_up_logs


def run() -> None:
    """Screen avatar uploads until SIGTERM or Ctrl-C; then finish and commit what is held."""
    settings = load_settings()
    set_up_logs(settings.log.level, settings.log.format)
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    Service(settings, stop).run()
