"""Messages with something wrong, by the thousand: each is read as an upload or rejected for a known reason, at once,
and what is read can be handed on.

LIKENESS_FUZZ_SECONDS: how long, 20 by default; LIKENESS_FUZZ_SEED: where to start, by default another one each run."""

import base64
import json
import os
import random
import time
from collections import Counter
from datetime import UTC, datetime

import hypothesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic_core import from_json

from consumers.messages import (
    DETAIL_LENGTH,
    REASONS,
    AvatarDeadLettered,
    ImpersonationSuspected,
    MessageRejected,
    Original,
    ReviewFinding,
    derived_id,
    inline_bytes,
    read_data,
    read_upload,
    write_event,
)

CPU_SECONDS = 1.0
COPIES = 100
"""Misspelt copies of each document."""
NOW = datetime(2026, 2, 3, tzinfo=UTC)
PLAIN = {
    "event_id": "e1",
    "account_id": "a1",
    "image": {"url": "https://img.example.com/a.jpg"},
    "uploaded_at": "2026-02-03T04:05:06Z",
    "profile": {"handle": "@sam", "display_name": "Sam", "created_at": "2020-01-01T00:00:00+02:00"},
}
ENVELOPE = {"specversion": "1.0", "id": "c1", "source": "/app", "type": "upload", "time": "2026-02-03T04:05:06Z"}
FIELDS = ("event_id", "account_id", "image", "url", "base64", "uploaded_at", "profile", "handle", "display_name",
          "created_at", "specversion", "id", "source", "type", "time", "data", "data_base64", "datacontenttype",
          "dataschema", "subject", "traceparent", "__proto__", "", "ID", "x" * 300)  # fmt: skip

ODD_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\nb",
        "\u2028",
        "\ufeff",
        "\U0010ffff",
        "\ud800",
        "é" * 300,
        "a" * 257,
        "a" * 5000,
        "null",
        "NaN",
    ),
    *("1.0", "0.3", "1.00", "application/json", "text/xml", "2026-02-03T04:05:06Z", "2026-02-30T04:05:06Z"),
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-02-03T24:00:00Z", "2026-02-03T04:05:60Z"),
    *("2026-02-03T04:05:06." + "9" * 400 + "Z", "2026-02-03T04:05:06+99:99", "1770091506", "٢٠٢٦-02-03T04:05:06Z"),
    *("data:image/png;base64,iVBORw0KGgo=", "iVBORw0KGgo", "iVBORw0KGgo=", "_-8=", "A===", "AA=A", "QUJD\n", "=" * 50),
    *("https://a/" + "b" * 5000, "http://[::1", "file:///../x", "javascript:alert(1)"),
)
texts = st.one_of(st.text(max_size=20), st.sampled_from(ODD_TEXTS))
numbers = st.one_of(
    st.integers(),
    st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**308, 10**4000]),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(FIELDS), texts), inner, max_size=5)
    ),
    max_leaves=12,
)
TOKENS = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud800", b"\\udc00", b"\\u0000", b"\xff", b"\xc0\x80"),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1e999999", b"-0", b"9" * 5000),
    *(b"0." + b"0" * 5000 + b"1", b"[" * 3000, b'{"a":' * 3000, b"]" * 3000, b"null", b"/*", b"\0", b"'", b"\r\n"),
    *(
        b',"event_id":"twice"',
        b',"image":{"base64":"AA=="}',
        b',"specversion":"1.0"',
        b'"base64":"A A",',
        b'"data":null,',
    ),
)


@st.composite
def documents(draw):
    """An upload, plain or in an envelope, of which a few fields are something else, left out or added."""
    document = json.loads(json.dumps(PLAIN))
    if draw(st.booleans()):
        document["image"] = {"base64": draw(st.one_of(st.just("iVBORw0KGgo="), texts))}
    _spoil(draw, document)
    kind = draw(st.sampled_from(["plain", "data", "data_base64", "anything"]))
    if kind == "anything":
        return draw(values)
    if kind == "plain":
        return document
    packed = base64.b64encode(json.dumps(document).encode()).decode()
    odd = [packed, packed.rstrip("="), packed + "\n", packed[:-1], packed * 2]
    envelope = ENVELOPE | {kind: document if kind == "data" else draw(st.sampled_from(odd))}
    _spoil(draw, envelope)
    return envelope


