import socket
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumers.health import HealthServer
from consumers.metrics import Metrics


@pytest.fixture
def troubles():
    """What the probes answer; None is well."""
    return {"healthy": None, "ready": None}


@pytest.fixture
def served(troubles):
    metrics = Metrics()
    server = HealthServer("127.0.0.1", 0, metrics.registry, lambda: troubles["healthy"], lambda: troubles["ready"])
    yield server, metrics
    server.close()


def get(server, path):
    """Status, content type and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_that_is_well_answers_200(served, path):
    assert get(served[0], path) == (200, "text/plain; charset=utf-8", "ok\n")


def test_a_probe_that_is_not_well_answers_503_and_says_why(served, troubles):
    troubles["ready"] = "Waiting for the broker – kafka:9092."
    assert get(served[0], "/readyz") == (503, "text/plain; charset=utf-8", "Waiting for the broker – kafka:9092.\n")
    assert get(served[0], "/healthz")[0] == 200
    troubles |= {"ready": None, "healthy": "The consumer has not polled for 400 s."}
    assert get(served[0], "/readyz")[0] == 200
    assert get(served[0], "/healthz") == (
        503,
        "text/plain; charset=utf-8",
        "The consumer has not polled for 400 s.\n",
    )


def test_every_metric_is_served_with_what_was_counted(served):
    server, metrics = served
    metrics.events.labels("clear").inc(3)
    metrics.dead_letters.labels("not_json").inc()
    metrics.stage.labels("decode").observe(0.004)
    metrics.gallery_version.set(17)
    status, kind, body = get(server, "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert sample(families, "likeness_events_total", outcome="clear") == 3
    assert sample(families, "likeness_dead_letters_total", reason="not_json") == 1
    assert sample(families, "likeness_stage_seconds_count", stage="decode") == 1
    assert sample(families, "likeness_gallery_version") == 17
    assert "process_resident_memory_bytes" in families


def sample(families, name, **labels):
    return next(
        one.value for family in families.values() for one in family.samples if one.name == name and one.labels == labels
    )


def test_metrics_are_labelled_with_nothing_that_tells_of_a_person():
    allowed = {"outcome", "reason", "kind", "by", "stage", "result", "partition", "shadow", "change", "how"}
    labels = {label for metric in vars(Metrics()).values() for label in getattr(metric, "_labelnames", ())}
    assert labels <= allowed


def test_other_paths_are_not_found(served):
    status, _, body = get(served[0], "/")
    assert (status, body) == (404, "There are /metrics, /healthz and /readyz.\n")


def test_a_client_that_says_nothing_holds_up_nobody(served):
    with socket.create_connection(("127.0.0.1", served[0].port), timeout=10):
        assert get(served[0], "/healthz")[0] == 200


def test_probes_are_asked_side_by_side(served, troubles):
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(get(served[0], "/healthz")[0])) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(10)
    assert answers == [200] * 8


def test_a_port_that_is_taken_is_an_error_at_once(served):
    with pytest.raises(OSError, match="in use"):
        HealthServer("127.0.0.1", served[0].port, Metrics().registry, lambda: None, lambda: None)


def test_a_closed_server_has_left_its_port(troubles):
    server = HealthServer("127.0.0.1", 0, Metrics().registry, lambda: None, lambda: None)
    server.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=10)
