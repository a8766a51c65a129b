"""Uploads that cannot be screened: each becomes one dead letter that says why, and nothing else is harmed."""

import base64
import json

from tests.support.odd_pictures import huge_png
from tests.support.running_service import upload
from tests.support.web_site import answer, redirect

pytest_plugins = ["tests.support.platform"]


def document(**changes):
    good = {"event_id": "e", "account_id": "a", "image": {"base64": "AAAA"}}
    return {name: value for name, value in (good | changes).items() if value is not ...}


BAD_VALUES = {
    "no JSON": (b"{nope", "not_json"),
    "empty": (b"", "not_json"),
    "tombstone": (None, "not_json"),
    "bytes that are not UTF-8": (b'{"event_id": "\xff\xfe"}', "not_json"),
    "UTF-16": (json.dumps({"event_id": "1"}).encode("utf-16"), "not_json"),
    "zeros": (bytes(1000), "not_json"),
    "NaN": (b'{"event_id": "1", "account_id": "a", "image": {"base64": "AAAA"}, "x": NaN}', "not_json"),
    "lone surrogate": (b'{"event_id": "\\ud800", "account_id": "a", "image": {"base64": "AAAA"}}', "not_json"),
    "deep": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "not_json"),
    "a number of 5,000 digits": (b'{"event_id": ' + b"9" * 5_000 + b"}", "not_json"),
    "array": (b"[]", "schema_violation"),
    "string": (b'"upload"', "schema_violation"),
    "no event id": (document(event_id=...), "schema_violation"),
    "event id is a number": (document(event_id=5), "schema_violation"),
    "empty account": (document(account_id=""), "schema_violation"),
    "very long event id": (document(event_id="e" * 100_000), "schema_violation"),
    "very long account": (document(account_id="a" * 257), "schema_violation"),
    "control character in the event id": (document(event_id="a\nb"), "schema_violation"),
    "null byte in the account": (document(account_id="a\0"), "schema_violation"),
    "time without zone": (document(uploaded_at="2026-01-01T00:00:00"), "schema_violation"),
    "handle is an object": (document(profile={"handle": {}}), "schema_violation"),
    "image is text": (document(image="AAAA"), "schema_violation"),
    "both url and base64": (document(image={"url": "http://a/", "base64": "AAAA"}), "schema_violation"),
    "neither url nor base64": (document(image={"path": "a.jpg"}), "schema_violation"),
    "cloud event without source": ({"specversion": "1.0", "id": "1", "type": "t", "data": {}}, "schema_violation"),
    "cloud event of another version": (
        {"specversion": "0.3", "id": "1", "source": "/", "type": "t", "data": {}},
        "schema_violation",
    ),
    "cloud event time is a list": (
        {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "time": [], "data": {}},
        "schema_violation",
    ),
    "cloud event data_base64 is no base64": (
        {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "data_base64": "é"},
        "schema_violation",
    ),
    "no image": (document(image=...), "image_missing"),
    "image is null": (document(image=None), "image_missing"),
    "bad base64": (document(image={"base64": "A A"}), "image_not_base64"),
    "base64 with letters of no base64": (document(image={"base64": "é" * 4}), "image_not_base64"),
    "URL with a control character": (document(image={"url": "http://127.0.0.1/\n"}), "url_invalid"),
    "URL of another scheme": (document(image={"url": "gopher://127.0.0.1/"}), "scheme_not_allowed"),
    "host that is not allowed": (document(image={"url": "http://elsewhere.example/a.jpg"}), "host_not_allowed"),
    "private address": (document(image={"url": "http://10.0.0.1/a.jpg"}), "private_address"),
    "loopback": (document(image={"url": "http://localhost/a.jpg"}), "private_address"),
    "host that does not resolve": (document(image={"url": "http://closed.example/a.jpg"}), "unreachable"),
    "file outside the root": (document(image={"url": "file:///etc/passwd"}), "file_outside_root"),
    "bucket that is not allowed": (document(image={"url": "s3://private/a.jpg"}), "bucket_not_allowed"),
    "object that is not there": (document(image={"url": "s3://avatars/none.jpg"}), "not_found"),
}


