"""An evidence file is checked offline: whatever was changed, left out or put in is named, and a hostile file does no
harm."""

import hashlib
import json
import random
import struct
import subprocess
import sys
import zipfile
from dataclasses import asdict

import pytest

from likeness.evidence_check import MOST_FILES, EvidenceWrong, check_file
from records.audit import AuditFilter, AuditLog
from records.audit_export import export_lines
from records.database import open_database
from records.evidence_format import json_bytes
from records.keys.keyring import MasterKey
from records.keys.signing import SigningKeys, jwks

NUMBER = "LK-7Q4M-2XKD-9BTN"


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('evidence') / 'likeness.db'}")
    database.migrate()
    log = AuditLog(database)
    for number in range(6):
        log.append("mo", "case_decided", f"case-{number % 2}", {"number": number})
    signing = SigningKeys(database, MasterKey.of(bytes(32)))
    signing.sign(b"first")
    yield signing
    database.close()


@pytest.fixture(scope="module")
def files(signing):
    """A small file of evidence by its names, as web/console/evidence_file.py lays it out."""
    lines = export_lines(signing._database, AuditFilter(subjects=("case-0",)), 6)
    content = {
        "evidence.json": json_bytes({"case_number": NUMBER}),
        "evidence.pdf": b"%PDF-1.4 " + random.Random(1).randbytes(400),
        "pictures/case-001-avatar.jpg": random.Random(2).randbytes(400),
        "audit.jsonl": "".join(lines).encode(),
        "public-key.json": json_bytes(jwks(signing.public_keys())),
    }
    return signed(signing, content)


def signed(signing, content, **facts):
    listed = {name: {"sha256": hashlib.sha256(one).hexdigest(), "bytes": len(one)} for name, one in content.items()}
    manifest = {"type": "likeness-evidence-1", "case_number": NUMBER, "made_at": "2026-03-01", "files": listed}
    manifest = json_bytes(manifest | facts)
    return {"manifest.json": manifest, "signature.json": json_bytes(asdict(signing.sign(manifest))), **content}


@pytest.fixture
def packed(tmp_path):
    def pack(files):
        path = tmp_path / "evidence.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return pack


def wrong(path, keys=None):
    with pytest.raises(EvidenceWrong) as found:
        check_file(path, keys)
    return str(found.value)


def test_a_file_as_it_was_made_is_whole(packed, files, signing):
    said = " ".join(check_file(packed(files), signing.public_keys()).says)
    assert NUMBER in said and "3 of the entries 1 to 5" in said and "one of those given" in said


@pytest.mark.parametrize("seed", range(4))
def test_a_change_of_any_byte_of_any_file_in_it_is_found(packed, files, signing, seed):
    chance = random.Random(seed)
    for name, content in files.items():
        for place in {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(6))}:
            changed = bytearray(content)
            changed[place] ^= 1 << chance.randrange(8)
            path = packed(files | {name: bytes(changed)})
            assert wrong(path, signing.public_keys()), (name, place)


def test_a_byte_of_the_zip_is_changed_without_harm_or_found(packed, files, signing, tmp_path):
    """Dates and such in the ZIP itself are not evidence; what is unpacked is the same then."""
    whole = packed(files).read_bytes()
    chance = random.Random(5)
    for _ in range(300):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path = tmp_path / "changed.zip"
        path.write_bytes(changed)
        try:
            check_file(path, signing.public_keys())
        except EvidenceWrong:
            continue
        with zipfile.ZipFile(path) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == files


def test_a_file_left_out_and_a_file_put_in_are_named(packed, files):
    for name in files:
        left = {one: content for one, content in files.items() if one != name}
        assert wrong(packed(left)) == f"{name} is missing"
    assert wrong(packed(files | {"extra.txt": b"see here"})).startswith("extra.txt was put in afterwards")
    swapped = files | {"evidence.pdf": files["pictures/case-001-avatar.jpg"]}
    assert wrong(packed(swapped)).startswith("evidence.pdf was changed")


def test_a_file_signed_by_somebody_else_is_not_the_platforms(packed, files, signing, tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'forger.db'}")
    database.migrate()
    forger = SigningKeys(database, MasterKey.of(bytes(32)))
    forger.sign(b"first")
    content = {name: one for name, one in files.items() if name not in ("manifest.json", "signature.json")}
    forged = packed(signed(forger, content | {"public-key.json": json_bytes(jwks(forger.public_keys()))}))
    database.close()
    assert "none of the platform's" in wrong(forged, signing.public_keys())
    assert check_file(forged, None), "who made it cannot be told without the platform's keys, and that is said"


