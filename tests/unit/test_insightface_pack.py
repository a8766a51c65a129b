"""Packs in InsightFace's format, through insightface's own loader and post-processing."""

import logging
import shutil

import cv2
import numpy as np
import onnx
import pytest

from detector.alignment import align
from detector.engine import embed
from detector.insightface_pack import InsightFacePack
from detector.open_engine import open_engine
from detector.packs import PackError
from detector.policy import NoThreshold
from tests.support.detectors import enrol, make_detector, make_policy
from tests.support.portraits import read_rgb


@pytest.fixture(scope="module")
def foreign(insightface_folder):
    return InsightFacePack(insightface_folder, None, min_score=0.6, threads=1)


def test_the_same_faces_are_found_as_by_the_default_pack(engine, foreign, portraits):
    pixels = np.hstack([read_rgb(portraits[name])[:780, :680] for name in ("impostor_1.jpg", "person_b_1.jpg")])
    for picture in [pixels, *(read_rgb(path) for path in portraits.values())]:
        ours, theirs = engine.detect(picture), foreign.detect(picture)
        assert len(theirs.boxes) == len(ours.boxes)
        assert theirs.landmarks.shape == ours.landmarks.shape
        size = ours.boxes[:, 2:].min()
        ours_first, theirs_first = np.argsort(ours.boxes[:, 0]), np.argsort(theirs.boxes[:, 0])
        np.testing.assert_allclose(theirs.boxes[theirs_first], ours.boxes[ours_first], atol=0.15 * size)
        np.testing.assert_allclose(theirs.landmarks[theirs_first], ours.landmarks[ours_first], atol=0.1 * size)
        np.testing.assert_allclose(theirs.scores[theirs_first], ours.scores[ours_first], atol=0.05)


def test_a_picture_that_both_look_at_in_one_size_gives_the_same_face_to_a_tenth_of_a_pixel(engine, foreign, portraits):
    """Wrong colours, scaling or an anchor's place would move it by more."""
    pixels = cv2.resize(read_rgb(portraits["impostor_1.jpg"]), (875, 1000))
    ours, theirs = engine.detect(pixels), foreign.detect(pixels)
    np.testing.assert_allclose(theirs.landmarks, ours.landmarks, atol=0.1)
    np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=0.1)
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-3)


def test_a_crop_gets_the_default_packs_embedding(engine, foreign, portraits):
    crops = []
    for path in portraits.values():
        pixels = read_rgb(path)
        crops.append(align(pixels, engine.detect(pixels).landmarks[0]))
    np.testing.assert_allclose(embed(foreign, np.stack(crops)), embed(engine, np.stack(crops)), atol=1e-4)


def test_its_recogniser_runs_without_slow_operators(insightface_folder, foreign):
    published = onnx.load(insightface_folder / "rec_sface.onnx")
    running = onnx.load_from_string(foreign._recogniser.session._model_bytes)
    assert "PRelu" in {node.op_type for node in published.graph.node}
    assert "PRelu" not in {node.op_type for node in running.graph.node}


def test_a_picture_without_a_face_gives_empty_arrays(foreign):
    found = foreign.detect(np.full((200, 300, 3), 128, np.uint8))
    assert (found.boxes.shape, found.landmarks.shape, found.scores.shape) == ((0, 4), (0, 5, 2), (0,))


def test_pictures_are_screened_with_it_from_end_to_end(foreign, portraits):
    detector = make_detector(foreign, threshold=0.473)
    enrol(detector, "macron", [portraits["person_a_1.jpg"].read_bytes()])
    same = detector.screen(portraits["person_a_2.jpg"].read_bytes())
    other = detector.screen(portraits["impostor_1.jpg"].read_bytes())
    detector.close()
    assert [finding.identity_id for finding in same.findings] == ["macron"]
    assert other.outcome == "clear"
    assert same.pack == foreign.pack != "opencv-zoo@1"


