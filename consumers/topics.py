"""The topics with their settings, and their creation where that is allowed.

| topic               | key        | cleanup | kept for                                              |
|---------------------|------------|---------|-------------------------------------------------------|
| avatar-uploads      | account    | delete  | 7 days, to screen again after a mistake of ours       |
| avatar-screenings   | account    | delete  | 30 days                                               |
| impersonation-reviews | account  | delete  | 30 days, then they stand in the records               |
| avatar-dead-letters | as upload  | delete  | 14 days: they carry the original upload               |
| review-decisions    | account    | delete  | 30 days, then they stand in the records               |
| avatar-probes       | none       | delete  | look_back.days and one more; only with look_back.days |
| victim-reports      | as sent    | delete  | 3 days: nobody can erase one person's report in it    |
| gallery-changes     | identity   | compact | for good, the newest per identity; one partition      |

What is withdrawn from the gallery leaves the log of the broker within `max.compaction.lag.ms` and a day.
min.insync.replicas is left to the broker's own default.
"""

import logging
from dataclasses import dataclass

from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from config.settings import Kafka, Topics

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

log = logging.getLogger(__name__)


class TopicMissing(RuntimeError):
    """A topic does not exist and may not or cannot be created; the message names it and how it is to be made."""


class TopicUnfit(RuntimeError):
    """A topic exists with settings that lose protected people; the message says which and what they must be."""


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """A topic as it is created. `configs` are Kafka's own topic settings by name."""

    name: str
    partitions: int
    replication_factor: int
    configs: tuple[tuple[str, str], ...]


def topic_table(topics: Topics, kafka: Kafka, probe_days: int = 0) -> tuple[TopicSettings, ...]:
    """The topics of Likeness. probe_days: for how long the faces of avatars are kept (look_back.days)."""

    def deleting(name: str, days: int) -> TopicSettings:
        configs = {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}
        return settings(name, topics.partitions, configs)

    def settings(name: str, partitions: int, configs: dict[str, str]) -> TopicSettings:
        largest = kafka.max_message_bytes if name in (topics.uploads, topics.reports) else kafka.max_outcome_bytes
        configs |= {"max.message.bytes": str(largest)}
        return TopicSettings(name, partitions, topics.replication_factor, tuple(configs.items()))

    def reports(name: str) -> TopicSettings:
        configs = {"cleanup.policy": "delete", "retention.ms": str(3 * _DAY_MS), "segment.ms": str(_HOUR_MS)}
        return settings(name, topics.partitions, configs)

    compacting = {
        "cleanup.policy": "compact",
        "segment.ms": str(_DAY_MS),
        "max.compaction.lag.ms": str(_DAY_MS),
        "delete.retention.ms": str(_DAY_MS),
    }
    return (
        deleting(topics.uploads, days=7),
        deleting(topics.screenings, days=30),
        deleting(topics.reviews, days=30),
        deleting(topics.dead_letters, days=14),
        deleting(topics.decisions, days=30),
        *((reports(topics.reports),) if topics.reports else ()),
        *((deleting(topics.probes, days=probe_days + 1),) if probe_days else ()),
        settings(topics.gallery_changes, 1, compacting),
    )


def probe_topic(topics: Topics) -> TopicSettings:
    """The small topic on which a starting worker tries out transactions."""
    configs = (("cleanup.policy", "delete"), ("retention.ms", str(_HOUR_MS)), ("segment.ms", str(_HOUR_MS)))
    return TopicSettings(f"{topics.screenings}-probe", 1, topics.replication_factor, configs)


def ensure_topics(admin: KafkaAdminClient, topics: Topics, kafka: Kafka, probe_days: int = 0) -> tuple[str, ...]:
    """Create the topics of screening that are missing and return their names; several processes may do so at the same
    time.

    Topics that exist are left as they are. Raises TopicMissing when `topics.create` is false or the broker refuses,
    and TopicUnfit when the gallery's topic would forget its entries with time.
    """
    others = (topics.decisions, topics.reports)
    ours = tuple(topic for topic in topic_table(topics, kafka, probe_days) if topic.name not in others)
    created = create_missing(admin, ours, topics.create)
    if topics.gallery_changes not in created:
        _check_gallery(admin, topics.gallery_changes)
    return created


def ensure_console_topics(admin: KafkaAdminClient, topics: Topics, kafka: Kafka) -> tuple[str, ...]:
    """As `ensure_topics`, for the two topics of the moderation console. Raises TopicMissing."""
    ours = tuple(topic for topic in topic_table(topics, kafka) if topic.name in (topics.reviews, topics.decisions))
    return create_missing(admin, ours, topics.create)


def ensure_report_topic(admin: KafkaAdminClient, topics: Topics, kafka: Kafka) -> tuple[str, ...]:
    """As `ensure_topics`, for the topic of reports from platforms. Raises TopicMissing."""
    ours = tuple(topic for topic in topic_table(topics, kafka) if topic.name == topics.reports)
    return create_missing(admin, ours, topics.create)


def create_missing(admin: KafkaAdminClient, table: tuple[TopicSettings, ...], create: bool) -> tuple[str, ...]:
    """As `ensure_topics`, for any table of topics."""
    existing = set(admin.list_topics())
    missing = {topic.name: topic for topic in table if topic.name not in existing}
    if not missing:
        return ()
    if not create:
        raise TopicMissing("; ".join(map(_how_to_make, missing.values())) + ".")
    request = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
            "configs": dict(topic.configs),
        }
        for topic in missing.values()
    }
    created = []
    for answer in admin.create_topics(request, raise_errors=False)["topics"]:
        error = errors.for_code(answer["error_code"])
        if error is errors.NoError:
            created.append(answer["name"])
        elif error is not errors.TopicAlreadyExistsError:
            reason = answer["error_message"] or error.__name__
            raise TopicMissing(f"{_how_to_make(missing[answer['name']])}; creating it failed: {reason}")
    admin.wait_for_topics(list(missing))
    log.info("Topics created: %s.", ", ".join(created) or "none, another process was first")
    return tuple(created)


def _check_gallery(admin: KafkaAdminClient, name: str) -> None:
    """Raise TopicUnfit when the topic drops old messages; a broker that does not tell its settings is believed."""
    try:
        told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    except errors.AuthorizationError as error:
        log.warning("The settings of topic %s could not be checked: %s", name, error)
        return
    configs = told["topic"].get(name)
    if not configs:
        log.warning("The settings of topic %s could not be checked: is the right DescribeConfigs missing?", name)
        return
    policy = configs.get("cleanup.policy", {}).get("value", "compact")
    if policy != "compact":
        raise TopicUnfit(
            f"Topic {name} has cleanup.policy={policy} and would forget protected people; set it to compact."
        )


def _how_to_make(topic: TopicSettings) -> str:
    configs = " ".join(f"--config {name}={value}" for name, value in topic.configs)
    how = f"--partitions {topic.partitions} {configs}"
    return f"Topic {topic.name} is missing, or there is no right on it (make it with {how})"
