"""The report of an evaluation: one page that says what was measured, and needs and runs nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from detector.calibration import Calibration
from detector.impostor_tail import ImpostorTail
from detector.policy import Policy, PolicySettings
from likeness.evaluation import evaluate_faces, notable
from likeness.explaining import BUDGETS, GALLERIES, explain, price_curves
from likeness.face_sets import EmbeddedFaces, FaceSet
from likeness.plots import price, standalone
from likeness.report import report

TAIL = ImpostorTail(start=0.3, rate=0.01, slope=26, curvature=120, supported_fmr=1e-6)
WORSE = ImpostorTail(start=0.36, rate=0.01, slope=26, curvature=120, supported_fmr=1e-4)
GENUINE = tuple(float(share) for share in np.linspace(1, 0, 51))
HOSTILE = "<script>alert('$x^2$')</script>"


def calibration(**cohorts):
    return Calibration("pack@1", "made-up faces", 900, 1800, 0.0, TAIL, GENUINE, cohorts)


def policy(**changed):
    settings = {
        "review_budget": 1.0,
        "faces_per_upload": 1.0,
        "threshold": None,
        "worst_cohort": False,
        "name_claim_fmr": 1e-3,
        **changed,
    }
    known = settings.pop("calibration", calibration())
    return Policy("pack@1", PolicySettings(**settings), known)


@pytest.fixture(scope="module")
def measured():
    """The evaluation of made-up faces of two cohorts, one of a hostile name whose people all look alike; its curves."""
    random = np.random.default_rng(1)
    centres = random.normal(size=(240, 32)) / np.sqrt(32)
    centres[160:, 0] += 0.9
    people = np.array([person for person in range(240) for _ in range(1 + person % 2)])
    embeddings = centres[people] + 0.35 * random.normal(size=(len(people), 32)) / np.sqrt(32)
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    names = tuple(f"person {number}" for number in range(240))
    cohorts = tuple("plain" if number < 160 else HOSTILE for number in range(240))
    photos = tuple(Path(f"{number}.jpg") for number in range(len(people)))
    faces = FaceSet(photos, tuple(people), names, cohorts, ("A remark & more.",))
    found = EmbeddedFaces(embeddings, np.arange(len(people)), people, np.array(cohorts)[people], ())
    return evaluate_faces("pack@1", faces, found, policy(), None, np.random.default_rng(2))


class Page(HTMLParser):
    """Tags, attributes and text; fails on a tag that is closed out of turn."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids, self._open, self.text = [], [], [], [], ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_report_holds_no_script_no_picture_and_no_address_to_load_from(measured):
    text = report(*measured)
    page = Page(text)
    assert not {"script", "img", "image", "link", "iframe", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    addresses = [value for name, value in page.attributes if name.endswith("href")]
    assert all(value.startswith("#") for value in addresses)
    assert not re.search(r"@import|url\((?!#)", text)
    assert HOSTILE in page.text


def test_every_id_of_the_report_is_used_once(measured):
    page = Page(report(*measured))
    assert len(page.ids) == len(set(page.ids))


def test_the_report_has_both_plots_all_terms_and_every_group_in_every_table(measured):
    page = Page(report(*measured))
    assert page.tags.count("svg") == 2
    assert page.tags.count("th") > 20
    for words in ("ROC", "DET", "FMR", "FNMR", "FPIR", "TPIR", "95 % interval", "Cosine", "A remark & more."):
        assert words in page.text
    tables = len(measured[0].thresholds) + 1
    for group in ("all people", "plain", HOSTILE):
        assert page.text.count(group) >= tables
    assert "unresolved" in page.text
    assert "currentColor" in report(*measured)


def test_the_same_evaluation_gives_the_same_report(measured):
    assert report(*measured) == report(*measured)


def test_the_policy_s_threshold_for_a_gallery_of_that_size_comes_first(measured):
    result, _ = measured
    expected = policy().at(result.references).review
    assert result.thresholds[0].cosine == pytest.approx(expected)
    assert "a budget of 1 per 1,000 uploads" in result.thresholds[0].name
    assert [group.at[0].threshold for group in result.groups] == [expected] * 3


def test_the_cohort_that_stands_out_and_the_worst_one_are_named_in_sentences(measured):
    said = notable(measured[0])
    assert any(sentence.startswith(f"{HOSTILE} stands out, for the worse: FMR ") for sentence in said)
    assert any(sentence.startswith(f"The highest FPIR is that of {HOSTILE}: ") for sentence in said)
    assert said[-1] == "A remark & more."


def test_a_larger_budget_or_a_smaller_gallery_never_detects_less():
    prices = {(one.references, one.review_budget): one for one in explain(policy(), 1000).prices}
    assert len(prices) == len(BUDGETS) * len(GALLERIES)
    for size in GALLERIES:
        cosines = [prices[size, budget].cosine for budget in BUDGETS]
        assert cosines == sorted(cosines, reverse=True)
    for budget in BUDGETS:
        rates = [prices[size, budget].detection_rate for size in GALLERIES]
        assert rates == sorted(rates, reverse=True)
    assert not prices[1000, 10.0].extrapolated
    assert prices[10_000_000, 0.1].extrapolated


def test_holding_the_budget_for_the_worst_cohort_costs_detection_and_the_cost_is_told():
    with_cohorts = policy(calibration=calibration(plain=TAIL, alike=WORSE))
    found = explain(with_cohorts, 1000)
    assert [one.cohort for one in found.cohorts] == ["alike", "plain"]
    assert found.cohorts[0].false_alarms > 3 > 1 == pytest.approx(found.cohorts[1].false_alarms, rel=0.01)
    assert found.worst_cohort.review == pytest.approx(found.cohorts[0].cosine)
    assert found.worst_cohort.detection_rate < found.on_average.detection_rate
    held = explain(policy(calibration=calibration(plain=TAIL, alike=WORSE), worst_cohort=True), 1000)
    assert held.thresholds.review == found.worst_cohort.review
    assert held.on_average.review == found.on_average.review


def test_a_fixed_threshold_is_explained_beside_what_the_budget_would_ask_for():
    found = explain(policy(threshold=0.45), 1000)
    assert found.thresholds.review == 0.45
    assert found.thresholds.fpir > found.on_average.fpir == pytest.approx(0.001)
    assert explain(policy(threshold=0.45, calibration=None), 1000).prices == ()


def test_the_plot_of_the_price_has_a_curve_for_every_gallery_and_stands_on_its_own():
    budgets = np.geomspace(0.1, 10, 9)
    svg = standalone(price(budgets, price_curves(policy(), budgets)))
    Page(svg)
    for words in ("1,000", "10,000,000", "extrapolated", "expected TPIR", "prefers-color-scheme"):
        assert words in svg
