"""Several worker processes that share one queue of jobs: what hangs or crashes is ended, replaced, and told by name."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from detector.worker_process import NoAnswer, Template, Worker, WorkerLost, WorkersBroken

ATTEMPTS = 2
"""How often a job is tried whose worker ends, or is idle until its time is over as a stopped process is: the first
time, others may have been at fault."""

How = Literal["crash", "timeout"]

log = logging.getLogger("likeness.workers")


class WorkerCrashed(Exception):
    """The worker process ended over a job, and so did the one that tried again; the message says how."""


class WorkerTimeout(Exception):
    """The worker process was ended because a job took too long."""


@dataclass(slots=True)
class _Job:
    work: Any
    future: Future[Any] = field(default_factory=Future)
    attempts: int = 0


class WorkerPool:
    """`count` worker processes of a template. Thread-safe; `submit` never blocks."""

    def __init__(
        self,
        template: Template,
        count: int,
        *,
        seconds: float,
        memory_bytes: int,
        on_lost: Callable[[How], None] = lambda how: None,
    ) -> None:
        """`seconds`: that one job may take, by the clock on the wall. `memory_bytes`: that a worker may take beyond
        what the template has. `on_lost` is told of each worker that had to be replaced."""
        self._template = template
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self.on_lost = on_lost
        self._jobs: queue.PriorityQueue[tuple[int, int, _Job | None]] = queue.PriorityQueue()
        self._count = 0
        self._lock = threading.Lock()
        self._closed = False
        self._workers: dict[int, Worker] = {}
        """By the thread that feeds it."""
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Any) -> Future[Any]:
        """The future of the work's result, or of what it raised; WorkerCrashed, WorkerTimeout or WorkersBroken. It can
        be cancelled until a worker has taken it."""
        job = _Job(work)
        with self._lock:
            if self._closed:
                job.future.cancel()
                job.future.set_running_or_notify_cancel()
            else:
                self._put(1, job)
        return job.future

    def close(self) -> None:
        """End the workers, whatever they work on; jobs that wait are cancelled."""
        with self._lock:
            self._closed = True
        for worker in list(self._workers.values()):
            worker.kill()
        with self._lock:
            for _ in self._threads:
                self._put(0, None)
        for thread in self._threads:
            thread.join()
        while not self._jobs.empty():
            _, _, job = self._jobs.get()
            if job is not None and not job.future.cancel():
                job.future.set_exception(WorkersBroken("The workers were closed."))

    def _put(self, priority: int, job: _Job | None) -> None:
        self._count += 1
        self._jobs.put((priority, self._count, job))

    def _serve(self) -> None:
        """Feed one worker after the other."""
        me = threading.get_ident()
        while (job := self._jobs.get()[2]) is not None:
            if job.attempts == 0 and not job.future.set_running_or_notify_cancel():
                continue
            try:
                if me not in self._workers:
                    self._workers[me] = self._template.fork(self._memory_bytes, self._seconds)
                job.future.set_result(self._workers[me].do(job.work))
            except NoAnswer as late:
                self._workers.pop(me).end()
                self._told("timeout", f"had not answered after {self._seconds:g} s")
                self._lost(job, WorkerTimeout(f"It took longer than {self._seconds:g} s."), again=late.idle)
            except WorkerLost as lost:
                del self._workers[me]
                if not self._closed:
                    self._told("crash", f"ended by {lost.how}")
                self._lost(job, WorkerCrashed(f"{ATTEMPTS} processes ended over it, by {lost.how}."), again=True)
            except Exception as error:  # what the work raised, or WorkersBroken: the caller's to judge
                job.future.set_exception(error)
        if me in self._workers:
            self._workers.pop(me).end()

    def _lost(self, job: _Job, error: Exception, *, again: bool) -> None:
        """Have the job tried again, if it may, or tell its caller."""
        job.attempts += 1
        with self._lock:
            if self._closed:
                error, again = WorkersBroken("The workers were closed."), False
            elif again and job.attempts < ATTEMPTS:
                self._put(0, job)
                return
        job.future.set_exception(error)

    def _told(self, how: How, what: str) -> None:
        log.error("A worker process %s, and is replaced.", what)
        self.on_lost(how)
