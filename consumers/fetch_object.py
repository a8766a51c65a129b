"""Pictures that lie in a folder (file://) or an object store (s3://, through fsspec)."""

import contextlib
import os
import stat
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import fsspec
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

from config.settings import Fetch
from consumers.fetch_rules import Deadline, FetchRefused, split_url


class FileSource:
    """Reads pictures under one folder."""

    def __init__(self, root: Path | None, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def read(self, url: str, deadline: Deadline) -> bytes:
        """The content of a regular file, percent-encoding decoded and links followed first. Raises FetchRefused."""
        path = self._path(url)
        deadline.left()
        try:
            # Opening a pipe that nobody writes to would hang; the last name may have become a link since realpath.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FetchRefused("not_found", f"{path.name} does not exist under file_root.") from error
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FetchRefused("not_a_file", f"{path.name} is a folder, a pipe, a socket or a device.")
            if status.st_size > self._max_bytes:
                raise _too_large(path.name, self._max_bytes)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(self._max_bytes + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
        finally:
            os.close(descriptor)
        if len(content) > self._max_bytes:
            raise _too_large(path.name, self._max_bytes)
        return content

    def _path(self, url: str) -> Path:
        parts = split_url(url)
        if self._root is None:
            raise FetchRefused("file_root_not_set", "Set file_root to the folder whose pictures may be read.")
        if parts.netloc.lower() not in ("", "localhost") or parts.query or parts.fragment:
            raise FetchRefused("url_invalid", "A file URL is file:///path, with ? and # percent-encoded.")
        raw = unquote_to_bytes(parts.path)
        if not raw.startswith(b"/") or b"\0" in raw:
            raise FetchRefused("url_invalid", "A file URL names an absolute path without NUL bytes.")
        # realpath, unlike Path.resolve, takes a loop of links for a plain name, which then fails to open.
        path = Path(os.path.realpath(os.fsdecode(raw)))
        if not path.is_relative_to(os.path.realpath(self._root)):
            raise FetchRefused("file_outside_root", f"{path.name} lies outside file_root, links followed.")
        return path


class S3Source:
    """Reads pictures from the buckets that are allowed, with the AWS credentials and endpoint of the environment."""

    def __init__(self, fetch: Fetch, max_bytes: int) -> None:
        self._buckets = frozenset(fetch.allowed_buckets)
        self._max_bytes = max_bytes
        self._connect_seconds = fetch.connect_seconds
        self._total_seconds = fetch.total_seconds
        self._store: Any = None
        self._opening = threading.Lock()
        if self._buckets:
            self._get_ready()

    def read(self, url: str, deadline: Deadline) -> bytes:
        """The content of s3://bucket/key; the key is taken literally, without percent-decoding. Raises FetchRefused."""
        split_url(url)
        bucket, _, key = url.partition("://")[2].partition("/")
        if not bucket or not key or any(part in (".", "..") for part in key.split("/")):
            raise FetchRefused("url_invalid", "An object URL is s3://bucket/key, the key without . and .. parts.")
        if bucket not in self._buckets:
            raise FetchRefused(
                "bucket_not_allowed", f"Bucket {bucket} is not in allowed_buckets: add it if pictures lie there."
            )
        store = self._opened()
        from botocore.exceptions import BotoCoreError, ConnectionError, HTTPClientError

        try:
            return self._content(store, f"{bucket}/{key}", deadline)
        except (FSTimeoutError, TimeoutError) as error:
            raise deadline.passed() from error
        except FileNotFoundError as error:
            raise FetchRefused("not_found", f"Bucket {bucket} has no such object.") from error
        except PermissionError as error:
            detail = f"Bucket {bucket} may not be read ({error}): check the credentials and the bucket's policy."
            raise FetchRefused("object_error", detail) from error
        except (ConnectionError, HTTPClientError) as error:
            detail = f"The object store cannot be reached ({error}): check its endpoint."
            raise FetchRefused("unreachable", detail, retryable=True) from error
        except BotoCoreError as error:
            detail = f"The object store cannot be used ({error}): check its credentials and settings."
            raise FetchRefused("object_error", detail) from error
        except OSError as error:
            detail = f"The object store answered with an error ({error}): look at its log."
            raise FetchRefused("object_error", detail, retryable=True) from error

    def close(self) -> None:
        # s3fs closes its connections when it is collected.
        with self._opening:
            self._store = None

    def _get_ready(self) -> None:
        """Load the client, which takes a second, before the first upload's time runs; what fails is told then."""
        with contextlib.suppress(Exception):
            store = self._opened()
            sync(store.loop, store.set_session, timeout=self._connect_seconds)

    def _content(self, store: Any, path: str, deadline: Deadline) -> bytes:
        # _info and _cat_file are fsspec's documented coroutines; unlike info and cat they can be given a time limit.
        size = sync(store.loop, self._size, store, path, timeout=deadline.left())
        if size > self._max_bytes:
            raise _too_large("The object", self._max_bytes)
        if size == 0:
            return b""
        # A range bounds the read even when the object has grown since.
        content = sync(store.loop, store._cat_file, path, start=0, end=self._max_bytes + 1, timeout=deadline.left())
        if len(content) > self._max_bytes:
            raise _too_large("The object", self._max_bytes)
        return bytes(content)

    @staticmethod
    async def _size(store: Any, path: str) -> int:
        info = await store._info(path)
        if info["type"] != "file":
            raise FileNotFoundError(path)
        return int(info["size"])

    def _opened(self) -> Any:
        with self._opening:
            if self._store is None:
                try:
                    self._store = fsspec.filesystem(
                        "s3",
                        skip_instance_cache=True,
                        config_kwargs={
                            "connect_timeout": self._connect_seconds,
                            "read_timeout": self._total_seconds,
                            "retries": {"max_attempts": 0},
                        },
                    )
                except ImportError as error:
                    detail = "Reading s3:// needs the package s3fs: install likeness[s3]."
                    raise FetchRefused("object_store_unavailable", detail) from error
            return self._store


def _too_large(name: str, max_bytes: int) -> FetchRefused:
    return FetchRefused("too_many_bytes", f"{name} is larger than {max_bytes} bytes.")


def _unreadable(path: Path, error: OSError) -> FetchRefused:
    return FetchRefused("file_unreadable", f"{path.name} cannot be read ({error.strerror}): check its permissions.")
