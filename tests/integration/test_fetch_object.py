"""Pictures in a folder and in an object store (moto's S3 server on 127.0.0.1)."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support.fetching import MAX_BYTES, PICTURE, fetcher, refusal


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(PICTURE)
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def test_a_file_under_the_root_is_read_whatever_its_name(root):
    (root / "día 1#?.jpg").write_bytes(b"odd")
    (root / "sub").mkdir()
    (root / "sub" / "link.jpg").symlink_to(root / "a.jpg")
    fetch = fetcher(file_root=root)
    assert fetch.fetch(f"file://{root}/a.jpg") == PICTURE
    assert fetch.fetch(f"file://localhost{root}/sub/../a.jpg") == PICTURE
    assert fetch.fetch(f"file://{root}/sub/link.jpg") == PICTURE
    assert fetch.fetch(f"file://{root}/d%C3%ADa%201%23%3F.jpg") == b"odd"


def test_a_root_that_is_itself_a_link_is_followed(root, tmp_path):
    (tmp_path / "current").symlink_to(root)
    assert fetcher(file_root=tmp_path / "current").fetch(f"file://{tmp_path}/current/a.jpg") == PICTURE


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{root}/../secret",
        "{root}/%2e%2e/secret",
        "{root}/%2E%2E%2Fsecret",
        "{root}/out",
        "{root}/folder/secret",
        "{root}-other/a.jpg",
        "/proc/self/root/etc/passwd",
    ],
)
def test_a_path_that_leads_out_of_the_root_is_refused(root, tmp_path, path):
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    (tmp_path / "pictures-other").mkdir()
    (tmp_path / "pictures-other" / "a.jpg").write_bytes(b"other")
    assert refusal(fetcher(file_root=root), "file://" + path.format(root=root)).reason == "file_outside_root"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("//elsewhere{root}/a.jpg", "url_invalid"),
        ("a.jpg", "url_invalid"),
        ("//{root}/a%00.jpg", "url_invalid"),
        ("//{root}/a.jpg?x=1", "url_invalid"),
        ("//{root}/missing.jpg", "not_found"),
        ("//{root}/%252e%252e/secret", "not_found"),
        ("//{root}/%c0%ae%c0%ae/secret", "not_found"),
        ("//{root}/..\\secret", "not_found"),
        ("//{root}/a.jpg/b.jpg", "not_found"),
        ("//{root}/" + "a" * 300, "file_unreadable"),
        ("//{root}/loop", "file_unreadable"),
        ("//{root}", "not_a_file"),
        ("//{root}/pipe", "not_a_file"),
        ("//{root}/socket", "file_unreadable"),
        ("//{root}/big.jpg", "too_many_bytes"),
    ],
)
def test_what_is_no_readable_picture_file_is_refused_without_waiting(root, path, reason, monkeypatch):
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to(root / "loop")
    (root / "big.jpg").write_bytes(b"x" * (MAX_BYTES + 1))
    monkeypatch.chdir(root)  # a socket's path may be no longer than 108 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        started = time.monotonic()
        assert refusal(fetcher(file_root=root), "file:" + path.format(root=root)).reason == reason
    assert time.monotonic() - started < 1


def test_a_refused_file_is_closed_again(root):
    fetch = fetcher(file_root=root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        refusal(fetch, f"file://{root}")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_device_is_no_picture():
    assert refusal(fetcher(file_root="/dev"), "file:///dev/zero").reason == "not_a_file"


@pytest.fixture
def bucket(monkeypatch):
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    store = boto3.client("s3")
    for name in ("avatars", "private"):
        store.create_bucket(Bucket=name)
        store.put_object(Bucket=name, Key="a.jpg", Body=PICTURE)
    yield store
    server.stop()


def test_an_object_of_an_allowed_bucket_is_read(bucket):
    bucket.put_object(Bucket="avatars", Key="2026/día 1 #?%20*.jpg", Body=b"odd")
    bucket.put_object(Bucket="avatars", Key="empty", Body=b"")
    bucket.put_object(Bucket="avatars", Key="full", Body=b"x" * MAX_BYTES)
    fetch = fetcher(allowed_buckets=["avatars"])
    assert fetch.fetch("s3://avatars/a.jpg") == PICTURE
    assert fetch.fetch("s3://avatars/2026/día 1 #?%20*.jpg") == b"odd"
    assert fetch.fetch("s3://avatars/empty") == b""
    assert len(fetch.fetch("s3://avatars/full")) == MAX_BYTES
    fetch.close()


def test_an_object_that_is_missing_too_large_or_in_another_bucket_is_refused(bucket):
    bucket.put_object(Bucket="avatars", Key="big", Body=b"x" * (MAX_BYTES + 1))
    bucket.put_object(Bucket="avatars", Key="folder/a.jpg", Body=b"x")
    fetch = fetcher(allowed_buckets=["avatars", "absent"])
    assert refusal(fetch, "s3://avatars/missing").reason == "not_found"
    assert refusal(fetch, "s3://avatars/folder").reason == "not_found"
    assert refusal(fetch, "s3://absent/a.jpg").reason == "not_found"
    assert refusal(fetch, "s3://avatars/big").reason == "too_many_bytes"
    assert refusal(fetch, "s3://private/a.jpg").reason == "bucket_not_allowed"
    fetch.close()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("avatars/../private/a.jpg", "url_invalid"),
        ("avatars//../../private/a.jpg", "url_invalid"),
        ("avatars/./a.jpg", "url_invalid"),
        ("avatars/%2e%2e/private/a.jpg", "not_found"),
        ("avatars/..%2Fprivate/a.jpg", "not_found"),
        ("avatars/..\\private/a.jpg", "not_found"),
        ("avatars/a.jpg?versionId=../../private/a.jpg", "url_invalid"),
        ("../private/a.jpg", "bucket_not_allowed"),
        ("avatars%2F..%2Fprivate/a.jpg", "bucket_not_allowed"),
        ("avatars@private/a.jpg", "bucket_not_allowed"),
    ],
)
def test_no_key_leads_out_of_its_bucket(bucket, path, reason):
    fetch = fetcher(allowed_buckets=["avatars"])
    assert refusal(fetch, f"s3://{path}").reason == reason
    fetch.close()


def test_an_object_that_is_replaced_is_read_anew(bucket):
    fetch = fetcher(allowed_buckets=["avatars"])
    fetch.fetch("s3://avatars/a.jpg")
    bucket.put_object(Bucket="avatars", Key="a.jpg", Body=b"longer" * 2000)
    assert fetch.fetch("s3://avatars/a.jpg") == b"longer" * 2000
    fetch.close()


def test_an_object_store_that_is_silent_is_given_up_in_time(bucket, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        fetch = fetcher(allowed_buckets=["avatars"], total_seconds=1.5)
        started = time.monotonic()
        assert refusal(fetch, "s3://avatars/a.jpg").reason == "fetch_timeout"
        assert time.monotonic() - started < 2.5
        fetch.close()


def test_an_object_store_that_is_away_is_unreachable(bucket, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    refused = refusal(fetcher(allowed_buckets=["avatars"]), "s3://avatars/a.jpg")
    assert (refused.reason, refused.retryable) == ("unreachable", True)


def test_without_the_package_for_object_stores_an_s3_url_says_what_to_install():
    code = """
import sys
sys.modules["s3fs"] = None
from config.settings import load_settings
from consumers.fetch import FetchRefused, PictureFetcher
try:
    PictureFetcher(load_settings(fetch={"allowed_buckets": ["avatars"]}).fetch, 1000).fetch("s3://avatars/a.jpg")
except FetchRefused as refused:
    print(refused.reason, refused.detail)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "object_store_unavailable Reading s3:// needs the package s3fs: install likeness[s3].\n"