def test_an_audit_excerpt_whose_chain_is_broken_is_found_though_it_is_signed(packed, files, signing):
    content = {name: one for name, one in files.items() if name not in ("manifest.json", "signature.json")}
    content["audit.jsonl"] = content["audit.jsonl"].replace(b'"actor": "mo"', b'"actor": "ma"', 1)
    assert wrong(packed(signed(signing, content))).startswith("audit.jsonl is broken from line 1 on")


def test_a_file_about_another_case_or_of_another_kind_is_found_though_it_is_signed(packed, files, signing):
    content = {name: one for name, one in files.items() if name not in ("manifest.json", "signature.json")}
    assert "another case" in wrong(packed(signed(signing, content, case_number="LK-2222-2222-2222")))
    assert "does not know" in wrong(packed(signed(signing, content, type="likeness-evidence-2")))
    assert "does not name" in wrong(packed(signed(signing, content, files=[])))


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "a\\b", "C:x", "", "a/b/c", "\x1b[2J", ".x"])
def test_a_name_that_leads_elsewhere_is_refused(packed, files, name):
    path = packed({**files, name or " ": b"x"})
    assert "of a name that none has" in wrong(path)


def test_a_bomb_is_refused_before_it_goes_off(packed, files, tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("evidence.json", bytes(70_000_000))
    assert "far more" in wrong(bomb)
    lying = bytearray(bomb.read_bytes())  # it says it has 10 bytes
    central = lying.rfind(b"PK\1\2")
    lying[central + 24 : central + 28] = struct.pack("<I", 10)
    bomb.write_bytes(lying)
    assert wrong(bomb)
    assert "more than" in wrong(packed({f"{number}.txt": b"" for number in range(MOST_FILES + 1)}))


def test_a_link_a_doubled_and_an_encrypted_file_are_refused(packed, files, tmp_path):
    path = tmp_path / "hostile.zip"
    link = zipfile.ZipInfo("evidence.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "is a link" in wrong(path)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("evidence.json", "1")
        archive.writestr("evidence.json", "2")
    assert "twice" in wrong(path)
    locked = bytearray(packed(files).read_bytes())
    for sign, place in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        locked[locked.find(sign) + place] |= 1
    path.write_bytes(locked)
    assert "packed as no evidence file is" in wrong(path)


def test_what_a_stranger_signs_writes_nothing_to_the_terminal_but_letters(packed, files, signing):
    content = {name: one for name, one in files.items() if name not in ("manifest.json", "signature.json")}
    (said, *_) = check_file(packed(signed(signing, content, made_at="\x1b[2J")), None).says
    assert said.isprintable()
    assert wrong(packed(signed(signing, content, made_at=None)))
    assert "audit.jsonl is broken" in wrong(packed(signed(signing, content | {"audit.jsonl": b"[" * 200_000})))


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\3\4" + bytes(100), b"\xff\xfe", b"{}", b"[]", b"PK\5\6" + bytes(18)]
)
def test_what_is_neither_evidence_nor_a_receipt_is_refused(tmp_path, content, signing):
    path = tmp_path / "what"
    path.write_bytes(content)
    assert wrong(path, signing.public_keys())


def test_the_command_needs_neither_settings_nor_network_and_says_by_its_exit_code_how_it_went(
    packed, files, signing, tmp_path
):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(jwks(signing.public_keys())))
    whole = packed(files)
    offline = {"PATH": "", "LIKENESS_DATABASE__URL": "nonsense", "HOME": str(tmp_path / "nowhere")}

    def run(*words):
        command = [sys.executable, "-m", "likeness", "evidence", "verify", *words]
        return subprocess.run(command, capture_output=True, text=True, env=offline, cwd=tmp_path)

    done = run(str(whole), "--key", str(keys))
    assert (done.returncode, done.stderr) == (0, "") and NUMBER in done.stdout
    broken = tmp_path / "broken.zip"
    broken.write_bytes(whole.read_bytes().replace(b"LK-7Q4M", b"LK-8Q4M"))
    done = run(str(broken), "--key", str(keys))
    assert done.returncode == 1 and "is not as it was made" in done.stderr and "Traceback" not in done.stderr
