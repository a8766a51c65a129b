"""docs/policy.md tells of the figures, kinds, sentences, settings and commands that there are."""

import re
from typing import get_args

import pytest
import typer.main

from config import Settings, packaged
from detector import explanation
from detector.packs import read_packs
from detector.policy import Policy, PolicySettings
from detector.priority import URGENCY
from detector.verdict import FindingKind, ForeignText, NameClaim, RunnerUp, SamePhoto
from likeness.explaining import price
from likeness.main import app
from records.decision_log import Decision
from tests.support.deployed import ROOT

DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
GUIDE = DOCS["policy.md"]
PACK = read_packs(packaged("models.toml"))["opencv-zoo"]
POLICY = Policy(PACK.id, PolicySettings(1.0, 1.0, None, False, 0.001), PACK.calibration)


def section(heading, page=GUIDE):
    return re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", page, re.M | re.S)[1]


def table(heading, page=GUIDE):
    """The first table of a section, a row by its first cell."""
    rows = re.findall(r"^ *\| (.*) \|$", section(heading, page), re.M)
    cells = [[cell.strip(" `") for cell in row.split(" | ")] for row in rows]
    return {row[0]: row[1:] for row in cells}


def test_the_worked_example_is_what_the_default_calibration_gives():
    told, at = table("From a budget to a cosine"), POLICY.at(10_000)
    assert told["FPIR"][0] == f"{100 * at.fpir:.1g} %"
    assert told["FMR"][0] == f"{at.fmr:.1e}"
    assert told["cosine"][0] == f"{at.review:.3f}"


@pytest.mark.parametrize("references", [1_000, 10_000, 100_000, 1_000_000])
def test_the_price_of_a_budget_is_what_the_default_calibration_gives(references):
    rates = [f"{100 * price(POLICY, budget, references).detection_rate:.1f} %" for budget in (0.1, 1, 10)]
    assert table("From a budget to a cosine")[f"{references:,}"] == rates


def test_the_reach_of_the_default_calibration_is_told():
    assert f"{PACK.calibration.tail.supported_fmr:.1e}" in section("Calibration")
    assert not POLICY.at(90).extrapolated
    assert POLICY.at(100).extrapolated


@pytest.mark.parametrize(("heading", "page"), [("Findings", "policy.md"), ("Kinds of findings", "messages.md")])
def test_every_kind_of_finding_is_told_and_no_other(heading, page):
    assert list(table(heading, DOCS[page]))[1:] == list(get_args(FindingKind))


def test_the_urgency_of_every_kind_is_told():
    told = table("Priority")
    assert {kind: float(told[kind][0]) for kind in URGENCY} == URGENCY
    assert list(URGENCY) == list(told)[1:]


def test_the_sentences_told_are_those_that_moderators_read():
    ana, rival = "Ana Example", RunnerUp("idn_2", "Eva Sample", 0.6)
    sentences = {
        "same_picture": [
            explanation.explain_same_photo(ana, SamePhoto("picture", 4, "mirrored", 1.0), cropped=False),
            explanation.explain_same_photo(ana, SamePhoto("picture", 4, "as_it_is", 1.0, True), cropped=False),
            explanation.explain_same_photo(ana, SamePhoto("face", 4, "as_it_is", 1.0), cropped=False),
        ],
        "cropped_picture": [explanation.explain_same_photo(ana, SamePhoto("face", 4, "as_it_is", 0.4), cropped=True)],
        "same_person": [explanation.explain_same_person(ana)],
        "look_alike_risk": [
            explanation.explain_look_alike(ana, None, poor=False, nearer=False),
            explanation.explain_look_alike(ana, rival, poor=False, nearer=False),
            explanation.explain_look_alike(ana, rival, poor=False, nearer=True),
            explanation.explain_look_alike(ana, None, poor=True, nearer=False),
        ],
        "name_claim": [explanation.explain_name_claim(ana, NameClaim("display_name", "Ana Example official"))],
        "foreign_watermark": [explanation.explain_foreign_text(ForeignText("@ana.example", (0, 0, 1, 1), "handle"))],
    }
    assert {kind: row[-1].split(" / ") for kind, row in table("Findings").items() if kind in sentences} == sentences


def test_every_decision_is_told_and_no_other():
    assert list(table("Decisions"))[1:] == list(get_args(Decision))


def test_every_setting_that_is_named_exists():
    named = set(re.findall(r"`([a-z]+)\.([a-z_]+)(?: = [^`]+)?`", GUIDE))
    named |= {(section.lower(), name.lower()) for section, name in re.findall(r"LIKENESS_([A-Z]+)__([A-Z_]+)", GUIDE)}
    assert {section for section, _ in named} >= {"policy", "watermark", "quarantine", "shadow"}
    for name, field in named:
        assert field in Settings.model_fields[name].annotation.model_fields, f"{name}.{field}"


def commands_called():
    text = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.S))
    calls = re.findall(r"^likeness (.*)$", text, re.M) + re.findall(r"`(?:LIKENESS_\S+ )?likeness ([^`]*)`", GUIDE)
    return sorted({re.sub(r'"[^"]*"', "TEXT", call) for call in calls})


@pytest.mark.parametrize("call", commands_called())
def test_every_command_that_is_told_exists_with_its_options(call):
    command, words = typer.main.get_command(app), call.split()
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", DOCS)
def test_a_page_has_no_dead_links(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", DOCS[page]):
        file, _, anchor = target.partition("#")
        assert (ROOT / "docs" / (file or page)).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", DOCS[file or page], re.M)
            anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert anchor in anchors, target