def test_what_is_no_upload_becomes_one_dead_letter_with_its_reason_and_harms_no_neighbour(platform, portraits):
    picture = portraits["impostor_1.jpg"].read_bytes()
    headers = [("trace", b"\x00\xff"), ("trace", b"again"), ("empty", b"")]
    places, neighbours = {}, []
    for name, (value, _) in BAD_VALUES.items():
        raw = json.dumps(value).encode() if isinstance(value, dict) else value
        places[name] = (platform.topics.send(raw, key=b"\xffkey", headers=headers), raw)
        if len(places) % 5 == 0:
            neighbours.append(upload(picture=picture))
            platform.topics.send(neighbours[-1], key=b"\xffkey")
    assert [platform.topics.screening(one["event_id"])["verdict"] for one in neighbours] == ["clear"] * len(neighbours)
    for name, (place, raw) in places.items():
        letter = platform.topics.dead_letter(place)
        original = letter["original"]
        assert letter["reason"] == BAD_VALUES[name][1], (name, letter["detail"])
        assert letter["detail"].endswith(".") and "\n" not in letter["detail"], name
        assert original["topic"] == platform.settings.topics.uploads
        value = original["value_base64"]
        assert (value if value is None else base64.b64decode(value)) == raw, name
        assert original["omitted"] is False and original["size"] == len(raw or b"")
        assert base64.b64decode(original["key_base64"]) == b"\xffkey"
        sent = [(header["name"], base64.b64decode(header["value_base64"])) for header in original["headers"]]
        assert sent == headers
    assert all(len(platform.topics.dead_at(place)) == 1 for place, _ in places.values())


def test_a_picture_that_cannot_be_had_or_read_becomes_one_dead_letter(platform, portraits, store):
    good, site = portraits["person_b_1.jpg"].read_bytes(), platform.site
    site.answers |= {
        "/big.jpg": answer(good * 3),
        "/away": redirect("http://10.0.0.1/a.jpg"),
        "/metadata": redirect("http://169.254.169.254/latest/meta-data"),
        "/page": answer(b"<html>not a picture</html>"),
    }
    (platform.folder / "link.jpg").symlink_to(platform.folder.parent / "secret.jpg")
    closed = platform.settings.fetch.private_hosts[1]
    expected = [
        (upload(image={"base64": ""}), "empty"),
        (upload(picture=good[:9000]), "truncated_or_damaged"),
        (upload(picture=b"\xff\xd8\xff\xe0 no picture"), "truncated_or_damaged"),
        (upload(picture=huge_png()), "too_many_pixels"),
        (upload(picture=good * 3), "too_many_bytes"),
        (upload(image={"url": site.url("/big.jpg")}), "too_many_bytes"),
        (upload(image={"url": site.url("/none.jpg")}), "not_found"),
        (upload(image={"url": site.url("/page")}), "not_a_picture"),
        (upload(image={"url": site.url("/away")}), "private_address"),
        (upload(image={"url": site.url("/metadata")}), "private_address"),
        (upload(image={"url": f"http://{closed}/a.jpg"}), "unreachable"),
        (upload(image={"url": (platform.folder / "link.jpg").as_uri()}), "file_outside_root"),
        (upload(image={"url": f"file://{platform.folder}/../secret.jpg"}), "file_outside_root"),
    ]
    places = [platform.topics.send(sent) for sent, _ in expected]
    for place, (sent, reason) in zip(places, expected, strict=True):
        letter = platform.topics.dead_letter(place)
        assert letter["reason"] == reason, letter["detail"]
        assert (letter["event_id"], letter["account_id"]) == (sent["event_id"], sent["account_id"])
        assert base64.b64decode(letter["original"]["value_base64"]) == json.dumps(sent).encode()
        assert not platform.topics.of(sent["event_id"], "screening")
