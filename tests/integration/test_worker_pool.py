"""Worker processes: what crashes, hangs or takes too much memory is ended and replaced, and nothing else suffers."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for
from pathlib import Path

import psutil
import pytest

from detector.worker_pool import WorkerCrashed, WorkerPool, WorkerTimeout
from detector.worker_process import Template, WorkersBroken
from tests.support.odd_work import OddWork
from tests.support.running_service import eventually

GONE = (psutil.NoSuchProcess, ProcessLookupError)


@pytest.fixture(scope="module")
def template():
    made = Template(OddWork())
    yield made
    made.close()


@pytest.fixture
def pool(template):
    lost = []
    made = WorkerPool(template, 2, seconds=1.0, memory_bytes=500_000_000, on_lost=lost.append)
    made.lost = lost
    yield made
    made.close()


def test_jobs_are_done_side_by_side_in_other_processes(pool):
    pids = {pool.submit("pid").result(10) for _ in range(20)}
    assert os.getpid() not in pids and len(pids) <= 2
    assert [pool.submit(number).result(10) for number in range(5)] == [0, 1, 2, 3, 4]
    assert pool.lost == []


@pytest.mark.parametrize(("job", "how"), [("crash", "SIGSEGV"), ("exit", "exit code 7")])
def test_a_job_that_ends_its_process_is_tried_once_more_and_told(pool, job, how):
    with pytest.raises(WorkerCrashed, match=how):
        pool.submit(job).result(10)
    assert pool.lost == ["crash", "crash"]
    assert pool.submit("next").result(10) == "next"


def test_a_job_that_spins_is_ended_after_its_time_and_not_tried_again(pool):
    began = time.monotonic()
    with pytest.raises(WorkerTimeout):
        pool.submit("spin").result(20)
    assert time.monotonic() - began > 0.9
    assert pool.lost in (["timeout"], ["timeout"] * 2)  # on a machine so busy that it hardly spun, it is tried again
    assert pool.submit("next").result(10) == "next"


@pytest.mark.parametrize("job", ["hang", "half"])
def test_a_job_over_which_its_process_sleeps_is_tried_once_more_even_in_the_middle_of_an_answer(pool, job):
    with pytest.raises(WorkerTimeout):
        pool.submit(job).result(20)
    assert pool.lost == ["timeout", "timeout"]
    assert pool.submit("next").result(10) == "next"


def test_a_process_that_was_stopped_blames_no_job_however_large(template):
    pool = WorkerPool(template, 1, seconds=1.0, memory_bytes=500_000_000)
    os.kill(pool.submit("pid").result(10), signal.SIGSTOP)
    assert pool.submit(bytes(5_000_000)).result(20) == 5_000_000
    pool.close()


def test_a_job_given_after_closing_is_cancelled_at_once(template):
    pool = WorkerPool(template, 1, seconds=1.0, memory_bytes=500_000_000)
    pool.close()
    assert pool.submit("late").cancelled()


def test_a_job_may_take_no_more_memory_than_its_limit(pool):
    with pytest.raises(MemoryError):
        pool.submit("memory").result(10)
    assert pool.submit("next").result(10) == "next"
    assert pool.lost == []


def test_what_a_job_raises_reaches_the_caller(pool):
    with pytest.raises(KeyError, match="as asked"):
        pool.submit("raise").result(10)


def test_what_a_worker_logs_stands_in_the_parents_log(pool, caplog):
    pool.submit("log").result(10)
    assert any(record.message.startswith("from a worker") for record in caplog.records)


def test_neighbours_of_a_poisoned_job_are_all_done(pool):
    jobs = [pool.submit("crash" if number % 10 == 5 else number) for number in range(60)]
    wait_for(jobs, 30)
    answers = Counter("crash" if job.exception() else "done" for job in jobs)
    assert answers == {"crash": 6, "done": 54}


def test_an_innocent_job_whose_worker_is_killed_from_outside_is_done_by_another(template):
    pool = WorkerPool(template, 1, seconds=5.0, memory_bytes=500_000_000)
    pid = pool.submit("pid").result(10)
    os.kill(pid, signal.SIGKILL)
    assert pool.submit("fine").result(10) == "fine"
    pool.close()


def test_what_no_worker_has_taken_can_be_cancelled(template):
    pool = WorkerPool(template, 1, seconds=1.0, memory_bytes=500_000_000)
    hanging, waiting = pool.submit("hang"), pool.submit("next")
    eventually(hanging.running)
    assert waiting.cancel() and not hanging.cancel()
    with pytest.raises(CancelledError):
        waiting.result(1)
    pool.close()


def test_closing_ends_at_once_even_over_a_job_that_hangs(template):
    pool = WorkerPool(template, 1, seconds=60.0, memory_bytes=500_000_000)
    pid = pool.submit("pid").result(10)
    hanging, waiting = pool.submit("hang"), pool.submit("next")
    eventually(hanging.running)
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 2
    assert isinstance(hanging.exception(1), WorkersBroken) and waiting.cancelled()
    with pytest.raises(GONE):
        psutil.Process(pid)


def test_a_template_that_cannot_prepare_says_why():
    with pytest.raises(ValueError, match="no such pack"):
        Template(OddWork(refused="no such pack"))


def test_without_its_template_the_pool_says_that_it_is_broken():
    template = Template(OddWork())
    pool = WorkerPool(template, 2, seconds=5.0, memory_bytes=500_000_000)
    pid = pool.submit("pid").result(10)
    psutil.Process(pid).parent().kill()
    with pytest.raises(WorkersBroken):
        pool.submit("next").result(10)
    pool.close()
    template.close()


def test_workers_that_hang_end_with_the_process_that_they_work_for():
    program = """
import time
from detector.worker_pool import WorkerPool
from detector.worker_process import Template
from tests.support.odd_work import OddWork
pool = WorkerPool(Template(OddWork()), 2, seconds=600.0, memory_bytes=500_000_000)
print(pool.submit("pid").result(), flush=True)
pool.submit("spin"), pool.submit("hang")
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    parent.stdout.readline()
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs(family, timeout=5)
    assert not alive and len(gone) == len(family)


def test_a_thousand_jobs_and_a_hundred_lost_workers_leave_nothing_open(template):
    pool = WorkerPool(template, 2, seconds=1.0, memory_bytes=500_000_000)
    pool.submit("pid").result(10)
    here = psutil.Process()
    before = here.num_fds()
    jobs = [pool.submit("exit" if number % 20 == 0 else number) for number in range(1_000)]
    wait_for(jobs, 60)
    gc.collect()
    assert here.num_fds() <= before + 2
    pool.close()
