"""Milvus Lite as a server of its own, as other processes would reach a cluster."""

import subprocess
import sys
import time
from pathlib import Path

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from demo.broker import free_port

READY_SECONDS = 60.0


class MilvusLite:
    """Use it as a context manager. What it holds lies below `folder`, and is there again after `stop` and `start`."""

    name = "Milvus Lite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "MilvusLite":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        program = Path(sys.executable).with_name("milvus-lite")
        where = ["--data-dir", str(self.folder), "--host", "127.0.0.1", "--port", str(self._port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([program, "server", *where], **quiet)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                MilvusClient(self.uri, timeout=1).close()
                return
            except MilvusException:
                assert time.monotonic() < deadline and self._process.poll() is None, "Milvus Lite does not start"
                time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
