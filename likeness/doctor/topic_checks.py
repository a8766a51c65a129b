"""The topics: whether each is there, keeps what it must as long as it must, and survives the loss of a broker."""

from collections.abc import Iterator
from dataclasses import dataclass

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from config import Settings
from consumers.topics import TopicSettings, topic_table
from likeness.doctor.finding import Finding

DAY_MS = 86_400_000
LAG_CONFIGS = ("segment.ms", "max.compaction.lag.ms", "delete.retention.ms")
"""Of a compacted topic: after these what was withdrawn leaves the log."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Copies that there should be, that are up to date, and whether a broker leads it."""

    replicas: int
    in_sync: int
    led: bool


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the broker tells of it; `configs` hold what it tells, which may be nothing."""

    partitions: tuple[Partition, ...]
    configs: dict[str, str]


def topic_checks(settings: Settings, admin: KafkaAdminClient) -> Iterator[Finding]:
    table = topic_table(settings.topics, settings.kafka, settings.look_back.days)
    told = {topic["name"]: topic for topic in admin.describe_topics([topic.name for topic in table])}
    for wanted in table:
        found = told.get(wanted.name)
        if found is None or not found["partitions"]:
            # Who works reviews elsewhere needs neither.
            needed = wanted.name not in (settings.topics.decisions, settings.topics.reports)
            yield missing(wanted, settings.topics.create) if needed else undecided(wanted)
            continue
        partitions = tuple(
            Partition(len(one["replica_nodes"]), len(one["isr_nodes"]), one["leader_id"] >= 0)
            for one in found["partitions"]
        )
        configs, refusal = _configs(admin, wanted.name)
        topic = Topic(partitions, configs)
        problems = [*layout(wanted, topic), *keeping(wanted, topic)]
        yield from problems
        if refusal:
            yield Finding(f"topic {wanted.name}", "unknown", f"Its settings are not told: {refusal}.")
        elif not problems:
            yield fit(wanted, topic)


def missing(wanted: TopicSettings, create: bool) -> Finding:
    configs = " ".join(f"--config {name}={value}" for name, value in wanted.configs)
    command = (
        f"kafka-topics.sh --create --topic {wanted.name} --partitions {wanted.partitions} "
        f"--replication-factor {wanted.replication_factor} {configs}"
    )
    if create:
        return Finding(
            f"topic {wanted.name}", "warn", "It is missing; the next start makes it.", f"Or make it: {command}"
        )
    return Finding(f"topic {wanted.name}", "fail", "It is missing, and topics.create is off.", command)


def undecided(wanted: TopicSettings) -> Finding:
    """That a topic of the console is missing."""
    said = "It is missing: no console has been started yet."
    return Finding(f"topic {wanted.name}", "warn", said, "Start `likeness serve`, if moderators work in its console.")


def layout(wanted: TopicSettings, topic: Topic) -> Iterator[Finding]:
    """Partitions and their copies."""
    name = f"topic {wanted.name}"
    copies = min(one.replicas for one in topic.partitions)
    in_sync = min(one.in_sync for one in topic.partitions)
    least = int(topic.configs.get("min.insync.replicas", 1))
    if not all(one.led for one in topic.partitions):
        yield Finding(name, "fail", "A partition has no leader.", "Start the brokers that hold it.")
    if least > copies:
        said = f"min.insync.replicas is {least}, with {copies} copies: before Kafka 4.1 it takes no message."
        yield Finding(
            name, "fail", said, f"Raise the replication factor, or set min.insync.replicas={max(1, copies - 1)}."
        )
    elif in_sync < least:
        said = f"Only {in_sync} copies of a partition are up to date, and it needs {least} to take messages."
        yield Finding(name, "fail", said, "Start the brokers that hold the others.")
    elif copies == 1:
        said = "There is one copy: what its broker's disk loses is lost."
        yield Finding(name, "warn", said, "Replication factor 3 with min.insync.replicas=2.")
    elif least == copies:
        said = f"min.insync.replicas is {least}, as many as there are copies: one broker away stops it."
        yield Finding(name, "warn", said, f"Set min.insync.replicas={copies - 1}.")
    elif least == 1:
        said = f"min.insync.replicas is 1, with {copies} copies: what is acknowledged may be on one disk alone."
        yield Finding(name, "warn", said, "Set min.insync.replicas=2.")
    if dict(wanted.configs)["cleanup.policy"] == "compact" and len(topic.partitions) > 1:
        said = f"It has {len(topic.partitions)} partitions; changes are in order in one alone."
        yield Finding(name, "warn", said, "Make it anew with one partition, then `likeness gallery publish`.")


def keeping(wanted: TopicSettings, topic: Topic) -> Iterator[Finding]:
    """What it keeps, how long, and how large. What the broker does not tell is believed."""
    name, told, due = f"topic {wanted.name}", topic.configs, dict(wanted.configs)
    policy = told.get("cleanup.policy", due["cleanup.policy"])
    if policy != due["cleanup.policy"]:
        lost = "protected people" if due["cleanup.policy"] == "compact" else "all but the newest of each key"
        said = f"cleanup.policy is {policy}: it would forget {lost}."
        yield Finding(name, "fail", said, f"Set cleanup.policy={due['cleanup.policy']}.")
    retention, longest = int(told.get("retention.ms", -1)), int(due.get("retention.ms", 0))
    if 0 <= retention < longest and policy == "delete":
        said = f"It keeps messages for {retention / DAY_MS:.3g} days, not {longest / DAY_MS:.3g}."
        yield Finding(name, "warn", said, f"Set retention.ms={longest}, if that is not what you want.")
    largest, wanted_largest = (
        int(told.get("max.message.bytes", wanted_max := due["max.message.bytes"])),
        int(wanted_max),
    )
    if largest < wanted_largest:
        said = f"It refuses messages above {largest:,} bytes; up to {wanted_largest:,} are to be expected."
        yield Finding(name, "warn", said, f"Set max.message.bytes={wanted_largest}, or lower kafka.max_message_bytes.")
    late = [one for one in LAG_CONFIGS if one in due and int(told.get(one, due[one])) > int(due[one])]
    if late:
        said = f"What is withdrawn from the gallery stays in it for long: {', '.join(late)}."
        yield Finding(name, "warn", said, f"Set {', '.join(f'{one}={due[one]}' for one in late)}.")


def fit(wanted: TopicSettings, topic: Topic) -> Finding:
    """That all is well, in words."""
    days = int(topic.configs.get("retention.ms", -1)) / DAY_MS
    compact = dict(wanted.configs)["cleanup.policy"] == "compact"
    kept = "the newest of each key" if compact else "for good" if days < 0 else f"for {days:.3g} days"
    copies = min(one.replicas for one in topic.partitions)
    return Finding(f"topic {wanted.name}", "ok", f"{len(topic.partitions)} partitions, {copies} copies, kept {kept}.")


def _configs(admin: KafkaAdminClient, name: str) -> tuple[dict[str, str], str | None]:
    """The topic's settings that are told, and why they are not."""
    try:
        told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    except (KafkaError, ValueError) as error:  # the client fails with the latter on answers that it cannot read
        return {}, str(error) or type(error).__name__
    found = told["topic"].get(name, {})
    return {one: str(config["value"]) for one, config in found.items() if config.get("value") is not None}, None
