"""Who copies the database's files reads nothing of a person in them: on SQLite and on PostgreSQL."""

import base64
from pathlib import Path

from sqlalchemy import text

from likeness.raw_search import photo_needles, search, text_needles
from records.gallery_changes import vector_bytes
from tests.support.vault import DETAILS, MASTER, embedding, fill, photo


def files_of(database):
    """The files of the database, and of PostgreSQL also the server's log."""
    if not database.postgresql:
        return sorted(Path(database.engine.url.database).parent.glob("likeness.db*"))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))  # what the server has in memory goes to its files
        folder = Path(connection.scalar(text("SHOW data_directory")))
        return [folder / "base", folder / "pg_wal"]


def pieces_of(vector):
    """Parts of an embedding, as they are and in base64 from whichever byte on."""
    raw = vector_bytes(vector)
    encoded = [base64.b64encode(bytes(shift) + raw)[8:48] for shift in range(3)]
    return [*(raw[start : start + 32] for start in range(0, len(raw), 32)), *encoded]


def test_a_person_a_report_and_a_case_leave_nothing_to_read(database):
    vault = fill(database, MASTER)
    photos = {"gallery": photo(1), "report": photo(101), "case": photo(201), "challenge": photo(99)}
    needles = {f"photo {where}": photo_needles(one.photo_jpeg) for where, one in photos.items()}
    needles |= {f"face {seed}": pieces_of(embedding(seed)) for seed in (1, 101, 99)}
    needles |= {
        f"fingerprint {where}": [one.fingerprint.picture, one.fingerprint.face, one.fingerprint.picture.hex().encode()]
        for where, one in photos.items()
    }
    needles |= {name: text_needles(said) for name, said in (("contact", DETAILS.contact), ("words", DETAILS.words))}
    needles |= {"link": text_needles(DETAILS.links[0]), "account": text_needles(DETAILS.accounts[0])}
    needles |= {"master key": [MASTER.current, base64.b64encode(MASTER.current)]}
    files = files_of(database)
    assert list(search(files, {"id": [vault.report_id.encode()]})), "the search looks where the rows are"
    assert sorted({hit.what for hit in search(files, needles)}) == []
