"""Fetches overlap, and no host that is slow, busy or broken holds up another."""

import logging
import random
import threading
import time
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager

import pytest

from config.settings import load_settings
from consumers.fetch import FetchRefused, PictureFetcher
from consumers.fetch_queue import FetchQueue
from tests.support.fetching import MAX_BYTES, PICTURE, resolving
from tests.support.web_site import WebSite, answer, drip, redirect


class Clock:
    """The true time, and what a test adds to it."""

    ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


class Counting:
    """An answer that takes `seconds`, and notes how many of them there are at once and when each began."""

    def __init__(self, *said, seconds=0.0):
        self.said = list(said)
        self.seconds = seconds
        self.began = []
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.began.append(time.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
            said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        return [said]


# The site closes the connection after an answer that it works out: it must say so, or a client may ask on it again.
BUSY = answer(status="503 Busy", Connection="close")
FINE = answer(PICTURE, Connection="close")
SIGNED = "/a.jpg?signature=secret"


@contextmanager
def queue_for(*sites, clock=time.monotonic, **settings):
    keywords = {name: settings.pop(name) for name in ("resolve", "sleep") if name in settings}
    hosts = [f"127.0.0.1:{site.port}" for site in sites]
    values = {"allowed_hosts": ["127.0.0.1"], "private_hosts": hosts, "total_seconds": 5, "attempts": 1, **settings}
    fetch = load_settings(fetch=values).fetch
    queue = FetchQueue(fetch, PictureFetcher(fetch, MAX_BYTES, **keywords), clock=clock)
    try:
        yield queue
    finally:
        queue.close()


@pytest.fixture
def site():
    with WebSite({"/a.jpg": FINE, SIGNED: FINE, "/busy": BUSY}).running() as running:
        yield running


@pytest.fixture
def other():
    with WebSite({"/a.jpg": FINE}).running() as running:
        yield running


def refusal(future: Future[bytes], seconds=6.0) -> FetchRefused:
    refused = future.exception(seconds)
    assert isinstance(refused, FetchRefused)
    return refused


def until(condition, seconds=3.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def test_a_hundred_pictures_of_a_host_that_drips_forever_do_not_hold_up_a_hundred_others(site, other):
    site.answers["/drip"] = drip(answer(b"", length=9000), b"x")
    with queue_for(site, other, total_seconds=3) as queue:
        started = time.monotonic()
        slow = [queue.submit(site.url("/drip")) for _ in range(100)]
        fast = [queue.submit(other.url("/a.jpg")) for _ in range(100)]
        assert [future.result(2) for future in fast] == [PICTURE] * 100
        assert time.monotonic() - started < 1.5
        assert {refusal(future).reason for future in slow} <= {"fetch_timeout", "host_down"}
        assert 2.9 < time.monotonic() - started < 4
        until(lambda: queue.running == queue.waiting == 0)


def test_no_host_is_asked_more_often_at_a_time_than_allowed_and_each_as_often_as_that(site, other):
    site.answers["/slow"] = first = Counting(FINE, seconds=0.05)
    other.answers["/slow"] = second = Counting(FINE, seconds=0.05)
    with queue_for(site, other, per_host=3, concurrency=8) as queue:
        futures = [queue.submit(of.url("/slow")) for of in (site, other) for _ in range(15)]
        wait(futures)
    assert (first.most, second.most) == (3, 3)


def test_no_more_pictures_are_fetched_at_a_time_than_there_are_places(site, other):
    site.answers["/slow"] = other.answers["/slow"] = counting = Counting(FINE, seconds=0.05)
    with queue_for(site, other, per_host=8, concurrency=5) as queue:
        futures = [queue.submit(of.url("/slow")) for of in (site, other) for _ in range(15)]
        until(lambda: queue.running == 5)
        assert queue.waiting >= 15
        wait(futures)
    assert counting.most == 5


def test_of_one_host_the_pictures_come_in_turn_and_hosts_take_turns(site, other):
    asked = []

    def noting(name):
        def pieces():
            asked.append(name)
            yield FINE

        return pieces

    for number in range(4):
        site.answers[f"/{number}"] = noting(("site", number))
        other.answers[f"/{number}"] = noting(("other", number))
    with queue_for(site, other, concurrency=1) as queue:
        site.answers["/first"] = Counting(FINE, seconds=0.2)
        futures = [queue.submit(site.url("/first"))]
        until(lambda: queue.running == 1)
        futures += [queue.submit(site.url(f"/{number}")) for number in range(4)]
        futures += [queue.submit(other.url(f"/{number}")) for number in range(4)]
        wait(futures)
    assert asked == [(name, number) for number in range(4) for name in ("site", "other")]


def test_waiting_for_a_busy_host_counts_into_the_time_limit(site):
    site.answers["/slow"] = Counting(FINE, seconds=0.7)
    with queue_for(site, per_host=1, total_seconds=1) as queue:
        started = time.monotonic()
        futures = [queue.submit(site.url("/slow")) for _ in range(3)]
        assert futures[0].result(2) == PICTURE
        hurried, late = refusal(futures[1]), refusal(futures[2])
        assert 0.9 < time.monotonic() - started < 1.5
        assert (hurried.reason, late.reason) == ("fetch_timeout", "fetch_timeout")
        assert late.retryable
        assert "did not arrive" in hurried.detail
        assert f"127.0.0.1:{site.port} was busy" in late.detail


def test_pictures_that_had_no_time_left_after_waiting_do_not_bring_a_busy_host_down(site):
    site.answers["/slow"] = Counting(FINE, seconds=0.6)
    with queue_for(site, per_host=1, total_seconds=1, breaker_failures=1) as queue:
        futures = [queue.submit(site.url("/slow")) for _ in range(2)]
        wait(futures)
        assert refusal(futures[1]).reason == "fetch_timeout"
        assert queue.hosts_down == 0


def test_what_waits_can_be_cancelled_and_is_never_asked_for(site):
    site.answers["/slow"] = Counting(FINE, seconds=0.3)
    with queue_for(site, per_host=1) as queue:
        first = queue.submit(site.url("/slow"))
        until(lambda: queue.running == 1)
        second, third = queue.submit(site.url("/busy")), queue.submit(site.url("/a.jpg"))
        assert second.cancel()
        assert queue.waiting == 1
        assert wait([second], 1).done == {second}
        assert not first.cancel()
        assert third.result(2) == PICTURE
    assert "/busy" not in site.asked


def test_a_closed_queue_cancels_what_waits_and_returns_at_once(site):
    site.answers["/slow"] = Counting(FINE, seconds=0.5)
    with queue_for(site, per_host=1) as queue:
        futures = [queue.submit(site.url("/slow")) for _ in range(20)]
        until(lambda: queue.running == 1)
        started = time.monotonic()
        queue.close()
        assert time.monotonic() - started < 0.1
        assert all(future.cancelled() for future in futures[1:])
        assert queue.submit(site.url("/a.jpg")).cancelled()
        assert futures[0].result(1) == PICTURE
        with pytest.raises(CancelledError):
            futures[1].result(0)


def test_a_closed_queue_leaves_no_thread_behind(site):
    before = threading.active_count()
    with queue_for(site) as queue:
        assert queue.submit(site.url("/a.jpg")).result(2) == PICTURE
        assert threading.active_count() > before
    until(lambda: not any(thread.name.startswith("fetch-") for thread in threading.enumerate()))


def test_however_many_threads_submit_and_cancel_every_future_ends_and_nothing_is_left(tmp_path, site):
    (tmp_path / "a.jpg").write_bytes(PICTURE)
    urls = [f"file://{tmp_path}/a.jpg", f"file://{tmp_path}/no", "s3://none/a.jpg", site.url("/a.jpg"), "http://["]
    futures = []

    def submit(number):
        chance = random.Random(number)
        for _ in range(200):
            future = queue.submit(chance.choice(urls))
            futures.append(future)
            if chance.random() < 0.3:
                future.cancel()

    with queue_for(site, file_root=tmp_path, concurrency=6, per_host=2) as queue:
        threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wait(futures, 10).done) == 1600
        until(lambda: queue.running == queue.waiting == 0)
    came = [future for future in futures if not future.cancelled()]
    assert {future.exception().reason if future.exception() else future.result() for future in came} == {
        PICTURE,
        "not_found",
        "bucket_not_allowed",
        "url_invalid",
    }


def test_a_url_that_cannot_be_read_is_refused_in_its_future_without_waiting(site):
    with queue_for(site) as queue:
        for url, reason in {
            "": "url_invalid",
            "http://[": "url_invalid",
            "http://a@127.0.0.1/": "url_invalid",
            "s3://": "url_invalid",
            "gopher://127.0.0.1/": "scheme_not_allowed",
            "file:///etc/passwd": "file_root_not_set",
        }.items():
            assert refusal(queue.submit(url)).reason == reason


def timed(call):
    """The seconds that a call took, and what it gave."""
    started = time.monotonic()
    given = call()
    return time.monotonic() - started, given


def down(queue, site, failures=3):
    for _ in range(failures):
        assert refusal(queue.submit(site.url("/busy"))).reason == "http_status"
    return queue


def test_a_host_that_fails_again_and_again_is_refused_at_once_then_tried_once_and_comes_back(site, other):
    clock = Clock()
    with queue_for(site, other, clock=clock, breaker_failures=3, breaker_seconds=15) as queue:
        down(queue, site)
        assert queue.hosts_down == 1
        refusals = [timed(lambda: refusal(queue.submit(site.url(SIGNED)))) for _ in range(5)]
        assert min(seconds for seconds, _ in refusals) < 0.01
        refused = refusals[0][1]
        assert (refused.reason, refused.retryable) == ("host_down", True)
        assert f"http://127.0.0.1:{site.port} failed 3 times" in refused.detail
        assert "secret" not in refused.detail
        assert queue.submit(other.url("/a.jpg")).result(1) == PICTURE

        clock.ahead += 15.1
        site.answers["/slow"] = trial = Counting(FINE, seconds=0.2)
        futures = [queue.submit(site.url("/slow")) for _ in range(10)]
        assert queue.hosts_down == 1
        assert [refusal(future).reason for future in futures[1:]] == ["host_down"] * 9
        assert futures[0].result(1) == PICTURE
        assert len(trial.began) == 1
        assert queue.hosts_down == 0
        assert queue.submit(site.url("/a.jpg")).result(1) == PICTURE
    assert site.asked.count("/busy") == 3


def test_a_host_whose_trial_fails_stays_down(site):
    clock = Clock()
    with queue_for(site, clock=clock, breaker_failures=3, breaker_seconds=15) as queue:
        down(queue, site)
        clock.ahead += 15.1
        assert refusal(queue.submit(site.url("/busy"))).reason == "http_status"
        assert refusal(queue.submit(site.url("/a.jpg"))).reason == "host_down"
        clock.ahead += 15.1
        assert queue.submit(site.url("/a.jpg")).result(1) == PICTURE


def test_a_trial_that_is_cancelled_leaves_the_next_picture_to_be_the_trial(site, other):
    clock = Clock()
    other.answers["/slow"] = Counting(FINE, seconds=0.3)
    with queue_for(site, other, clock=clock, breaker_failures=3, breaker_seconds=1, concurrency=1) as queue:
        down(queue, site)
        clock.ahead += 1.1
        queue.submit(other.url("/slow"))
        until(lambda: queue.running == 1)
        trial = queue.submit(site.url("/a.jpg"))
        assert refusal(queue.submit(site.url("/a.jpg"))).reason == "host_down"
        assert trial.cancel()
        assert queue.submit(site.url("/a.jpg")).result(2) == PICTURE


def test_what_waits_for_a_host_that_goes_down_is_refused_with_it(site):
    site.answers["/slow-busy"] = Counting(BUSY, seconds=0.1)
    with queue_for(site, per_host=1, breaker_failures=1) as queue:
        started = time.monotonic()
        futures = [queue.submit(site.url("/slow-busy")) for _ in range(20)]
        assert [refusal(future).reason for future in futures] == ["http_status"] + ["host_down"] * 19
        assert time.monotonic() - started < 1
        assert queue.waiting == 0


def test_pictures_that_are_not_there_or_not_to_be_had_do_not_bring_a_host_down(site):
    site.answers |= {
        "/big": answer(b"", length=MAX_BYTES + 1),
        "/forbidden": answer(status="403 Forbidden"),
        "/round": redirect("/round"),
    }
    with queue_for(site, breaker_failures=2) as queue:
        reasons = [refusal(queue.submit(site.url(path))).reason for path in ("/no", "/big", "/forbidden", "/round") * 3]
        assert set(reasons) == {"not_found", "too_many_bytes", "http_status", "too_many_redirects"}
        down(queue, site, failures=1)
        refusal(queue.submit(site.url("/no")))
        down(queue, site, failures=1)
        assert queue.submit(site.url("/a.jpg")).result(1) == PICTURE


def test_a_host_that_nobody_asks_for_any_more_is_no_longer_counted_as_down(site):
    clock = Clock()
    with queue_for(site, clock=clock, breaker_failures=3, breaker_seconds=15) as queue:
        down(queue, site)
        clock.ahead += 250
        assert queue.hosts_down == 1
        clock.ahead += 60
        assert queue.hosts_down == 0


def test_the_log_names_a_host_once_when_it_goes_down_and_once_when_it_is_back(site, caplog):
    clock = Clock()
    caplog.set_level(logging.WARNING, "likeness.fetch")
    with queue_for(site, clock=clock, breaker_failures=3, breaker_seconds=15) as queue:
        down(queue, site)
        for _ in range(5):
            refusal(queue.submit(site.url(SIGNED)))
        clock.ahead += 15.1
        queue.submit(site.url(SIGNED)).result(1)
    went, came = [record.getMessage() for record in caplog.records]
    host = f"http://127.0.0.1:{site.port}"
    failed = "3 fetches in a row failed, the last with http_status. Next try in 15 s."
    assert went == f"The picture host {host} is down: {failed}"
    assert came == f"The picture host {host} works again."


def test_failures_that_come_together_are_not_tried_again_together(site):
    together, asked, pauses = threading.Barrier(16), iter(range(32)), []

    def pieces():
        if next(asked) < 16:
            together.wait(5)
            yield BUSY
        else:
            yield FINE

    def sleep(seconds):
        pauses.append(seconds)
        time.sleep(seconds)

    site.answers["/together"] = pieces
    with queue_for(site, per_host=16, attempts=2, sleep=sleep) as queue:
        futures = [queue.submit(site.url("/together")) for _ in range(16)]
        assert [future.result(3) for future in futures] == [PICTURE] * 16
    assert len(set(pauses)) == 16
    assert max(pauses) - min(pauses) > 0.04


def test_a_pause_before_another_try_does_not_overrun_the_time_limit(site):
    with queue_for(site, total_seconds=0.6, attempts=1000, breaker_failures=1) as queue:
        started = time.monotonic()
        assert refusal(queue.submit(site.url("/busy"))).reason == "http_status"
        assert time.monotonic() - started < 0.8


def test_a_name_that_hangs_in_the_resolver_does_not_hold_up_other_hosts(site):
    known, answered = resolving([["127.0.0.1"]]), threading.Event()
    looked_up = []

    def resolve(host, port, **keywords):
        looked_up.append(host)
        if host == "hangs.example":
            answered.wait(20)
        return known(host, port, **keywords)

    host = f"img.example:{site.port}"
    with queue_for(allowed_hosts=["*.example"], private_hosts=[host], total_seconds=2, resolve=resolve) as queue:
        started = time.monotonic()
        slow = [queue.submit("http://hangs.example/a.jpg") for _ in range(100)]
        fast = [queue.submit(f"http://{host}/a.jpg") for _ in range(100)]
        assert [future.result(2) for future in fast] == [PICTURE] * 100
        assert time.monotonic() - started < 1.5
        assert {refusal(future).reason for future in slow} <= {"fetch_timeout", "host_down"}
        assert looked_up.count("hangs.example") == 1
        answered.set()
