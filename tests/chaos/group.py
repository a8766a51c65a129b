"""Screening processes of one consumer group that are killed, leave and come back, as an orchestrator would have it."""

import random
import time
from collections import Counter
from collections.abc import Sequence

import psutil

from config import Settings
from demo.broker import free_port
from tests.support.running_service import ServiceProcess, again


class Member:
    """One place in the group: it keeps its worker id and port over restarts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: ServiceProcess | None = None
        self.starts_at = 0.0


class Group:
    """`size` members, each started again a random moment after it ended for whatever reason."""

    def __init__(self, settings: Settings, size: int, chance: random.Random, pause: float = 3.0) -> None:
        self._home = settings.home
        self._chance = chance
        self._pause = pause
        self.unasked: Counter[int] = Counter()
        self.members = [
            Member(again(settings, kafka={"worker_id": f"worker-{number}"}, http={"port": free_port()}))
            for number in range(size)
        ]

    def __enter__(self) -> "Group":
        for member in self.members:
            member.process = ServiceProcess(member.settings).start()
        for member in self.members:
            member.process.wait_ready(90)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.running():
            member.process.kill()
            self._note(member)

    def running(self) -> Sequence[Member]:
        return [member for member in self.members if member.process is not None]

    def tend(self, seconds: float) -> None:
        """For `seconds` start again whoever is due, and note who ended unasked."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for member in self.members:
                if member.process is None and now >= member.starts_at:
                    member.process = ServiceProcess(member.settings).start()
                elif member.process is not None and not member.process.alive:
                    self.unasked[member.process.wait()] += 1
                    self._note(member)
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL one that runs; whether it screens, starts or waits is left to chance."""
        if member := self._any():
            member.process.kill()
            self._note(member)

    def leave(self) -> None:
        """SIGTERM one that runs, which leaves the group in order."""
        if member := self._any():
            member.process.wait_ready(90)
            self._end(member)

    def kill_all(self) -> None:
        """SIGKILL all; nobody starts again before `tend` or `all_ready`."""
        for member in self.running():
            member.process.kill()
            self._note(member)

    def all_ready(self) -> None:
        """Return when every member runs and is ready."""
        while len(self.running()) < len(self.members):
            self.tend(0.2)
        for member in self.members:
            member.process.wait_ready(90)

    def leave_all(self) -> None:
        """SIGTERM all; each must end with code 0 and leave no process behind."""
        for member in self.running():
            self._end(member)
        assert not processes_of(self._home), "a consumer that ended left processes behind"

    def _end(self, member: Member) -> None:
        code = member.process.terminate(60)
        assert code == 0, f"SIGTERM ended it with code {code}: {''.join(member.process.log)}"
        self._note(member)

    def _any(self) -> Member | None:
        self.tend(0.1)
        running = self.running()
        return self._chance.choice(running) if running else None

    def _note(self, member: Member) -> None:
        """Keep its log with the run's files, and have it start again after a while."""
        with (self._home / f"{member.settings.kafka.worker_id}.log").open("a") as log:
            log.writelines(member.process.log)
        member.process = None
        member.starts_at = time.monotonic() + self._chance.uniform(0, self._pause)


def processes_of(home: object) -> list[psutil.Process]:
    """The processes that run with LIKENESS_HOME=`home`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LIKENESS_HOME") == str(home):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found
