"""The names in an evidence file, for who makes it (web/console/evidence_file.py) and who checks it
(likeness/evidence_check.py)."""

import json

TYPE = "likeness-evidence-1"
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
KEYS = "public-key.json"
README = "README.txt"
AUDIT = "audit.jsonl"
TOLD = "evidence.json"


def json_bytes(said: object) -> bytes:
    """How the JSON files in it are written."""
    return (json.dumps(said, ensure_ascii=False, indent=2) + "\n").encode()
