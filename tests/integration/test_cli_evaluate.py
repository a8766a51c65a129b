"""`likeness evaluate`, `likeness calibrate` and `likeness policy explain` as their users run them."""

import json
import os
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from tests.support.portraits import fit, jpeg, read_rgb
from tests.support.program import Program

PEOPLE = {
    "Macron": ("person_a_1", "person_a_2"),
    "Ardern": ("person_b_1", "person_b_2"),
    "Obama": ("impostor_1",),
    "Sunak": ("impostor_2",),
}
COHORTS = {"Macron": "men", "Obama": "men", "Sunak": "men", "Ardern": "women"}


@pytest.fixture
def bare(tmp_path):
    """`likeness` in a home with nothing in it."""
    return Program(tmp_path / "home")


@pytest.fixture(scope="module")
def likeness(tmp_path_factory, models):
    """`likeness` in a home with the default models and an empty gallery."""
    home = tmp_path_factory.mktemp("evaluating") / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    return Program(home)


@pytest.fixture(scope="module")
def faces(tmp_path_factory, portraits):
    """A folder per cohort with a folder per identity: two people with two photos, two with one."""
    folder = tmp_path_factory.mktemp("faces")
    for person, photos in PEOPLE.items():
        (folder / COHORTS[person] / person).mkdir(parents=True)
        for photo in photos:
            small = jpeg(fit(read_rgb(portraits[f"{photo}.jpg"]), 400))
            (folder / COHORTS[person] / person / f"{photo}.jpg").write_bytes(small)
    return folder


@pytest.fixture(scope="module")
def many(real_faces, tmp_path_factory):
    """Every eighth identity of a real set, in two cohorts that mean nothing."""
    folder = tmp_path_factory.mktemp("many")
    for number, identity in enumerate(sorted((real_faces / "lfw_dev").iterdir())[::8]):
        cohort = folder / ("even" if number % 2 else "odd")
        cohort.mkdir(exist_ok=True)
        (cohort / identity.name).symlink_to(identity)
    return folder


# Evaluation


def test_evaluate_reports_every_cohort_and_says_what_so_few_people_leave_unresolved(likeness, faces, tmp_path):
    ended = likeness("evaluate", faces, "--json", "--report", tmp_path / "report.html")
    assert (ended.code, ended.err) == (0, "")
    (measured,) = ended.lines
    assert [group["cohort"] for group in measured["groups"]] == [None, "men", "women"]
    everybody, men, women = (group["at"][0] for group in measured["groups"])
    assert (everybody["fmr"]["value"], everybody["fpir"]["value"], everybody["tpir"]["value"]) == (0.0, 0.0, 1.0)
    assert everybody["fpir"]["high"] == 1.0
    assert women["fmr"] is None and women["fpir"] is None
    assert men["fmr"]["value"] == 0.0
    assert all(at["fnmr"] is None for at in measured["groups"][0]["fnmr_at"])
    page = (tmp_path / "report.html").read_text()
    assert "unresolved" in page and "women" in page and "<svg" in page
    text = likeness("evaluate", faces).out
    assert "unresolved" in text
    assert "the policy's for a budget of 1 per 1,000 uploads and 2 references" in text


def test_evaluate_takes_cohorts_from_a_file(likeness, faces, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for person, cohort in COHORTS.items():
        (flat / person).symlink_to(faces / cohort / person)
    labels, report = tmp_path / os.fsdecode(b"labels-\xff.csv"), tmp_path / "report.html"
    labels.write_text("identity,cohort\nMacron,men\nObama,men\nArdern,women\nNobody,men\n")
    (measured,) = likeness("evaluate", flat, "--json", "--cohorts", labels, "--report", report).lines
    assert [(group["cohort"], group["people"]) for group in measured["groups"]] == [(None, 4), ("men", 2), ("women", 1)]
    assert any("Nobody" in remark for remark in measured["remarks"])
    assert any("No cohort is given for Sunak" in remark for remark in measured["remarks"])
    assert "labels-?.csv names Nobody not in the folder" in report.read_text(encoding="utf-8")


def test_the_threshold_in_the_settings_is_the_one_that_is_measured(likeness, faces):
    (measured,) = likeness("evaluate", faces, "--json", LIKENESS_POLICY__THRESHOLD="0.61").lines
    assert measured["thresholds"][0] == {"name": "policy.threshold", "cosine": 0.61}


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("/no/such/folder/report.html", "There is no folder /no/such/folder."),
        ("/tmp", "/tmp is a folder; name a file in it."),
    ],
)
def test_a_report_that_cannot_be_written_is_told_before_the_work(bare, faces, report, said):
    ended = bare("evaluate", faces, "--report", report)
    assert (ended.code, ended.sentence) == (2, said)


