import base64
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from config import packaged
from consumers import fetch_rules, messages
from consumers.messages import (
    SCHEMAS,
    TYPES,
    AvatarScreened,
    AvatarUploaded,
    GalleryChanged,
    Image,
    ImpersonationSuspected,
    MessageRejected,
    Profile,
    ReviewDecided,
    ReviewFinding,
    derived_id,
    inline_bytes,
    json_schema,
    read_data,
    read_report,
    read_review,
    read_upload,
    write_event,
)
from detector import picture

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
UPLOAD = {"event_id": "event-1", "account_id": "account-1", "image": {"url": "https://img.example.com/1.jpg"}}
WITHOUT_EVENT_ID = {name: value for name, value in UPLOAD.items() if name != "event_id"}
ENVELOPE = {"specversion": "1.0", "id": "envelope-1", "source": "/avatars", "type": "com.example.avatar"}

ACCEPTED = {
    "the least": UPLOAD,
    "an inline image": UPLOAD | {"image": {"base64": "QUJD"}},
    "the other way to an image is null": UPLOAD | {"image": {"url": "file:///1.jpg", "base64": None}},
    "unknown fields, at every level": UPLOAD | {"colour": 1, "image": {"url": "u", "w": 9}, "profile": {"age": 30}},
    "everything": UPLOAD
    | {
        "uploaded_at": "2026-02-03T04:05:06.789+02:00",
        "profile": {"handle": "@a", "display_name": "Ana\n", "created_at": "2020-01-01T00:00:00Z"},
    },
    "nulls for what may be left out": UPLOAD
    | {"uploaded_at": None, "profile": {"handle": None, "display_name": None, "created_at": None}},
    "an id of 256 characters beyond ASCII": UPLOAD | {"event_id": "é" * 256},
    "a URL of 4,096 characters": UPLOAD | {"image": {"url": "h" * 4096}},
}
REFUSED = {
    "no event id": WITHOUT_EVENT_ID,
    "no account": {"event_id": "1", "image": {"url": "u"}},
    "an empty id": UPLOAD | {"account_id": ""},
    "an id of 257 characters": UPLOAD | {"event_id": "a" * 257},
    "a number for an id": UPLOAD | {"event_id": 7},
    "null for an id": UPLOAD | {"account_id": None},
    "a line break in an id": UPLOAD | {"account_id": "a\nb"},
    "a zero byte in an id": UPLOAD | {"account_id": "a\0"},
    "an image that is a text": UPLOAD | {"image": "https://img.example.com/1.jpg"},
    "an image with both ways to it": UPLOAD | {"image": {"url": "u", "base64": "QUJD"}},
    "an image with neither": UPLOAD | {"image": {"url": None}},
    "a URL of 4,097 characters": UPLOAD | {"image": {"url": "h" * 4097}},
    "a URL that is a number": UPLOAD | {"image": {"url": 1}},
    "a handle of 513 characters": UPLOAD | {"profile": {"handle": "h" * 513}},
    "a profile that is a list": UPLOAD | {"profile": []},
    "a time without its offset": UPLOAD | {"uploaded_at": "2026-02-03T04:05:06"},
    "a time with a space for its T": UPLOAD | {"uploaded_at": "2026-02-03 04:05:06Z"},
    "a time in seconds": UPLOAD | {"uploaded_at": 1_770_000_000},
    "a time in seconds as text": UPLOAD | {"uploaded_at": "1770000000"},
    "a day that is not in the calendar": UPLOAD | {"profile": {"created_at": "2026-02-30T00:00:00Z"}},
    "an array": [UPLOAD],
    "a text": "upload",
    "null": None,
    "true": True,
    "a number": 7,
}
IMAGE_MISSING = {
    "no image": {"event_id": "1", "account_id": "2"},
    "null": UPLOAD | {"image": None},
    "an empty object": UPLOAD | {"image": {}},
    "an empty text": UPLOAD | {"image": ""},
}
NOT_JSON = {
    "nothing": None,
    "no bytes": b"",
    "half a message": json.dumps(UPLOAD).encode()[:-5],
    "UTF-16": json.dumps(UPLOAD).encode("utf-16"),
    "bytes that are no UTF-8": b'{"event_id": "\xff"}',
    "NaN": b'{"event_id": "1", "n": NaN}',
    "half of a surrogate pair": b'{"event_id": "\\ud800"}',
    "arrays in arrays, without end": b"[" * 100_000,
    "objects in objects, without end": b'{"image":' * 100_000,
    "a number of 100,000 digits": b'{"n": ' + b"9" * 100_000 + b"}",
}


