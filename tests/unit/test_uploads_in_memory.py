"""A photo that is sent to a page is never written to /tmp, where it would lie in the clear."""

import asyncio
import tempfile

from starlette.requests import Request

import web.security  # noqa: F401  # says so for all forms

PHOTO = bytes(8_000_000)
BODY = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="mine.jpg"\r\n\r\n' + PHOTO + b"\r\n--b--\r\n"


async def sent() -> bytes:
    async def receive():
        return {"type": "http.request", "body": BODY, "more_body": False}

    kind = (b"content-type", b"multipart/form-data; boundary=b")
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": [kind]}, receive)
    async with request.form() as form:
        return await form["photo"].read()


def test_a_large_photo_stays_in_memory(monkeypatch):
    def on_disk(*_known, **_more):
        raise AssertionError("the photo is written to a file")

    monkeypatch.setattr(tempfile, "TemporaryFile", on_disk)
    assert asyncio.run(sent()) == PHOTO
