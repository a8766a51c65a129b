"""The database, the master key, the gallery, and the clock."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from config import Settings, packaged
from detector.packs import read_packs
from likeness.doctor.finding import Finding
from records import soundness
from records.database import Database, open_database
from records.errors import DatabaseAway, MasterKeyError
from records.faces_kept import FILING_AT, FILING_SOON, people_with_faces
from records.keys.open_master_key import open_master_key

CLOCK_WARN, CLOCK_FAIL = 2.0, 60.0
"""Seconds by which clocks may differ."""


def records_checks(settings: Settings) -> Iterator[Finding]:
    missing = _missing_file(settings)
    if missing is not None:
        yield Finding("database", "warn", f"There is no file {missing} yet.", "The first start makes it.")
        yield from master_key(settings, None)
        return
    try:
        with closing(open_database(settings.database_url)) as database:
            state = soundness.revision(database)
            yield Finding("database", "ok", f"{database.name} answers.")
            current = tables(state)
            yield current
            yield clock(soundness.clock_ahead(database))
            if current.state == "ok":
                yield writable(database)
                yield gallery(settings, database)
                yield faces(settings, database)
            yield from master_key(settings, database if state.found is not None else None)
    except DatabaseAway as error:
        yield Finding("database", "fail", str(error), "See that it runs, and database.url (host, name, user, rights).")


def tables(state: soundness.Revision) -> Finding:
    """Whether the tables are those of this version."""
    if not state.known:
        mend = "Run the version of Likeness that migrated it, or a later one; the way back is a backup."
        return Finding("tables", "fail", f"Revision {state.found} is newer than this version of Likeness.", mend)
    if state.found != state.needed:
        said = f"The tables are at revision {state.found or 'none'}; this version needs {state.needed}."
        return Finding("tables", "warn", said, "The next start of `likeness run` migrates them.")
    return Finding("tables", "ok", f"Revision {state.found}, that of this version.")


def writable(database: Database) -> Finding:
    try:
        soundness.try_writing(database)
    except DatabaseAway as error:
        mend = "See its disk, its rights, and that it is not a standby."
        return Finding("database writes", "fail", str(error), mend)
    return Finding("database writes", "ok", "A row was written and taken back.")


def gallery(settings: Settings, database: Database) -> Finding:
    """Whether there is anybody to protect, and all of them by the pack in force."""
    pack = read_packs(packaged("models.toml")).get(settings.models.pack)
    if pack is None:
        return Finding("gallery", "unknown", f"The id of pack {settings.models.pack} is known only once it is loaded.")
    found = soundness.contents(database, pack.id)
    if found.unusable:
        said = f"{found.unusable} of {found.references} references have no embedding of {pack.id}."
        return Finding(
            "gallery", "fail", said, "`likeness gallery reembed`; `likeness run` refuses to start until then."
        )
    if not found.references:
        return Finding("gallery", "warn", "It is empty: nobody is protected.", "`likeness gallery add`.")
    return Finding("gallery", "ok", f"{found.identities} identities, {found.references} references.")


def faces(settings: Settings, database: Database) -> Finding:
    """Whether so many faces are kept that China's rule on filing asks for it."""
    kept = people_with_faces(database).total
    said = f"Faces of {kept:,} people are kept; from {FILING_AT:,} on they must be filed in China (docs/privacy.md)."
    if settings.look_back.days:
        said += f" Those of all avatars of {settings.look_back.days} days come on top: count your accounts."
    if kept >= FILING_AT * FILING_SOON or settings.look_back.days:
        return Finding("faces kept", "warn", said, "`likeness privacy sheet`.")
    return Finding("faces kept", "ok", said)


def master_key(settings: Settings, database: Database | None) -> Iterator[Finding]:
    """Whether it can be read, by nobody else, and is the one that `database` was made with."""
    given, path = settings.keys.master_key, settings.master_key_file
    needed = database is not None and soundness.has_keys(database)
    if given is None and not path.exists() and not needed:
        yield Finding(
            "master key", "warn", f"There is none at {path} yet.", "The first start makes it: then back it up."
        )
        return
    try:
        key = open_master_key(settings.keys, path, create=False)
        if database is not None:
            soundness.open_a_key(database, key)
    except MasterKeyError as error:
        mend = "Put back the key from your backup: without it the gallery is lost."
        yield Finding("master key", "fail", str(error), mend)
        return
    opens = "opens an identity's key" if needed else "can be read; no identity has a key yet"
    yield Finding("master key", "ok", f"{'The one in keys.master_key' if given else path} {opens}.")
    if len(key.ids) > 1:
        mend = "`likeness keys status`, then `likeness keys rotate` and `likeness keys retire`."
        yield Finding("master key", "warn", f"There are {len(key.ids)}: a rotation is under way.", mend)
    if given is None and not settings.keys.kms_key_id and (mode := path.stat().st_mode & 0o777) & 0o077:
        yield Finding("master key", "warn", f"Others may read {path} (mode {mode:o}).", f"chmod 600 {path}")


def clock(ahead: float | None) -> Finding:
    """`ahead`: seconds by which the database's is, None where there is nothing to compare with."""
    if ahead is None:
        return Finding("clock", "unknown", "SQLite has no clock of its own to compare with.")
    said = f"The database's clock and this machine's differ by {abs(ahead):.1f} s."
    if abs(ahead) <= CLOCK_WARN:
        return Finding("clock", "ok", said)
    return Finding("clock", "fail" if abs(ahead) > CLOCK_FAIL else "warn", said, "Let both follow a time server (NTP).")


def _missing_file(settings: Settings) -> str | None:
    """The file of an SQLite database that was never opened: opening it would make it."""
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        return None
    if url.get_backend_name() != "sqlite" or not url.database or Path(url.database).exists():
        return None
    return url.database