def rows(table):
    return [pytest.param(value, id=name) for name, value in table.items()]


def encoded(document):
    return json.dumps(document).encode()


def rejection(value):
    with pytest.raises(MessageRejected) as rejected:
        read_upload(value)
    return rejected.value


def schema(topic):
    file = packaged("schemas") / f"{topic}.schema.json"
    return Draft202012Validator(json.loads(file.read_text()), format_checker=FormatChecker())


@pytest.mark.parametrize("document", rows(ACCEPTED))
def test_an_upload_is_read_and_its_schema_accepts_it(document):
    upload = read_upload(encoded(document))
    assert (upload.event_id, upload.account_id) == (document["event_id"], document["account_id"])
    schema("avatar-uploads").validate(document)


@pytest.mark.parametrize("document", rows(REFUSED))
def test_what_is_no_upload_is_rejected_and_its_schema_refuses_it(document):
    assert rejection(encoded(document)).reason == "schema_violation"
    assert not schema("avatar-uploads").is_valid(document)


@pytest.mark.parametrize("document", rows(IMAGE_MISSING))
def test_an_upload_without_an_image_has_a_reason_of_its_own_and_its_schema_refuses_it(document):
    assert rejection(encoded(document)).reason == "image_missing"
    assert not schema("avatar-uploads").is_valid(document)


@pytest.mark.parametrize("value", rows(NOT_JSON))
def test_what_is_not_json_is_rejected_as_that(value):
    assert rejection(value).reason == "not_json"


def test_a_line_break_at_the_end_of_an_id_is_not_passed_over():
    assert rejection(encoded(UPLOAD | {"event_id": "1\n"})).reason == "schema_violation"


def test_of_a_name_that_comes_twice_the_last_value_counts():
    value = b'{"event_id": "1", "event_id": "2", "account_id": "3", "image": {"url": "u"}}'
    assert read_upload(value).event_id == "2"


def test_a_rejection_names_every_field_that_is_wrong():
    detail = rejection(encoded({"event_id": 7, "image": {"url": "u"}, "profile": {"created_at": "now"}})).detail
    assert [part.partition(":")[0] for part in detail.split("; ")] == ["event_id", "account_id", "profile.created_at"]
    assert "an RFC 3339 time is expected" in detail


def test_a_rejection_speaks_of_json_not_of_python():
    details = {rejection(encoded(value)).detail for value in ([], "x", 1, None, False)}
    kinds = {"an array", "a string", "a number", "null", "a boolean"}
    assert details == {f"An upload is a JSON object, not {kind}." for kind in kinds}


def test_a_rejection_stays_short_whatever_the_message_holds():
    assert len(rejection(encoded(ENVELOPE | {"A" * 100_000: 1, "data": UPLOAD})).detail) < 1100


def test_times_keep_their_offset():
    upload = read_upload(encoded(ACCEPTED["everything"]))
    assert upload.uploaded_at.isoformat() == "2026-02-03T04:05:06.789000+02:00"
    assert upload.profile.created_at == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_cloud_event_is_read_from_its_data():
    assert read_upload(encoded(ENVELOPE | {"data": UPLOAD})) == read_upload(encoded(UPLOAD))


def test_a_cloud_event_is_read_from_its_data_in_base64():
    data = base64.b64encode(encoded(UPLOAD)).decode()
    assert read_upload(encoded(ENVELOPE | {"data_base64": data})) == read_upload(encoded(UPLOAD))


