"""docs/operations.md tells of commands, settings, metrics, alerts and exit codes that there are, and of all of them."""

import json
import re

import pytest
import typer.main
from typer.testing import CliRunner

from config import Settings, load_settings
from consumers.console_metrics import ConsoleMetrics
from consumers.delivery import _EXIT_STUCK
from consumers.look_back.metrics import LookBackMetrics
from consumers.metrics import Metrics
from consumers.topics import probe_topic, topic_table
from likeness.errors import EXIT_CODES
from likeness.main import app
from tests.support.deployed import COMPOSE_TEXT, DOCKERFILE, INSTRUCTIONS, OPERATIONS


def test_every_variable_and_setting_that_is_named_exists():
    texts = DOCKERFILE + COMPOSE_TEXT + OPERATIONS
    for name in set(re.findall(r"LIKENESS_[A-Z]+__[A-Z_]+", texts)):
        section, field = name.removeprefix("LIKENESS_").lower().split("__")
        assert field in Settings.model_fields[section].annotation.model_fields, name
    for section, field in set(re.findall(r"`([a-z]+)\.([a-z_]+)(?: = \w+)?`", OPERATIONS)):
        if section in Settings.model_fields:
            assert field in Settings.model_fields[section].annotation.model_fields, f"{section}.{field}"


def commands_called():
    """Every call of the program in the image, the Compose file and the guide, as words."""
    joined = re.sub(r"\\\n\s*", " ", OPERATIONS)
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", joined, flags=re.S))
    calls = re.findall(
        r"(?:^|[/ ])likeness ((?:gallery|models|config|run|serve|screen|evaluate|doctor|dead-letters)\b[^\n#`;|]*)",
        blocks,
        re.M,
    )
    calls += re.findall(r"`likeness ([^`]*)`", joined)
    calls += re.findall(r"likeness (models [^;]*);", "\n".join(INSTRUCTIONS))
    calls += [" ".join(json.loads(line[4:])) for line in INSTRUCTIONS if line.startswith("CMD")]
    return sorted({re.sub(r'"[^"]*"', "TEXT", call).strip() for call in calls})


@pytest.mark.parametrize("call", commands_called())
def test_every_command_that_is_told_exists_with_its_options(call):
    command, path = typer.main.get_command(app), []
    words = call.split()
    while words and hasattr(command, "commands"):
        path.append(words.pop(0))
        assert path[-1] in command.commands, call
        command = command.commands[path[-1]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert CliRunner().invoke(app, [*path, "--help"]).exit_code == 0


def test_all_commands_of_the_gallery_are_told():
    gallery = typer.main.get_command(app).commands["gallery"].commands
    assert {f"gallery {name}" for name in gallery} <= {" ".join(call.split()[:2]) for call in commands_called()}


def test_the_guide_has_no_dead_links():
    headings = re.findall(r"^#+ (.*)$", OPERATIONS, flags=re.M)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", OPERATIONS)) <= anchors


def test_the_guide_lists_the_exit_codes_of_the_program():
    told = set(map(int, re.findall(r"^\| (\d+) \|", OPERATIONS, flags=re.M)))
    assert told == {0, 1, _EXIT_STUCK, *EXIT_CODES.values()}


def test_the_guide_lists_all_metrics_and_no_other():
    ours = {family.name for family in Metrics().registry.collect() if family.name.startswith("likeness_")}
    listed = re.findall(r"`(likeness_[a-z_]+)`", re.search(r"## Metrics\n(.*?)\n## ", OPERATIONS, re.S)[1])
    assert {re.sub(r"_(total|info)$", "", name) for name in listed} == ours


def test_the_guide_lists_all_metrics_of_the_console_and_no_other():
    ours = {family.name for family in ConsoleMetrics().registry.collect() if family.name.startswith("likeness_")}
    section = re.search(r"## Metrics of the console\n(.*?)\n## ", OPERATIONS, re.S)[1]
    listed = re.findall(r"`(likeness_[a-z_]+)`", section)
    assert {name.removesuffix("_total") for name in listed} == ours


def test_the_guide_lists_all_metrics_of_the_look_back_and_no_other():
    ours = {family.name for family in LookBackMetrics().registry.collect() if family.name.startswith("likeness_")}
    section = re.search(r"## Metrics of the look-back\n(.*?)\n## ", OPERATIONS, re.S)[1]
    listed = re.findall(r"^\| `(likeness_[a-z_]+)`", section, re.M)
    assert {name.removesuffix("_total") for name in listed} == ours


def test_the_guide_tells_every_topic_with_its_cleanup_retention_and_partitions():
    settings = load_settings()
    for topic in (*topic_table(settings.topics, settings.kafka), probe_topic(settings.topics)):
        row = re.search(rf"^\| `{topic.name}` \|(.*)\|$", OPERATIONS, re.M)
        assert row, topic.name
        _, cleanup, kept, partitions = (cell.strip(" *") for cell in row[1].split("|"))
        configs = dict(topic.configs)
        hours = int(configs.get("retention.ms", 0)) // 3_600_000
        assert cleanup == configs["cleanup.policy"]
        assert kept == ("for good" if not hours else "1 hour" if hours == 1 else f"{hours // 24} days")
        assert (partitions == "1") == (topic.partitions == 1)
