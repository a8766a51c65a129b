"""Serves the console's pages in a thread, so that the process leaves in its own order when it is asked to."""

import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import uvicorn

from config import SettingsError

FINISH_SECONDS = 10
"""How long pages that are being sent may take when the server is closed."""


class PageServer:
    """Listens from construction on, answers from `start` to `close`."""

    def __init__(self, app: Any, host: str, port: int, trusted_proxies: Sequence[str] = ()) -> None:
        """`app`: ASGI; `port` 0 takes a free one; `trusted_proxies`: addresses or networks of those whose
        X-Forwarded-For is believed. Raises SettingsError when the address cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise SettingsError(
                f"No pages can be served on web.host {host} and web.port {port}: {error.strerror}."
            ) from error
        self._host = f"[{host}]" if ":" in host else host
        # Requests are not logged: their paths tell which cases were looked at.
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_graceful_shutdown=FINISH_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="pages", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether pages are answered; once they are no longer, only a new process answers them again."""
        return self._thread.is_alive()

    @property
    def address(self) -> str:
        return f"http://{self._host}:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Returns once pages are answered. Raises RuntimeError when they never will be; the log tells why."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("The pages could not be served; the log tells why.")
            time.sleep(0.01)

    def close(self) -> None:
        """Finishes what is being sent."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