def test_the_id_of_a_cloud_event_is_the_event_id_where_the_data_has_none():
    assert read_upload(encoded(ENVELOPE | {"data": WITHOUT_EVENT_ID})).event_id == "envelope-1"
    assert read_upload(encoded(ENVELOPE | {"data": UPLOAD})).event_id == "event-1"


def test_attributes_of_a_cloud_event_that_are_null_count_as_absent():
    nulls = {"time": None, "subject": None, "datacontenttype": None, "data_base64": None}
    assert read_upload(encoded(ENVELOPE | nulls | {"data": UPLOAD})).event_id == "event-1"


def test_extension_attributes_of_a_cloud_event_are_ignored():
    extended = ENVELOPE | {"traceparent": "00-1-1-00", "time": "2026-02-03T04:05:06Z", "subject": "s", "data": UPLOAD}
    assert read_upload(encoded(extended)).event_id == "event-1"


WRONG_ENVELOPES = {
    "specversion 0.3": {"specversion": "0.3"},
    "specversion as a number": {"specversion": 1.0},
    "no id: a made-up one would differ at every repeat": {"id": None},
    "an empty id": {"id": ""},
    "a number for an id": {"id": 7},
    "no source": {"source": None},
    "an empty source": {"source": ""},
    "no type": {"type": None},
    "a time that is none": {"time": "yesterday"},
    "a time without offset": {"time": "2026-02-03T04:05:06"},
    "a time beyond the calendar": {"time": "9999-12-31T24:00:00Z"},
    "a time that is a number": {"time": 7},
    "a content type that is a number": {"datacontenttype": 7},
    "an attribute that must not be": {"Event-Name": "x"},
    "no data": {"data": None},
    "data that is a text": {"data": json.dumps(UPLOAD)},
    "both kinds of data": {"data_base64": "e30="},
    "data in base64 that is none": {"data": None, "data_base64": "!"},
    "data in base64 that is a number": {"data": None, "data_base64": 7},
}


@pytest.mark.parametrize("changes", rows(WRONG_ENVELOPES))
def test_a_message_that_claims_to_be_a_cloud_event_and_is_none_is_rejected(changes):
    assert rejection(encoded(ENVELOPE | {"data": UPLOAD} | changes)).reason == "schema_violation"


def test_data_in_base64_that_is_not_json_is_rejected_as_that():
    assert rejection(encoded(ENVELOPE | {"data_base64": "AAAA"})).reason == "not_json"


@given(st.binary())
@settings(deadline=None)
def test_no_bytes_whatever_raise_anything_but_a_rejection(value):
    read_or_rejected(value)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
texts = st.text() | st.sampled_from(
    ["1.0", "2026-02-03T04:05:06Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59"]
)
almost_uploads = st.fixed_dictionaries(
    {},
    optional={
        "event_id": texts | scalars,
        "account_id": texts | anything,
        "image": st.fixed_dictionaries({}, optional={"url": texts | anything, "base64": texts | anything}) | anything,
        "uploaded_at": texts | anything,
        "profile": st.fixed_dictionaries({}, optional={"handle": texts | anything, "created_at": texts | anything}),
    },
)
almost_events = st.fixed_dictionaries(
    {"specversion": st.just("1.0") | anything},
    optional={
        "id": texts | anything,
        "source": texts | anything,
        "type": texts | anything,
        "time": texts | anything,
        "data": almost_uploads | anything,
        "data_base64": texts | anything,
        "extension": anything,
    },
)


@given(anything | almost_uploads | almost_events)
@settings(deadline=None)
def test_no_json_whatever_raises_anything_but_a_rejection(document):
    read_or_rejected(encoded(document))


def read_or_rejected(value):
    try:
        assert isinstance(read_upload(value), AvatarUploaded)
    except MessageRejected as rejected:
        assert rejected.reason in messages.REASONS
        assert rejected.detail.endswith((".", "…"))


changed_uploads = st.builds(
    lambda upload, changes: upload | changes,
    st.sampled_from(list(ACCEPTED.values())),
    almost_uploads.map(lambda upload: dict(list(upload.items())[:1])),
)


