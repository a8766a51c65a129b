"""What a change of the records leaves in the outbox."""

import json

from records.gallery_changes import read_change
from records.outbox import Outbox


def waiting(database):
    """The rows that wait to be published; taken out."""
    rows = []
    while Outbox(database).drain(rows.extend):
        pass
    return rows


def announced(database, records):
    """The newest state of the one identity that waits to be published, None without one."""
    rows = waiting(database)
    if not rows:
        return None
    return read_change(rows[-1].key, json.loads(rows[-1].value), records.data_keys([rows[-1].key])[rows[-1].key])
