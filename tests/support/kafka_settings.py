"""Settings for one test against a broker: its own topics, its own group, its own home."""

import uuid
from pathlib import Path
from typing import Any, Protocol

from config.settings import Settings, load_settings


class Broker(Protocol):
    """What a test needs to know of a broker."""

    name: str

    @property
    def bootstrap_servers(self) -> str: ...


def kafka_settings(broker: Broker, home: Path, **overrides: dict[str, Any]) -> Settings:
    """The defaults with `broker` and names that no other test uses; `overrides` are tables of likeness.toml."""
    own = uuid.uuid4().hex[:8]
    topics = {
        "uploads": f"{own}-avatar-uploads",
        "screenings": f"{own}-avatar-screenings",
        "reviews": f"{own}-impersonation-reviews",
        "dead_letters": f"{own}-avatar-dead-letters",
        "gallery_changes": f"{own}-gallery-changes",
        "decisions": f"{own}-review-decisions",
        "reports": f"{own}-victim-reports",
        "probes": f"{own}-avatar-probes",
        "partitions": 2,
    }
    kafka = {
        "bootstrap_servers": broker.bootstrap_servers,
        "group_id": f"{own}-likeness",
        "session_timeout_ms": 3_000,
    }
    tables = {
        **overrides,
        "kafka": kafka | overrides.get("kafka", {}),
        "topics": topics | overrides.get("topics", {}),
        "console": {"double_review_rate": 0} | overrides.get("console", {}),  # would be a matter of a case's id
    }
    return load_settings(home=home, **tables)
