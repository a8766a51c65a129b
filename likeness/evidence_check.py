"""Checks an evidence file, or the receipt of an erasure, with nothing but the file and the platform's public keys.

The file may come from anybody: its ZIP is read within limits and unpacked nowhere. The first thing that is wrong is
told: 1. the ZIP  2. the key and the signature  3. each file against the manifest  4. the chain of the audit excerpt.
"""

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from records.audit_export import check_export
from records.evidence_format import AUDIT, KEYS, MANIFEST, SIGNATURE, TOLD, TYPE, json_bytes
from records.keys.signing import PublicKey, Signature, SignatureWrong, read_jwks, verify, verify_json
from records.reports.receipts import TYPE as RECEIPT_TYPE

MOST_FILES = 500
MOST_BYTES = 64_000_000
"""Of one file in the ZIP, unpacked."""
MOST_TOGETHER = 500_000_000
NAME = re.compile(r"([a-z0-9-]+/)?[A-Za-z0-9][A-Za-z0-9.-]*")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class EvidenceWrong(ValueError):
    """The first thing that is wrong, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found to be as it was made, in sentences."""

    says: Sequence[str]


def check_file(path: Path, keys: Sequence[PublicKey] | None) -> Checked:
    """keys: the platform's, had from itself; None where nobody has them. Raises EvidenceWrong, OSError."""
    if path.stat().st_size > MOST_TOGETHER:
        raise EvidenceWrong(f"it has more than {MOST_TOGETHER:,} bytes")
    content = path.read_bytes()
    if content[:2] != b"PK":
        return _receipt(content, keys)
    return _evidence(_unpacked(content), keys, hashlib.sha256(content).hexdigest())


def _receipt(content: bytes, keys: Sequence[PublicKey] | None) -> Checked:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise EvidenceWrong("it is neither a ZIP nor a receipt") from None
    if keys is None:
        raise EvidenceWrong("it is no ZIP; a receipt is checked with the platform's public keys (--key)")
    try:
        said = verify_json(text, keys)
    except SignatureWrong as wrong:
        raise EvidenceWrong(str(wrong)) from None
    if said.get("type") != RECEIPT_TYPE:
        raise EvidenceWrong("it is signed, but it is no receipt")
    return Checked([f"A receipt for {said['case_number']}, as it was given: erased at {said['erased_at']}."])


def _unpacked(content: bytes) -> Mapping[str, bytes]:
    """Every file by its name, in memory."""
    files: dict[str, bytes] = {}
    together = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if len(archive.infolist()) > MOST_FILES:
                raise EvidenceWrong(f"it holds more than {MOST_FILES} files")
            for entry in archive.infolist():
                _check_entry(entry, files)
                with archive.open(entry) as packed:
                    unpacked = packed.read(MOST_BYTES + 1)  # what it says of its size may be a lie
                together += len(unpacked)
                if len(unpacked) > MOST_BYTES or together > MOST_TOGETHER:
                    raise EvidenceWrong("it unpacks to far more than an evidence file holds")
                files[entry.filename] = unpacked
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, EvidenceWrong):
            raise
        raise EvidenceWrong(f"its ZIP is broken ({_plain(str(error)) or type(error).__name__})") from None
    return files


def _check_entry(entry: zipfile.ZipInfo, known: Mapping[str, bytes]) -> None:
    """Raises EvidenceWrong for what no evidence file of ours has."""
    name = _plain(entry.filename)
    if not NAME.fullmatch(entry.filename) or ".." in entry.filename:
        raise EvidenceWrong(f"it holds a file of a name that none has: {name}")
    if entry.filename in known:
        raise EvidenceWrong(f"it holds {name} twice")
    if entry.flag_bits & 1 or entry.compress_type not in METHODS:
        raise EvidenceWrong(f"{name} is packed as no evidence file is")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise EvidenceWrong(f"{name} is a link")
    if entry.file_size > MOST_BYTES:
        raise EvidenceWrong(f"{name} unpacks to far more than an evidence file holds")


