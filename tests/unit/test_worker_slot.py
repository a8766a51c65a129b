import socket
import subprocess
import sys

from consumers.worker_slot import worker_slot

HOLD = "import sys; from pathlib import Path; from consumers.worker_slot import worker_slot\n"
HOLD += "print(worker_slot(Path(sys.argv[1])), flush=True); sys.stdin.read()"


def test_two_workers_of_one_home_have_different_names(tmp_path):
    host = socket.gethostname()
    assert [worker_slot(tmp_path), worker_slot(tmp_path)] == [f"{host}-0", f"{host}-1"]


def test_two_homes_never_meet(tmp_path):
    assert worker_slot(tmp_path / "one") == worker_slot(tmp_path / "two")


def test_a_worker_that_was_killed_gets_its_name_back(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    name = first.stdout.readline().strip()
    assert worker_slot(tmp_path) != name
    first.kill()
    first.communicate()
    assert worker_slot(tmp_path) == name
