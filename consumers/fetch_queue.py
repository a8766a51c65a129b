"""Fetches that overlap, so that no slow or broken host holds up another.

1. submit: refused at once while the host is down  2. wait for one of the host's places, in turn with other hosts
3. a thread fetches  4. the host's circuit learns how it went.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from config.settings import Fetch
from consumers.fetch import FetchRefused, PictureFetcher
from consumers.fetch_hosts import Host, Hosts, Job, host_of
from consumers.fetch_rules import Deadline


class FetchQueue:
    """Fetches in `concurrency` threads, `per_host` at a time from one host; what waits takes no thread. Thread-safe.

    A host is scheme, host and port of http(s), a bucket of s3, or all of file together; a redirect counts for the host
    that it began at.
    """

    def __init__(self, fetch: Fetch, fetcher: PictureFetcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = fetch
        self._fetcher = fetcher
        self._clock = clock
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._due = threading.Condition(self._lock)
        self._hosts = Hosts(fetch, clock)
        self._ready: OrderedDict[Host, None] = OrderedDict()  # hosts with a job and a place for it, in turn
        self._waiting: OrderedDict[Future[bytes], Job] = OrderedDict()  # of all hosts, the first due first
        self._running = 0
        self._closed = False
        for number in range(fetch.concurrency):
            threading.Thread(target=self._fetch_on, name=f"fetch-{number}", daemon=True).start()
        threading.Thread(target=self._watch_time, name="fetch-time", daemon=True).start()

    @property
    def hosts_down(self) -> int:
        """Hosts that are left alone, or have not shown yet that they work again."""
        with self._lock:
            return self._hosts.down()

    @property
    def waiting(self) -> int:
        """Fetches that wait for a place."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Fetches under way."""
        return self._running

    def submit(self, url: str) -> Future[bytes]:
        """The picture's bytes within `total_seconds` from now, waiting included. Raises nothing.

        The future's exception is FetchRefused. It can be cancelled while it waits, and is after `close`.
        """
        future: Future[bytes] = Future()
        try:
            self._enter(url, host_of(url), future)
        except FetchRefused as refused:
            future.set_exception(_bare(refused))
        else:
            future.add_done_callback(self._cancelled)
        return future

    def close(self) -> None:
        """Cancel what waits, and return; what is under way ends by itself, within its time limit."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
            self._work.notify_all()
            self._due.notify_all()
        for future in waiting:
            future.cancel()

    def _enter(self, url: str, name: str, future: Future[bytes]) -> None:
        with self._lock:
            if self._closed:
                future.cancel()
                future.set_running_or_notify_cancel()
                return
            host = self._hosts.named(name)
            if not host.circuit.may_pass():
                raise host.down()
            deadline = Deadline.after(self._limits.total_seconds, self._clock)
            job = Job(url, host, future, deadline, trial=host.circuit.is_open)
            self._waiting[future] = host.waiting[future] = job
            if len(self._waiting) == 1:
                self._due.notify()
            self._line_up(host)

    def _fetch_on(self) -> None:
        while self._fetch_next():
            pass

    def _fetch_next(self) -> bool:
        """Fetch what is next, False once closed. A call of its own, so that a waiting thread holds no picture."""
        if (job := self._take()) is None:
            return False
        begun = self._clock()
        answer = self._answer(job.url, job.deadline)
        self._finish(job, answer, self._clock() - begun)
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
        return True

    def _answer(self, url: str, deadline: Deadline) -> bytes | Exception:
        try:
            return self._fetcher.fetch(url, deadline)
        except FetchRefused as refused:
            return _bare(refused)
        except Exception as error:  # told to whoever waits for the future
            return error

    def _take(self) -> Job | None:
        with self._lock:
            while True:
                self._work.wait_for(lambda: self._ready or self._closed)
                if self._closed:
                    return None
                host, _ = self._ready.popitem(last=False)
                job = next(iter(host.waiting.values()))
                if job.future.set_running_or_notify_cancel():
                    self._leave(job)
                    host.running += 1
                    self._running += 1
                    self._line_up(host)
                    return job
                self._give_up(job)
                self._line_up(host)

    def _finish(self, job: Job, answer: bytes | Exception, seconds: float) -> None:
        host, held_up = job.host, list[Job]()
        with self._lock:
            host.running -= 1
            self._running -= 1
            self._hosts.learn(job, answer, seconds)
            if host.circuit.is_open:
                held_up = list(host.waiting.values())
                for waiting in held_up:
                    self._give_up(waiting)
            self._line_up(host)
            self._hosts.settle(host)
        for waiting in held_up:
            _refuse(waiting, host.down())

    def _watch_time(self) -> None:
        """Refuse what has waited too long when its time is over, not when its turn comes."""
        while True:
            with self._lock:
                if self._closed:
                    return
                first = next(iter(self._waiting.values()), None)
                left = first.deadline.remaining if first else None
                if first is None or (left is not None and left > 0):
                    self._due.wait(left)
                    continue
                refused = self._too_late(first.host)
                self._give_up(first)
            _refuse(first, refused)

    def _too_late(self, host: Host) -> FetchRefused:
        busy = f"{host.name} was busy with other pictures for {self._limits.total_seconds:g} s"
        return FetchRefused(
            "fetch_timeout", f"{busy}: look at that server, or raise per_host and concurrency.", retryable=True
        )

    def _cancelled(self, future: Future[bytes]) -> None:
        if future.cancelled():
            with self._lock:
                if (job := self._waiting.get(future)) is not None:
                    self._give_up(job)
                    future.set_running_or_notify_cancel()

    def _give_up(self, job: Job) -> None:
        """Take out a job that never begins."""
        self._leave(job)
        if job.trial:
            job.host.circuit.undecided()
        self._hosts.settle(job.host)

    def _leave(self, job: Job) -> None:
        del self._waiting[job.future], job.host.waiting[job.future]
        if not job.host.waiting:
            self._ready.pop(job.host, None)

    def _line_up(self, host: Host) -> None:
        if host.waiting and host.running < self._limits.per_host:
            self._ready[host] = None
            self._work.notify()


def _refuse(job: Job, refused: FetchRefused) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(refused)


def _bare(refused: FetchRefused) -> FetchRefused:
    """The same without traceback and cause, whose frames keep the bytes that had come in."""
    return FetchRefused(refused.reason, refused.detail, retryable=refused.retryable)