def test_real_faces_give_rates_with_intervals_in_every_cohort(likeness, many, tmp_path):
    report = tmp_path / "report.html"
    ended = likeness("evaluate", many, "--json", "--report", report)
    assert ended.code == 0
    (measured,) = ended.lines
    everybody = measured["groups"][0]["at"][0]
    assert everybody["tpir"]["value"] > 0.85
    assert everybody["fmr"]["high"] < 1e-3
    for group in measured["groups"]:
        for name in ("fmr", "fnmr", "fpir", "tpir"):
            rate = group["at"][0][name]
            assert rate["low"] <= rate["value"] <= rate["high"]
    at = measured["groups"][0]["fnmr_at"][0]
    assert 0.25 < at["threshold"] < 0.35
    assert at["fnmr"]["value"] < 0.05
    page = report.read_text()
    assert page.count("<svg") == 2
    assert not re.search(r"<(img|script|image)|data:image", page)


# Calibration


def test_a_calibration_of_real_faces_is_written_explained_and_used(likeness, many, tmp_path):
    file, sheet = tmp_path / "own.toml", tmp_path / "sheet.html"
    ended = likeness("calibrate", many, "--data", "an eighth", "--out", file, "--sheet", sheet)
    assert (ended.code, ended.err) == (0, "")
    written = tomllib.loads(file.read_text())
    assert (written["pack"], written["data"]) == ("opencv-zoo@1", "an eighth")
    assert 0.25 < written["tail"]["start"] < 0.35
    assert "pairs of photos are reckoned to be" in ended.out
    assert "supported" in ended.out and "extrapolated" in ended.out
    assert set(written["cohorts"]) == {"even", "odd"} or "Too few people for a table of their own" in ended.out
    assert sheet.read_text().count("<img") == 40
    settings = {"LIKENESS_POLICY__CALIBRATION": str(file), "LIKENESS_POLICY__THRESHOLD": ""}
    (explained,) = likeness("policy", "explain", "--references", "100", "--json", **settings).lines
    assert explained["data"] == "an eighth"
    assert 0.35 < explained["thresholds"]["review"] < 0.6


def test_a_calibration_of_too_few_people_is_refused_and_nothing_is_written(likeness, faces, tmp_path):
    ended = likeness("calibrate", faces, "--data", "six portraits", "--out", tmp_path / "own.toml")
    assert ended.code == 2
    assert ended.sentence.startswith("A calibration needs the faces of at least")
    assert not (tmp_path / "own.toml").exists()


def test_a_calibration_is_made_although_the_settings_name_its_file_already(likeness, faces, tmp_path):
    file = tmp_path / "own.toml"
    settings = {"LIKENESS_POLICY__CALIBRATION": str(file), "LIKENESS_POLICY__HOLDS_FOR": "worst_cohort"}
    ended = likeness("calibrate", faces, "--data", "six portraits", "--out", file, **settings)
    assert ended.sentence.startswith("A calibration needs the faces of at least")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/no/such/folder", "--data", "x", "--out", "x.toml"), "There is no folder /no/such/folder."),
        (("/tmp", "--data", " ", "--out", "x.toml"), "--data must say what these faces are."),
        (("/tmp", "--data", "\udcff", "--out", "x.toml"), "--data is not text in UTF-8: '\\udcff'."),
        (("/tmp", "--data", "x", "--out", "/no/such/x.toml"), "There is no folder /no/such."),
        (("/tmp", "--data", "x", "--out", "/tmp"), "/tmp is a folder; name a file in it."),
        (("/tmp", "--data", "x", "--out", "x.toml", "--sheet", "/tmp"), "/tmp is a folder; name a file in it."),
    ],
)
def test_what_cannot_be_calibrated_is_told_in_one_sentence(bare, words, said):
    ended = bare("calibrate", *words)
    assert (ended.code, ended.sentence) == (2, said)


