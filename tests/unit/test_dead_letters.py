import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from config import packaged
from consumers.dead_letters import dead_letter
from consumers.messages import derived_id, read_data

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
SCHEMA = json.loads((packaged("schemas") / "avatar-dead-letters.schema.json").read_text())


@dataclass
class Record:
    """A consumed message, as the Kafka client hands it over."""

    topic: str = "avatar-uploads"
    partition: int = 2
    offset: int = 41
    timestamp: int = 1_770_000_000_000
    key: bytes | None = b"account-1"
    value: bytes | None = b"no upload"
    headers: tuple = ()


def letter(record, **changes):
    given = {"event_id": "event-1", "account_id": "account-1", "compact": False} | changes
    message = dead_letter(record, "avatar-dead-letters", "not_json", "It is not JSON.", NOW, **given)
    data = read_data(message.value)
    Draft202012Validator(SCHEMA, format_checker=FormatChecker()).validate(data)
    return message, data


@given(key=st.none() | st.binary(), value=st.none() | st.binary(), header=st.none() | st.binary())
def test_a_dead_letter_carries_the_original_byte_by_byte(key, value, header):
    message, data = letter(Record(key=key, value=value, headers=(("trace", header), ("trace", b"2"))))
    original = data["original"]
    assert message.key == key
    assert decoded(original["key_base64"]) == key
    assert decoded(original["value_base64"]) == value
    assert [(one["name"], decoded(one["value_base64"])) for one in original["headers"]] == [
        ("trace", header),
        ("trace", b"2"),
    ]
    assert (original["size"], original["omitted"]) == (len(value or b""), False)


def decoded(text):
    return None if text is None else base64.b64decode(text, validate=True)


def test_a_dead_letter_says_where_the_original_stands_and_why_it_died():
    message, data = letter(Record())
    original = data["original"]
    assert (original["topic"], original["partition"], original["offset"]) == ("avatar-uploads", 2, 41)
    assert original["timestamp_ms"] == 1_770_000_000_000
    assert (data["reason"], data["detail"]) == ("not_json", "It is not JSON.")
    assert (data["event_id"], data["account_id"], data["failed_at"]) == ("event-1", "account-1", "2026-02-03T04:05:06Z")
    assert dict(message.headers)["reason"] == b"not_json"


def test_the_original_of_a_message_that_could_not_be_read_belongs_to_nobody():
    _, data = letter(Record(), event_id=None, account_id=None)
    assert (data["event_id"], data["account_id"]) == (None, None)


def test_a_compact_dead_letter_tells_the_size_of_what_it_leaves_out():
    message, data = letter(Record(value=b"x" * 100_000), compact=True)
    assert data["original"]["value_base64"] is None
    assert (data["original"]["omitted"], data["original"]["size"]) == (True, 100_000)
    assert message.size < 2_000


def test_the_id_of_a_dead_letter_is_that_of_the_place_and_stays():
    ids = [letter(record)[1]["dead_letter_id"] for record in (Record(), Record(value=b"x"), Record(offset=42))]
    assert ids[0] == ids[1] == str(derived_id("dead-letter", "avatar-uploads", 2, 41))
    assert ids[2] != ids[0]


def test_a_compact_dead_letter_leaves_out_a_key_and_headers_that_are_long():
    message, data = letter(Record(key=b"k" * 5_000, headers=(("trace", b"t" * 5_000),)), compact=True)
    assert (message.key, data["original"]["key_base64"], data["original"]["headers"]) == (None, None, [])
    assert message.size < 2_000
    whole, data = letter(Record(headers=(("trace", None),)), compact=True)
    assert (whole.key, data["original"]["headers"]) == (b"account-1", [{"name": "trace", "value_base64": None}])
