"""Pictures on disk: the files of a folder, and folders with one folder per identity."""

from pathlib import Path

from likeness.errors import BadInput


def files_in(folder: Path) -> list[Path]:
    """The files of `folder`, by name; hidden ones, such as .DS_Store, are passed over."""
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def read_picture(file: Path, max_bytes: int) -> bytes:
    """The bytes of `file`, cut off just above `max_bytes`: enough for a decoder to refuse it. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(max_bytes + 1)


def identity_folders(folder: Path) -> list[tuple[str, list[Path]]]:
    """Name and photos of each folder in `folder` that has any, by name. Raises BadInput when there is no `folder`."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.")
    groups = sorted(group for group in folder.iterdir() if group.is_dir() and not group.name.startswith("."))
    return [(group.name, photos) for group in groups if (photos := files_in(group))]
