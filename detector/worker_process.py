"""The processes that work on hostile bytes: a template that has loaded the models, and copies of it that do the work.

The template runs no hostile byte and no second thread, so a copy (fork) of it is whole, shares its memory, and is there
within milliseconds. Copies are killed at will; the template, their parent, collects them.

    parent ── control ──> template ── fork ──> worker
       └──────────────── jobs and answers ────────┘
"""

import contextlib
import ctypes
import logging
import logging.handlers
import os
import pickle
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

Work = Callable[[Any], Any]
"""What a worker does with a job. Both travel pickled, jobs and answers."""

ANSWER_SECONDS = 10.0
"""How long the template may take to do as it is told: a fork takes some milliseconds."""
START_SECONDS = 120.0
"""How long the template may take to load."""
_PR_SET_PDEATHSIG = 1
_CLOCK_OF_PROCESS = 2
"""As clock_getcpuclockid makes it of a process's number."""
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkersBroken(RuntimeError):
    """No worker process can be had; the message says why."""


class WorkerLost(Exception):
    """A worker process ended before it answered; `how` says by what."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class NoAnswer(Exception):
    """A worker has not answered in time. `idle`: it has hardly worked meanwhile, so it may not be the job's fault."""

    def __init__(self, *, idle: bool) -> None:
        super().__init__(idle)
        self.idle = idle


@dataclass(frozen=True, slots=True)
class _Answer:
    """`result`, or the `error` that the work raised."""

    result: Any = None
    error: BaseException | None = None


class Template:
    """Loads what the workers need, once, in a process of its own. Thread-safe."""

    def __init__(self, prepare: Callable[[], Work]) -> None:
        """`prepare` is pickled, and called in the template; returns when it is done. Raises what `prepare` raises, or
        WorkersBroken."""
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import run_template; run_template({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        _wait_no_longer(ours, ANSWER_SECONDS)
        self._control = Connection(ours.detach())
        try:
            self._control.send_bytes(pickle.dumps(prepare))
            if not self._control.poll(START_SECONDS):
                raise WorkersBroken(f"The models were not loaded within {START_SECONDS:.0f} s.")
            answer = self._control.recv()
        except (EOFError, OSError) as error:
            raise WorkersBroken(f"The process that loads the models ended: {error!r}; see its output.") from error
        if answer.error is not None:
            self.close()
            raise answer.error
        self.facts = answer.result
        """What the prepared work has as `facts`, if anything."""

    def fork(self, memory_bytes: int, seconds: float) -> "Worker":
        """A new worker, that may take `memory_bytes` more than the template has, and `seconds` over a job. Raises
        WorkersBroken."""
        ours, theirs = socket.socketpair()
        _wait_no_longer(ours, seconds)
        with theirs, self._lock:
            try:
                self._control.send(("fork", memory_bytes))
                send_handle(self._control, theirs.fileno(), self._process.pid)
                return Worker(self, self._control.recv(), Connection(ours.detach()), seconds)
            except (EOFError, OSError) as error:
                ours.close()
                raise WorkersBroken(f"No worker process could be started: {error!r}.") from error

    def kill(self, pid: int) -> None:
        """Kill a worker of this template that `end` was not called for yet."""
        with contextlib.suppress(EOFError, OSError), self._lock:
            self._control.send(("kill", pid))
            self._control.recv()

    def end(self, pid: int) -> str:
        """Kill a worker, if it is not dead already, and tell how it ended; its pid may be another's from then on."""
        try:
            with self._lock:
                self._control.send(("end", pid))
                status = self._control.recv()
        except (EOFError, OSError):
            return "its template has ended"
        code = os.waitstatus_to_exitcode(status)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """End the template and all of its workers."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Worker:
    """One worker process, used from one thread at a time."""

    def __init__(self, template: Template, pid: int, connection: Connection, seconds: float) -> None:
        self.pid = pid
        self._seconds = seconds
        self._template = template
        self._connection = connection
        # Connection.poll makes a selector of its own at each call.
        self._answers = select.poll()
        self._answers.register(connection, select.POLLIN)

    def do(self, job: Any) -> Any:
        """What the work makes of `job`. Raises what the work raises, WorkerLost, or NoAnswer, after which it must be
        ended."""
        deadline, used = time.monotonic() + self._seconds, self._processor_seconds()
        try:
            self._connection.send(job)
            while True:
                if not self._answers.poll(max(0.0, deadline - time.monotonic()) * 1e3):
                    raise self._no_answer(used)
                answer = self._connection.recv()
                if isinstance(answer, _Answer):
                    break
                logging.getLogger(answer.name).handle(answer)
        except BlockingIOError as error:  # it stopped in the middle of a job or an answer
            raise self._no_answer(used) from error
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise WorkerLost(self.end()) from error
        if answer.error is not None:
            raise answer.error
        return answer.result

    def _no_answer(self, used: float) -> NoAnswer:
        return NoAnswer(idle=self._processor_seconds() - used < self._seconds / 2)

    def _processor_seconds(self) -> float:
        """What it has used so far; 0 where the system does not tell."""
        try:
            return time.clock_gettime(~self.pid << 3 | _CLOCK_OF_PROCESS)
        except OSError:
            return 0.0

    def kill(self) -> None:
        """Kill it, from any thread; whoever waits for an answer gets WorkerLost."""
        self._template.kill(self.pid)

    def end(self) -> str:
        """Kill it and let go of it; how it ended."""
        self._connection.close()
        return self._template.end(self.pid)


def _wait_no_longer(end: socket.socket, seconds: float) -> None:
    """Reading from and writing to `end` raises BlockingIOError once nothing moved for `seconds`."""
    limit = struct.pack("ll", int(seconds), round(seconds % 1 * 1e6))
    for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        end.setsockopt(socket.SOL_SOCKET, way, limit)


class _ToParent(logging.handlers.QueueHandler):
    """Hands log records to the parent, whose log they belong to."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._connection = connection

    def enqueue(self, record: logging.LogRecord) -> None:
        self._connection.send(record)


def run_template(descriptor: int) -> None:
    """The template's whole life; `descriptor`: its end of the control socket."""
    control = Connection(descriptor)
    # Who is to end decides the parent: a signal to the whole group must not take the work away from under it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        work = pickle.loads(control.recv_bytes())()  # noqa: S301  # from our parent
    except Exception as error:
        control.send(_Answer(error=error))
        return
    control.send(_Answer(getattr(work, "facts", None)))
    template, workers = os.getpid(), set[int]()
    while True:
        try:
            command, number = control.recv()
        except (EOFError, OSError):
            return
        if command != "fork":
            # One that was collected is not killed again: its number may be another's.
            if number in workers:
                os.kill(number, signal.SIGKILL)
            control.send(os.waitpid(number, 0)[1] if command == "end" else None)
            workers -= {number} if command == "end" else set()
            continue
        handle = recv_handle(control)
        if pid := os.fork():
            os.close(handle)
            workers.add(pid)
            control.send(pid)
            continue
        control.close()
        _die_with(template)
        _limit_memory(number)
        _serve(Connection(handle), work)


def _serve(connection: Connection, work: Work) -> None:
    logging.getLogger().addHandler(_ToParent(connection))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            os._exit(0)
        except MemoryError as error:
            connection.send(_Answer(error=error))
            continue
        try:
            answer = _Answer(work(job))
        except Exception as error:
            answer = _Answer(error=error)
        del job
        connection.send(answer)


def _limit_memory(more: int) -> None:
    """Let this process have `more` bytes than it has now."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        has = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + more, has + more))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
