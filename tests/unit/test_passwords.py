"""Hashing takes much memory by design, and strangers can ask for it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher

from records.people import passwords


class Watched(PasswordHasher):
    """Knows how many hashes were in work at the same time, and which were checked."""

    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self._lock = threading.Lock()
        self._now = self.most = 0
        self.checked = []

    def _watching(self, work, *args, **known):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.01)
        try:
            return work(*args, **known)
        finally:
            with self._lock:
                self._now -= 1

    def hash(self, *args, **known):
        return self._watching(super().hash, *args, **known)

    def verify(self, hash, password):
        self.checked.append(hash)
        return self._watching(super().verify, hash, password)


def test_however_many_ask_only_a_few_passwords_are_hashed_or_checked_at_once(monkeypatch):
    kept = passwords.hashed("48151623")
    hasher = Watched()
    monkeypatch.setattr(passwords, "HASHER", hasher)
    asked = [lambda: passwords.matches(kept, "48151623"), lambda: passwords.hashed("48151623").startswith("$argon2id$")]
    with ThreadPoolExecutor(24) as together:
        assert all(together.map(lambda ask: ask(), 12 * asked))
    assert hasher.most == passwords.AT_ONCE
