"""likeness models: which model packs there are, and getting them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from config import load_settings, packaged
from detector.packs import ModelPack, PackError, pull, read_packs, sha256_of
from likeness.console import out
from likeness.errors import BadInput

app = typer.Typer(help="Model packs: list, pull, verify.", no_args_is_help=True)


def _state(pack: ModelPack, folder: Path) -> str:
    for file in pack.files:
        path = folder / file.name
        if not path.is_file():
            return "not pulled"
        if sha256_of(path) != file.sha256:
            return "WRONG HASH"
    return "verified"


@app.command("list")
def list_packs() -> None:
    """The packs that models.toml declares, with licence, dimension, calibration, files and hashes."""
    settings = load_settings()
    for pack in read_packs(packaged("models.toml")).values():
        table = Table("file", "role", "SHA-256", title=f"{pack.id}: {pack.about}", title_justify="left")
        for file in pack.files:
            table.add_row(file.name, file.role, file.sha256)
        out.print(table)
        out.print(f"  licence         {pack.licence}")
        out.print(f"  commercial use  {'allowed' if pack.commercial_use else 'NOT ALLOWED'}")
        out.print(f"  dimension       {pack.dimension}")
        data = pack.calibration.data if pack.calibration else "none: make one by `likeness calibrate`"
        out.print(f"  calibration     {data}")
        out.print(f"  state           {_state(pack, settings.home / 'models' / pack.name)}\n")


@app.command("pull")
def pull_pack(
    name: Annotated[str, typer.Argument(help="The pack's name; empty = the one in models.pack.")] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder with the pack's archive or files, instead of the network.")
    ] = None,
) -> None:
    """Get a pack's files and verify them."""
    settings = load_settings()
    if source is not None and not source.is_dir():
        raise BadInput(f"There is no folder {source}.")
    name = name or settings.models.pack
    pack = read_packs(packaged("models.toml")).get(name)
    models = settings.home / "models"
    if pack is not None and (pack.source is not None or source is not None):
        pull(pack, models / name, source)
    else:
        from detector.insightface_pack import pull_insightface

        pull_insightface(name, models)
    verify(name)


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The pack's name; empty = the one in models.pack.")] = "",
) -> None:
    """Check a pack's files against their declared SHA-256, and that an engine can be made of them."""
    from detector.open_engine import open_engine

    settings = load_settings()
    name = name or settings.models.pack
    packs = read_packs(packaged("models.toml"))
    engine = open_engine(name, packs, settings.home / "models", min_score=settings.faces.min_score)
    declared = packs.get(name)
    if declared is None:
        print(f"{engine.pack}: {engine.dimension} dimensions; models.toml declares no hashes for it. Its files are:")
        folder = Path(name) if Path(name).is_dir() else settings.home / "models" / name
        for path in sorted(folder.glob("*.onnx")):
            print(f"  {sha256_of(path)}  {path.name}")
        return
    if engine.dimension != declared.dimension:
        raise PackError(
            f"{engine.pack} gives {engine.dimension} dimensions; models.toml declares {declared.dimension}."
        )
    print(f"{engine.pack}: {len(declared.files)} files verified, {engine.dimension} dimensions. {declared.licence}.")
