"""The evidence file: a ZIP that stands on its own, each file of it hashed in a manifest that we sign.

evidence.pdf and evidence.zh-Hans.pdf for people, evidence.json for programs, the pictures, an excerpt of the audit log,
the public key. likeness/evidence_check.py takes it apart again, with nothing of ours at hand.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import Any

from detector.calibration import Calibration
from records.audit import AuditFilter
from records.audit_export import export_lines
from records.database import Database
from records.evidence_format import AUDIT, KEYS, MANIFEST, README, SIGNATURE, TOLD, TYPE, json_bytes
from records.keys.signing import PublicKey, SigningKeys, jwks
from records.reports.evidence import Evidence, EvidenceCase
from web.console.evidence_pdf import Facts, evidence_pdf
from web.console.evidence_words import AccountPolicy, account_of, error_rates, findings_of
from web.languages import ENGLISH, LANGUAGES

EARLIEST = (1980, 1, 1, 0, 0, 0)
HOW_TO = """This ZIP was made by Likeness for {number} on {at:%Y-%m-%d %H:%M:%S} UTC.

Read evidence.pdf (English) or evidence.zh-Hans.pdf (简体中文). evidence.json says the same for programs.

To check that nothing was changed, on any computer with Likeness installed:

    likeness evidence verify FILE.zip --key KEYS.json

KEYS.json holds the platform's public keys: ask the platform for them, or get them from its report page at
/.well-known/likeness-signing-keys.json. Without Likeness: manifest.json holds the SHA-256 of every other file, and
signature.json an Ed25519 signature over the bytes of manifest.json, by the key in public-key.json (a JSON Web Key).

The pictures show a person who is protected by law. Pass them on only where it is needed.
"""


class EvidenceFiles:
    """Makes the files. accounts: what is told of the accounts; platform: its name, empty where it is not named."""

    def __init__(self, signing: SigningKeys, *, accounts: AccountPolicy, platform: str) -> None:
        self._signing = signing
        self._accounts = accounts
        self._platform = platform

    def make(
        self, evidence: Evidence, audit: Sequence[str], calibration: Calibration | None, by: str, now: datetime
    ) -> bytes:
        """The ZIP. audit: lines of `audit_lines`; by: the id of who releases it. Raises DatabaseAway."""
        facts = Facts(evidence, self._accounts, self._platform, calibration, by, now, _software())
        files = {TOLD: json_bytes(_told(facts))}
        for language in LANGUAGES.values():
            name = "evidence.pdf" if language is ENGLISH else f"evidence.{language.tag}.pdf"
            files[name] = evidence_pdf(facts, language)
        for number, one in enumerate(evidence.cases, 1):
            files |= {name: jpeg for name, jpeg in _pictures(number, one).items() if jpeg is not None}
        files[AUDIT] = "".join(audit).encode()
        files[README] = HOW_TO.format(number=evidence.report.number, at=now).encode()
        key = self._key()
        files[KEYS] = json_bytes(jwks([key]))
        manifest = {
            "type": TYPE,
            "case_number": evidence.report.number,
            "made_at": now.isoformat(timespec="seconds"),
            "files": {
                name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
                for name, content in sorted(files.items())
            },
        }
        signed = json_bytes(manifest)
        signature = self._signing.sign(signed)
        assert signature.key == key.id
        return _zip({MANIFEST: signed, SIGNATURE: json_bytes(asdict(signature)), **files})

    def _key(self) -> PublicKey:
        """The key that signs next; the first is made by signing something."""
        name = self._signing.sign(b"likeness").key
        return next(key for key in self._signing.public_keys() if key.id == name)


def audit_lines(database: Database, evidence: Evidence, through: int) -> list[str]:
    """The entries about the report, the person and the cases, up to the number `through`, as `likeness audit` exports
    them. Raises DatabaseAway."""
    report = evidence.report
    subjects = (
        report.id,
        *([report.identity_id] if report.identity_id else []),
        *(one.case.id for one in evidence.cases),
    )
    return list(export_lines(database, AuditFilter(subjects=subjects), through))


def _told(facts: Facts) -> dict[str, Any]:
    """evidence.json."""
    evidence, report = facts.evidence, facts.evidence.report
    return {
        "type": TYPE,
        "case_number": report.number,
        "platform": facts.platform or None,
        "made_at": facts.now.isoformat(timespec="seconds"),
        "released_by": facts.by,
        "software": facts.software,
        "report": {
            "id": report.id,
            "received_at": report.created_at.isoformat(),
            "approved_at": report.decided_at.isoformat() if report.decided_at else None,
            "approved_by": report.decided_by,
            "consent_text": report.consent_text,
            "consent_ends_at": report.ends_at.isoformat() if report.ends_at else None,
            "protected_since": evidence.protected_since.isoformat(),
        },
        "cases": [_told_case(number, one, facts) for number, one in enumerate(evidence.cases, 1)],
        "cases_left_out": evidence.left_out,
    }


def _told_case(number: int, one: EvidenceCase, facts: Facts) -> dict[str, Any]:
    case = one.case
    pictures = {name: content for name, content in _pictures(number, one).items() if content is not None}
    return {
        "case_id": case.id,
        "account": account_of(case, facts.accounts),
        "uploaded_at": case.uploaded_at.isoformat() if case.uploaded_at else None,
        "screened_at": case.screened_at.isoformat(),
        "opened_at": case.opened_at.isoformat(),
        "trigger": case.trigger,
        "findings": findings_of(one, facts.evidence.report.identity_id),
        "model_pack": case.evidence.get("model_pack"),
        "gallery_version": case.evidence.get("gallery_version"),
        "error_rates": list(error_rates(ENGLISH, one, facts.calibration)),
        "pictures": {name: hashlib.sha256(content).hexdigest() for name, content in pictures.items()},
        "decisions": [
            {
                "decision": made.decision,
                "reason": made.reason,
                "stage": made.stage,
                "state": made.state,
                "decided_by": made.decided_by,
                "decided_at": made.decided_at.isoformat(),
            }
            for made in one.decisions
        ],
    }


def _pictures(number: int, one: EvidenceCase) -> Mapping[str, bytes | None]:
    return {
        f"pictures/case-{number:03}-avatar.jpg": one.avatar,
        f"pictures/case-{number:03}-reference.jpg": one.reference,
    }


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = 0o644 << 16
            is_text = name.endswith((".json", ".jsonl", ".txt"))
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED)
    return packed.getvalue()


def _software() -> str:
    return f"Likeness {version('likeness')}"