def _evidence(files: Mapping[str, bytes], keys: Sequence[PublicKey] | None, digest: str) -> Checked:
    for name in (MANIFEST, SIGNATURE, KEYS):
        if name not in files:
            raise EvidenceWrong(f"{name} is missing")
    signature, key = _signature(files[SIGNATURE]), _key(files[KEYS])
    if keys is not None and (key.id, key.public) not in [(one.id, one.public) for one in keys]:
        raise EvidenceWrong(f"it is signed by the key {_plain(key.id)}, which is none of the platform's")
    try:
        verify(key, files[MANIFEST], signature)
    except SignatureWrong as wrong:
        raise EvidenceWrong(f"{MANIFEST} or its signature was changed: {_plain(str(wrong))}") from None
    manifest = _json(files[MANIFEST], MANIFEST)
    if manifest.get("type") != TYPE:
        raise EvidenceWrong(f"it is of a kind that this version does not know: {_plain(str(manifest.get('type')))}")
    _check_files(manifest, files)
    number, made_at = manifest.get("case_number"), manifest.get("made_at")
    if not isinstance(number, str) or not isinstance(made_at, str):
        raise EvidenceWrong(f"{MANIFEST} does not say whose it is and of when")
    if _json(files[TOLD], TOLD).get("case_number") != number:
        raise EvidenceWrong(f"{TOLD} is about another case")
    excerpt = check_export(files[AUDIT].decode(errors="replace").splitlines())
    if excerpt.broken is not None:
        raise EvidenceWrong(f"{AUDIT} is broken from line {excerpt.broken} on: {excerpt.why.rstrip('.')}")
    fingerprint = hashlib.sha256(key.public).hexdigest()
    return Checked(
        [
            f"Evidence file for {_plain(number)}, made at {_plain(made_at)}.",
            f"All {len(manifest['files'])} files are as they were made. SHA-256 of the whole file: {digest}.",
            f"The excerpt of the audit log holds together: {excerpt.entries} of the entries {excerpt.first} to "
            f"{excerpt.last}.",
            f"Signed by the key {key.id}, whose SHA-256 is {fingerprint}"
            + (", one of those given." if keys is not None else "."),
        ]
    )


def _check_files(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Raises EvidenceWrong unless the files are those of the manifest, byte by byte."""
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not {TOLD, AUDIT, KEYS} <= listed.keys():
        raise EvidenceWrong(f"{MANIFEST} does not name the files that every evidence file has")
    for name, facts in listed.items():
        if name not in files:
            raise EvidenceWrong(f"{_plain(name)} is missing")
        if not isinstance(facts, dict) or hashlib.sha256(files[name]).hexdigest() != facts.get("sha256"):
            raise EvidenceWrong(f"{_plain(name)} was changed: its SHA-256 is not that of {MANIFEST}")
    if more := sorted(files.keys() - listed.keys() - {MANIFEST, SIGNATURE}):
        raise EvidenceWrong(f"{_plain(more[0])} was put in afterwards: {MANIFEST} does not name it")


def _signature(content: bytes) -> Signature:
    said = _json(content, SIGNATURE)
    try:
        signature = Signature(**{name: str(said[name]) for name in ("key", "signature", "algorithm")})
    except KeyError:
        raise EvidenceWrong(f"{SIGNATURE} holds no signature") from None
    if content != json_bytes(asdict(signature)):  # nothing signs this file: it holds the signature and nothing else
        raise EvidenceWrong(f"{SIGNATURE} was changed")
    return signature


def _key(content: bytes) -> PublicKey:
    try:
        (key,) = read_jwks(content.decode(errors="replace"))
    except ValueError:
        raise EvidenceWrong(f"{KEYS} does not hold one Ed25519 key") from None
    return key


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EvidenceWrong(f"{name} cannot be read")
    return found


def _plain(text: str) -> str:
    """Fit for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