@given(changed_uploads)
@settings(deadline=None)
def test_what_is_read_as_an_upload_is_what_its_schema_accepts(document):
    try:
        read_upload(encoded(document))
    except MessageRejected as rejected:
        if rejected.reason != "not_json":
            assert not schema("avatar-uploads").is_valid(document)
    else:
        schema("avatar-uploads").validate(document)


def test_an_inline_image_gives_its_bytes():
    assert inline_bytes(Image(base64=base64.b64encode(b"\xff\xd8picture").decode())) == b"\xff\xd8picture"


@pytest.mark.parametrize("text", ["QUJ", "QU JD", "QUJD\n", "QUJ-", "bild.jpg", "é"])
def test_an_inline_image_that_is_not_base64_is_rejected_as_that(text):
    with pytest.raises(MessageRejected) as rejected:
        inline_bytes(Image(base64=text))
    assert rejected.value.reason == "image_not_base64"


def test_ids_derive_from_their_parts_and_never_change():
    assert derived_id("review", "event-1") == uuid.UUID("49837b05-d261-5944-affd-23a0a44aa338")


def test_ids_of_other_kinds_and_other_parts_differ():
    made = [derived_id(kind, part) for kind in ("review", "screening", "dead-letter") for part in ("1", "2", "1:2")]
    made.append(derived_id("dead-letter", "topic", 0, 12))
    made.append(derived_id("dead-letter", "topic", 1, 2))
    assert len(set(made)) == len(made)


FINDING = ReviewFinding(
    kind="same_person",
    priority=71,
    text="The face is very like Ana's, more than a look-alike's may be.",
    identity_id="idn_1",
    identity_name="Ana",
    identity_kind="victim",
    reference_id="ref_1",
    similarity=0.71,
    threshold=0.473,
    face_box=(1.5, 2, 30, 40.25),
    quality=0.8,
)
SENT = {
    "avatar-screenings": AvatarScreened(
        screening_id=derived_id("screening", "event-1"),
        event_id="event-1",
        account_id="account-1",
        verdict="review",
        findings=["same_person"],
        faces=1,
        model_pack="opencv-zoo@1",
        gallery_version=3,
        screened_at=NOW,
    ),
    "impersonation-reviews": ImpersonationSuspected(
        review_id=derived_id("review", "event-1"),
        event_id="event-1",
        account_id="account-1",
        image=Image(url="https://img.example.com/1.jpg"),
        uploaded_at=NOW,
        profile=Profile(handle="@ana"),
        priority=71,
        held=False,
        findings=[FINDING],
        faces=1,
        picture_width=200,
        picture_height=300,
        model_pack="opencv-zoo@1",
        threshold=0.473,
        sure_threshold=0.52,
        gallery_version=3,
        screened_at=NOW,
    ),
    "review-decisions": ReviewDecided(
        decision_id="decision-1",
        review_id=derived_id("review", "event-1"),
        event_id="event-1",
        account_id="account-1",
        decision="not_this_person",
        reason="look_alike",
        identity_id="idn_1",
        stage="first",
        decided_by="mod_1",
        decided_at=NOW,
    ),
    "gallery-changes": GalleryChanged(identity_id="idn_1", sequence=3, sealed="c2VhbGVk"),
}


@pytest.mark.parametrize("topic", SENT)
def test_what_is_sent_is_a_cloud_event_whose_data_its_schema_accepts(topic):
    written = write_event(SENT[topic], "id-1", NOW)
    event = JSONFormat().read(CloudEvent, written)
    assert (event.get_id(), event.get_type(), event.get_time()) == ("id-1", TYPES[SCHEMAS[topic]], NOW)
    assert (event.get_source(), event.get_datacontenttype()) == ("likeness/screening", "application/json")
    assert event.get_data() == read_data(written)
    schema(topic).validate(event.get_data())