def test_a_cohort_whose_folder_s_name_is_not_utf_8_is_told_before_the_work(bare, faces, tmp_path):
    (tmp_path / "cohorts").mkdir()
    (tmp_path / "cohorts" / os.fsdecode(b"caf\xe9")).symlink_to(faces / "men")
    for words in (("calibrate", "--data", "x", "--out", tmp_path / "own.toml"), ("evaluate",)):
        ended = bare(*words, tmp_path / "cohorts")
        assert ended.code == 2
        assert ended.sentence.startswith(f"A name in {tmp_path}/cohorts is not text in UTF-8: 'caf\\udce9/")


# The policy


def test_the_chain_from_budget_to_cosine_is_explained_without_models(bare, tmp_path):
    plot = tmp_path / "price.svg"
    ended = bare("policy", "explain", "--references", 100_000, "--plot", plot)
    assert (ended.code, ended.err) == (0, "")
    for words in ("budget", "FPIR", "0.100%", "FMR", "1.00e-08", "cosine", "extrapolated", "10,000,000", "no cohorts"):
        assert words in ended.out
    assert plot.read_text().startswith("<svg")


def test_the_gallery_s_own_size_is_taken_and_a_larger_one_asks_for_a_higher_cosine(bare):
    def explained(*words):
        (found,) = bare("policy", "explain", "--json", *words).lines
        return found["thresholds"]

    empty, small, large = explained(), explained("--references", 100), explained("--references", 10_000)
    assert empty["references"] == 0
    assert empty["review"] < small["review"] < large["review"]
    assert explained("--references", 100, "--budget", 10)["review"] < small["review"]


def test_a_fixed_threshold_says_what_it_gives_and_what_the_budget_would_ask_for(bare):
    ended = bare("policy", "explain", "--references", 1000, LIKENESS_POLICY__THRESHOLD="0.45")
    assert "policy.threshold, whatever the budget and the gallery's size" in ended.out
    assert re.search(r"Without policy.threshold the budget would ask for cosine 0\.5\d\d\.", ended.out)


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        ((), {"LIKENESS_MODELS__PACK": "buffalo_l"}, "has no calibration: make one by `likeness calibrate DIR`"),
        ((), {"LIKENESS_POLICY__CALIBRATION": "/no/such.toml"}, "The calibration /no/such.toml cannot be read"),
        ((), {"LIKENESS_POLICY__HOLDS_FOR": "worst_cohort"}, "the calibration has no cohorts"),
        (("--budget", "0.0001"), {}, "--budget must lie between 0.001 and 1,000."),
        (
            ("--plot", "/tmp/x.svg"),
            {"LIKENESS_MODELS__PACK": "buffalo_l", "LIKENESS_POLICY__THRESHOLD": "0.4"},
            "There is nothing to plot",
        ),
    ],
)
def test_a_policy_that_cannot_be_explained_is_told_in_one_sentence(bare, words, variables, said):
    ended = bare("policy", "explain", "--references", 10, *words, **variables)
    assert ended.code == 2
    assert said in ended.sentence


def test_a_threshold_without_a_calibration_is_explained_as_far_as_it_goes(bare):
    settings = {"LIKENESS_MODELS__PACK": "buffalo_l", "LIKENESS_POLICY__THRESHOLD": "0.4"}
    ended = bare("policy", "explain", "--references", 10, **settings)
    assert "Without a calibration no rate is known" in ended.out
    (found,) = bare("policy", "explain", "--references", 10, "--json", **settings).lines
    assert np.isclose(found["thresholds"]["review"], 0.4)
    assert json.dumps(found["prices"]) == "[]"


def test_where_matplotlib_is_missing_a_plot_is_refused_in_one_sentence_and_all_else_works(bare, tmp_path):
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "matplotlib.py").write_text("raise ImportError\n")
    environment = os.environ | {"LIKENESS_HOME": str(bare.home), "PYTHONPATH": str(tmp_path / "without")}

    def explained(*words):
        command = [sys.executable, "-m", "likeness", "policy", "explain", "--references", "10", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    assert explained().returncode == 0
    refused = explained("--plot", str(tmp_path / "price.svg"))
    assert refused.returncode == 2
    assert refused.stderr == "likeness: Plots need matplotlib: install likeness with its extra `report`.\n"
