"""What the threads of one console share: each made once, and noted by one at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from web.console.turns import Turns
from web.security import one_of_process


def test_what_the_process_has_one_of_is_made_once_when_many_ask_at_once():
    made, begun = [], threading.Barrier(8)
    request = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(desk="the desk")))

    def make(desk):
        time.sleep(0.05)
        made.append(desk)
        return object()

    def ask(_):
        begun.wait(10)
        return one_of_process(request, "tray", make)

    with ThreadPoolExecutor(8) as asking:
        given = list(asking.map(ask, range(8)))
    assert made == ["the desk"]
    assert len(set(map(id, given))) == 1


def test_one_at_a_time_about_the_same_thing_and_side_by_side_about_others():
    turns, inside = Turns(), threading.Barrier(2)
    most = {"a": 0, "b": 0}
    now = dict(most)

    def work(thing):
        with turns.of(thing):
            now[thing] += 1
            most[thing] = max(most[thing], now[thing])
            inside.wait(10)  # only with the other thing's turn
            now[thing] -= 1

    with ThreadPoolExecutor(4) as working:
        list(working.map(work, "abab"))
    assert most == {"a": 1, "b": 1}


def test_a_turn_that_fails_is_over():
    turns = Turns()
    with pytest.raises(ValueError, match="no"), turns.of("a"):
        raise ValueError("no")
    with turns.of("a"):
        pass