def test_a_review_is_read_as_it_was_sent_and_anything_else_is_rejected():
    sent = SENT["impersonation-reviews"]
    assert read_review(write_event(sent, "id-1", NOW)) == sent
    for value in (b"{nope", b"", None, b"[]", b'{"data": []}', b'{"data": {"review_id": "1"}}'):
        with pytest.raises(MessageRejected):
            read_review(value)
    with pytest.raises(MessageRejected, match="findings: Field required"):
        read_review(write_event(SENT["review-decisions"], "id-1", NOW))


def test_a_screening_names_nobody_and_carries_no_score():
    assert set(json_schema("avatar-screenings")["properties"]) == {
        "screening_id",
        "event_id",
        "account_id",
        "verdict",
        "findings",
        "faces",
        "model_pack",
        "gallery_version",
        "screened_at",
    }
    assert json_schema("avatar-screenings")["properties"]["findings"]["items"]["type"] == "string"


@pytest.mark.parametrize("topic", SCHEMAS)
def test_the_schemas_in_config_are_those_of_the_messages(topic):
    assert schema(topic).schema == json_schema(topic), "run `make schemas`"
    Draft202012Validator.check_schema(json_schema(topic))


def test_there_is_a_schema_and_an_event_type_for_every_topic():
    others = {"statement-of-reasons.schema.json"}
    files = {file.name for file in packaged("schemas").iterdir()} - others
    assert files == {f"{topic}.schema.json" for topic in SCHEMAS}
    assert set(TYPES) == set(SCHEMAS.values())


PAGE = (Path(__file__).parents[2] / "docs" / "messages.md").read_text()


def section(topic):
    return re.search(rf"^## {topic}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]


def examples(topic):
    return [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", section(topic), re.DOTALL | re.MULTILINE)]


def test_the_page_lists_every_reason_of_a_dead_letter_and_no_other():
    listed = re.findall(r"^\| `(\w+)` \| (?:message|fetch|decode|screen)", section("avatar-dead-letters"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {*messages.REASONS, *fetch_rules.REASONS, *picture.REASONS}


@pytest.mark.parametrize("topic", SCHEMAS)
def test_the_page_names_every_field_of_a_message(topic):
    spoken_of = set(re.findall(r"\w+", " ".join(re.findall(r"^\| (.*?) \|", section(topic), re.MULTILINE))))
    model_fields = set(json_schema(topic)["properties"])
    for definition in json_schema(topic).get("$defs", {}).values():
        model_fields |= set(definition.get("properties", ()))
    handed_on = {"url", "base64", "handle", "display_name", "created_at"} if topic == "impersonation-reviews" else set()
    assert model_fields - handed_on - {"name"} <= spoken_of


def test_the_example_of_a_report_on_the_page_is_read():
    (example,) = examples("victim-reports")
    assert read_report(encoded(example)).your_id == "ticket-20931"
    schema("victim-reports").validate(example)


def test_the_examples_of_uploads_on_the_page_are_one_upload():
    plain, event = examples("avatar-uploads")
    assert read_upload(encoded(plain)) == read_upload(encoded(event))
    schema("avatar-uploads").validate(plain)


@pytest.mark.parametrize(
    "topic",
    ["avatar-screenings", "impersonation-reviews", "avatar-dead-letters", "review-decisions", "gallery-changes"],
)
def test_the_example_on_the_page_is_what_is_sent(topic):
    (example,) = examples(topic)
    event = JSONFormat().read(CloudEvent, json.dumps(example))
    assert event.get_type() == TYPES[SCHEMAS[topic]]
    schema(topic).validate(event.get_data())
    id_fields = ("screening_id", "decision_id", "review_id", "dead_letter_id", "identity_id")
    id_field = next(name for name in id_fields if name in event.get_data())
    assert event.get_id().startswith(event.get_data()[id_field])


def test_the_ids_on_the_page_derive_from_its_event():
    assert examples("avatar-screenings")[0]["id"] == str(derived_id("screening", "avatar-7f3a"))
    assert examples("impersonation-reviews")[0]["id"] == str(derived_id("review", "avatar-7f3a"))
    assert examples("avatar-dead-letters")[0]["id"] == str(derived_id("dead-letter", "avatar-uploads", 2, 41877))
