"""How far each partition is done, where uploads end out of order.

Kafka keeps one offset per partition: all before it is done. What is done beyond it, past uploads that take longer, goes
into the metadata of the committed offset as a bitmap. So a slow upload holds up no other, and no restart repeats one.
"""

import base64
import binascii
import logging
from collections.abc import Collection

from kafka.structs import OffsetAndMetadata

FORM = "likeness:1:"
"""What the metadata begins with; then come the committed offset, a colon, and base64 of the bitmap, bit 0 = the first
offset after the committed one. Whoever moves the offset and keeps the metadata is found out by that."""

SPAN = 16_000
"""Offsets that may be under way between the first and the last: their bitmap fits into the 4,096 characters of metadata
that a broker takes by default."""

log = logging.getLogger(__name__)


class Progress:
    """One partition's uploads under way and done, since it was assigned."""

    def __init__(self, committed: OffsetAndMetadata) -> None:
        """`committed`: where the group stands."""
        self._position: int = committed.offset
        self.next: int = self._position
        """The least offset that the topic may give next; a lower one tells that the broker has thrown us back."""
        self._epoch = committed.leader_epoch
        self._done = done_beyond(committed)
        self._under_way: dict[int, int] = {}

    def begin(self, offset: int, leader_epoch: int = -1) -> bool:
        """Take the next consumed upload on; False if it was done before. Offsets come in ascending order."""
        self.next, self._epoch = max(self.next, offset + 1), leader_epoch
        if offset < self._position or offset in self._done or offset in self._under_way:
            return False
        self._under_way[offset] = leader_epoch
        return True

    def reaches(self, offset: int) -> bool:
        """Whether an upload there may begin; if not, the first that is under way must end before."""
        if offset - next(iter(self._under_way), offset) < SPAN:
            return True
        self.next = max(self.next, offset)
        return False

    @property
    def full(self) -> bool:
        """Whether no more may be begun until the first upload that is under way has ended."""
        return self.next - next(iter(self._under_way), self.next) >= SPAN

    def after(self, ended: Collection[int]) -> OffsetAndMetadata:
        """What to commit together with the outcomes of the uploads `ended`."""
        first = next((offset for offset in self._under_way if offset not in ended), None)
        position, epoch = (self.next, self._epoch) if first is None else (first, self._under_way[first])
        done = self._done.union(ended)
        while position in done:
            position += 1
        return OffsetAndMetadata(position, _encoded(done, position), epoch)

    def end(self, ended: Collection[int]) -> None:
        """Note that the uploads `ended` are committed."""
        self._position = self.after(ended).offset
        for offset in ended:
            self._under_way.pop(offset)
        self._done = {offset for offset in self._done.union(ended) if offset > self._position}


def _encoded(done: Collection[int], position: int) -> str:
    beyond = [offset - position - 1 for offset in done if offset > position]
    if not beyond:
        return ""
    bits = bytearray(max(beyond) // 8 + 1)
    for number in beyond:
        bits[number // 8] |= 1 << number % 8
    return f"{FORM}{position}:{base64.b64encode(bits).decode()}"


def done_beyond(committed: OffsetAndMetadata) -> set[int]:
    """The offsets beyond the committed one that are done, by its metadata."""
    text, head = committed.metadata or "", f"{FORM}{committed.offset}:"
    try:
        bits = base64.b64decode(text.removeprefix(head), validate=True) if text.startswith(head) else b""
    except binascii.Error:
        bits = b""
    if text and not bits:
        log.warning("The metadata of a committed offset is not of this offset: uploads beyond it are screened again.")
    return {
        committed.offset + 1 + 8 * place + bit for place, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1
    }
