"""Getting a picture's bytes: the front door.

The rules are in fetch_rules.py, the ways to the bytes in fetch_http.py and fetch_object.py.
"""

import logging
import socket
import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from config.settings import Fetch, SettingsError
from consumers.fetch_http import HttpSource
from consumers.fetch_lookup import Resolve
from consumers.fetch_object import FileSource, S3Source
from consumers.fetch_rules import REASONS, Deadline, FetchRefused, split_url

log = logging.getLogger("likeness.fetch")

__all__ = ["REASONS", "FetchRefused", "PictureFetcher"]


class PictureFetcher:
    """Fetches pictures by http, https, s3 and file URL within the limits of [fetch]. Thread-safe.

    `resolve` answers like socket.getaddrinfo, `clock` gives seconds, `sleep` waits between attempts.
    """

    def __init__(
        self,
        fetch: Fetch,
        max_bytes: int,
        *,
        resolve: Resolve = socket.getaddrinfo,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises SettingsError for an entry of allowed_hosts or private_hosts that cannot be read, or a file_root that
        is no folder."""
        if fetch.file_root is not None and not fetch.file_root.is_dir():
            raise SettingsError(f"fetch.file_root: there is no folder {fetch.file_root}.")
        self._fetch = fetch
        self._clock = clock
        self._sleep = sleep
        self._http = HttpSource(fetch, max_bytes, resolve)
        self._s3 = S3Source(fetch, max_bytes)
        file = FileSource(fetch.file_root, max_bytes)
        self._readers = {"http": self._http.read, "https": self._http.read, "s3": self._s3.read, "file": file.read}

    def fetch(self, url: str, deadline: Deadline | None = None) -> bytes:
        """The picture's bytes, at most `max_bytes`, by the deadline, which is `total_seconds` from now unless given.

        Raises FetchRefused.
        """
        scheme = split_url(url).scheme
        reader = self._readers.get(scheme)
        if reader is None:
            raise FetchRefused("scheme_not_allowed", f"{scheme[:20]}: is not one of http, https, s3 and file.")
        end = deadline or Deadline.after(self._fetch.total_seconds, self._clock)

        def enough(state: RetryCallState) -> bool:
            return state.attempt_number >= self._fetch.attempts or state.upcoming_sleep >= end.remaining

        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, FetchRefused) and error.retryable),
            stop=enough,
            wait=wait_random_exponential(multiplier=0.1, max=2),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(reader, url, end)
        except FetchRefused as refused:
            # Its frames hold the bytes that came in, and tenacity ties them into a cycle that only gc would free.
            refused.__traceback__ = None
            raise
        except Exception as error:  # whatever a host or an object store makes its client meet: the rest must flow on
            log.exception("A picture could not be fetched.")
            raise FetchRefused(
                "fetch_failed", f"Fetching failed: {type(error).__name__}; the log tells more."
            ) from error

    def close(self) -> None:
        """Closes idle connections; to be called when no fetch is under way."""
        self._http.close()
        self._s3.close()