def _spoil(draw, document):
    for _ in range(draw(st.integers(0, 3))):
        inner = [value for value in document.values() if isinstance(value, dict)]
        place = draw(st.sampled_from([document, *inner]))
        name = draw(st.sampled_from([*place, *FIELDS]))
        if draw(st.booleans()):
            place[name] = draw(values)
        else:
            place.pop(name, None)


def misspelt(random, text):
    """Bytes of JSON with a few things wrong, or in another encoding."""
    if random.random() < 0.02:
        return text.decode(errors="replace").encode(
            random.choice(["utf-16", "utf-32", "utf-7", "utf-8-sig", "cp037"]), "replace"
        )
    for _ in range(random.choice((1, 1, 1, 3))):
        at, width = random.randrange(len(text) + 1), random.choice((0, 0, 1, 5, 50, len(text)))
        other = random.randrange(len(text) + 1)
        new = random.choice(
            (random.choice(TOKENS), random.randbytes(2), text[other : other + random.choice((1, 9, 99))])
        )
        text = text[:at] + new + text[at + width :]
    return text


def check(value, outcomes):
    started = time.process_time()
    try:
        upload = read_upload(value)
    except MessageRejected as rejected:
        outcomes[_known(rejected)] += 1
        assert time.process_time() - started < CPU_SECONDS
        return
    assert 0 < len(upload.event_id) <= 256 and 0 < len(upload.account_id) <= 256
    assert (upload.image.url is None) != (upload.image.base64 is None)
    try:
        assert upload.image.base64 is None or isinstance(inline_bytes(upload.image), bytes)
        outcomes["read"] += 1
    except MessageRejected as rejected:
        outcomes[_known(rejected)] += 1
    assert time.process_time() - started < CPU_SECONDS
    review = ImpersonationSuspected(
        review_id=derived_id("review", upload.event_id),
        **upload.model_dump(include={"event_id", "account_id", "image", "uploaded_at", "profile"}),
        priority=1,
        held=False,
        findings=[ReviewFinding(kind="same_person", priority=1, text="x")],
        faces=1,
        picture_width=1,
        picture_height=1,
        model_pack="p",
        threshold=0.5,
        sure_threshold=0.5,
        gallery_version=1,
        screened_at=NOW,
    )
    sent = read_data(write_event(review, upload.event_id, NOW))
    assert sent["event_id"] == upload.event_id and sent["account_id"] == upload.account_id


def _known(rejected):
    """The reason, if it is one and a dead letter can carry its sentence."""
    assert rejected.reason in REASONS and "\n" not in rejected.detail and len(rejected.detail) <= DETAIL_LENGTH + 1
    original = Original(
        topic="t",
        partition=0,
        offset=0,
        timestamp_ms=0,
        key_base64=None,
        value_base64=None,
        omitted=True,
        size=0,
        headers=[],
    )
    letter = AvatarDeadLettered(
        dead_letter_id=derived_id("x"),
        event_id=None,
        account_id=None,
        reason=rejected.reason,
        detail=rejected.detail,
        original=original,
        failed_at=NOW,
    )
    assert from_json(write_event(letter, "x", NOW))["data"]["detail"] == rejected.detail
    return rejected.reason


def test_whatever_is_wrong_with_a_message_it_is_read_or_rejected_at_once():
    seconds = float(os.environ.get("LIKENESS_FUZZ_SECONDS", "20"))
    seed = int(os.environ.get("LIKENESS_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
    outcomes, until = Counter(), time.monotonic() + seconds

    @given(documents(), st.integers(0, 2**32))
    @hypothesis.settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def batch(document, number):
        text = json.dumps(document, ensure_ascii=number % 2 == 0).encode("utf-8", "surrogatepass")
        chance = random.Random(number)
        check(text, outcomes)
        for _ in range(COPIES):
            check(misspelt(chance, text), outcomes)

    check(None, outcomes)

    while time.monotonic() < until:
        hypothesis.seed(seed)(batch)()
        seed += 1
    print(f"{outcomes.total():,} messages to seed {seed}: {dict(outcomes.most_common())}")
    assert set(outcomes) == {"read", *REASONS}