@pytest.mark.parametrize("by", ["folder", "name"])
def test_a_pack_opens_by_folder_or_name_and_says_once_that_it_is_not_for_commercial_use(
    by, insightface_folder, packs, caplog
):
    name = str(insightface_folder) if by == "folder" else insightface_folder.name
    with caplog.at_level(logging.WARNING, logger="likeness.models"):
        opened = open_engine(name, packs, insightface_folder.parent, min_score=0.6)
    warnings = [record.getMessage() for record in caplog.records if record.name == "likeness.models"]
    assert len(warnings) == 1
    assert warnings[0].startswith("NON-COMMERCIAL RESEARCH ONLY") and opened.pack in warnings[0]
    assert opened.pack.startswith(f"{insightface_folder.name}@")
    assert (opened.dimension, opened.calibration) == (128, None)
    with pytest.raises(NoThreshold, match="likeness calibrate"):
        make_policy(opened)


def test_the_default_pack_opens_by_name_without_a_warning(packs, models, caplog):
    with caplog.at_level(logging.WARNING, logger="likeness.models"):
        opened = open_engine("opencv-zoo", packs, models, min_score=0.6)
    assert (opened.pack, opened.dimension, opened.calibration.pack) == ("opencv-zoo@1", 128, "opencv-zoo@1")
    assert not caplog.records


def test_an_undeclared_pack_is_named_by_its_content(insightface_folder, foreign, tmp_path):
    copy = shutil.copytree(insightface_folder, tmp_path / insightface_folder.name)
    assert InsightFacePack(copy, None, min_score=0.6, threads=1).pack == foreign.pack
    with (copy / "rec_sface.onnx").open("ab") as opened:
        opened.write(b"\xa2\x06\x03new")  # an unknown field: other bytes, same graph
    assert InsightFacePack(copy, None, min_score=0.6, threads=1).pack != foreign.pack


def test_an_unknown_name_lists_what_there_is(packs, tmp_path):
    with pytest.raises(
        PackError, match="no model pack 'bufalo': known are antelopev2, buffalo_l, opencv-zoo, and any InsightFace pack"
    ):
        open_engine("bufalo", packs, tmp_path, min_score=0.6)


def test_a_declared_pack_that_is_not_there_says_how_to_get_it(packs, tmp_path):
    with pytest.raises(PackError, match="is missing: run `likeness models pull buffalo_l`"):
        open_engine("buffalo_l", packs, tmp_path, min_score=0.6)


def test_a_declared_pack_with_other_files_is_refused(packs, insightface_folder, tmp_path):
    folder = tmp_path / "buffalo_l"
    folder.mkdir()
    for ours, name in [("det_yunet.onnx", "det_10g.onnx"), ("rec_sface.onnx", "w600k_r50.onnx")]:
        shutil.copy(insightface_folder / ours, folder / name)
    with pytest.raises(PackError, match=r"det_10g\.onnx is not the declared one"):
        open_engine("buffalo_l", packs, tmp_path, min_score=0.6)


@pytest.mark.parametrize(
    "kept", [[], ["det_yunet.onnx"], ["rec_sface.onnx"]], ids=["nothing", "detector", "recogniser"]
)
def test_a_folder_without_both_models_is_refused(kept, insightface_folder, packs, tmp_path):
    folder = tmp_path / "half"
    folder.mkdir()
    for name in kept:
        shutil.copy(insightface_folder / name, folder / name)
    with pytest.raises(PackError, match="insightface cannot use the pack in"):
        open_engine(str(folder), packs, tmp_path, min_score=0.6)


def test_a_folder_with_a_broken_file_is_refused(insightface_folder, packs, tmp_path):
    folder = shutil.copytree(insightface_folder, tmp_path / "broken")
    (folder / "rec_sface.onnx").write_bytes(b"not a model")
    with pytest.raises(PackError, match="insightface cannot use the pack in"):
        open_engine(str(folder), packs, tmp_path, min_score=0.6)
