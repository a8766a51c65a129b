"""Pictures that nobody waits for: a store that is silent is asked for a while, so that its pictures are not missed."""

import threading

import tenacity

from consumers.fetch import FetchRefused, PictureFetcher
from consumers.fetch_hosts import host_of

PATIENCE_SECONDS = 60.0
"""How long a picture is asked for whose store is silent. Until that store answers again, its other pictures are asked
for once."""


class PatientFetcher:
    """For one thread. Close it."""

    def __init__(self, fetcher: PictureFetcher, stop: threading.Event, *, patience: float = PATIENCE_SECONDS) -> None:
        """`patience`: see PATIENCE_SECONDS. Once `stop` is set, nothing is asked for again."""
        self._fetcher = fetcher
        self._stop = stop
        self._patience = patience
        self._silent: set[str] = set()

    def fetch(self, url: str) -> bytes:
        """Raises FetchRefused."""
        host = host_of(url)
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, FetchRefused) and error.retryable),
            stop=tenacity.stop_any(
                tenacity.stop_after_delay(0 if host in self._silent else self._patience),
                tenacity.stop_when_event_set(self._stop),
            ),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=10),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )
        try:
            picture: bytes = attempts(self._fetcher.fetch, url)
        except FetchRefused as refused:
            if refused.retryable:
                self._silent.add(host)
            raise
        self._silent.discard(host)
        return picture

    def close(self) -> None:
        self._fetcher.close()
