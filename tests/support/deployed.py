"""The files that an operator deploys, read once, and the programs that check them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.legs import record_leg

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.M)).splitlines()
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
PROMETHEUS = ROOT / "config" / "prometheus"
GRAFANA = ROOT / "config" / "grafana"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def tool(name: str, leg: str, why: str) -> str:
    """The path of a program that checks files; without it the test is skipped, and the run says so."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    record_leg(leg, name, ran=path is not None, why=why)
    if path is None:
        pytest.skip(f"{name}: {why}")
    return path


def assert_accepts(*command: str) -> None:
    """Fail with what the program says unless it ends with 0."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What kustomize makes of a folder of manifests; without kubectl the test is skipped, and the run says so."""
    kubectl = tool("kubectl", "Kubernetes manifests rendered", "it is not installed")
    command = [kubectl, "kustomize", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))
