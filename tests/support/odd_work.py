"""Work for worker processes that does what hostile pictures might: crash, hang, take all memory."""

import ctypes
import logging
import os
import stat
import time


class OddWork:
    """Picklable; called in the template it gives the work."""

    def __init__(self, refused=None):
        self.refused = refused

    def __call__(self):
        if self.refused:
            raise ValueError(self.refused)
        return _work


def _work(job):
    match job:
        case "pid":
            return os.getpid()
        case bytes():
            return len(job)
        case "crash":
            ctypes.string_at(0)
        case "hang":
            time.sleep(3600)
        case "spin":
            while True:
                pass
        case "memory":
            return len(bytearray(8_000_000_000))
        case "half":
            os.write(next(fd for fd in range(3, 60) if _is_socket(fd)), b"\0\0\1\0")
            time.sleep(3600)
        case "exit":
            os._exit(7)
        case "raise":
            raise KeyError("as asked")
        case "log":
            logging.getLogger("likeness.odd").warning("from a worker %d", os.getpid())
    return job


def _is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
