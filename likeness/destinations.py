"""Files to be written: whether they can be is found out before the long work, not after it."""

from pathlib import Path

from likeness.errors import BadInput


def check_destination(file: Path) -> None:
    """Raises BadInput for a folder, and for a file in a folder that is not there."""
    if file.is_dir():
        raise BadInput(f"{file} is a folder; name a file in it.")
    if not file.parent.is_dir():
        raise BadInput(f"There is no folder {file.parent}.")
