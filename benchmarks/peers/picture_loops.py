"""The loops that people write: one picture's bytes in, the number of faces embedded out.

Each is made with its settings, among them `threads` of its libraries; the peers are imported only by their own loop,
as each lives in one environment only. All decode to the picture's full size and embed every face they find.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Loop = Callable[[bytes], int]
Batch = Callable[[Sequence[bytes]], list[int]]
REFERENCES = 10_000
MIN_SCORE = 0.6
"""A face's least score, for every YuNet; DeepFace's own default is 0.9."""


def make_loop(name: str, settings: Mapping[str, Any], home: Path) -> Loop:
    """The loop `name`; `home` holds the models as benchmarks/peers/weights.py lays them out."""
    cv2.setNumThreads(settings["threads"])
    return LOOPS[name](settings, home)


def insightface(settings: Mapping[str, Any], home: Path) -> Loop:
    """FaceAnalysis, as its README has it; `side`: what the detector scales pictures to, 640 as it ships."""
    from insightface.app import FaceAnalysis

    analysis = FaceAnalysis(
        name=str(home / "insightface"),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
        sess_options=_options(settings["threads"]),
    )
    analysis.prepare(ctx_id=0, det_thresh=MIN_SCORE, det_size=(settings["side"], settings["side"]))
    return lambda picture: len(analysis.get(_decode(picture)))


def opencv(settings: Mapping[str, Any], home: Path) -> Loop:
    """The OpenCV Zoo's demos of YuNet and SFace put together: the detector sees a picture at its own size."""
    detector = cv2.FaceDetectorYN.create(str(home / "opencv" / "yunet.onnx"), "", (320, 320), MIN_SCORE)
    recogniser = cv2.FaceRecognizerSF.create(str(home / "opencv" / "sface.onnx"), "")

    def loop(picture: bytes) -> int:
        pixels = _decode(picture)
        detector.setInputSize((pixels.shape[1], pixels.shape[0]))
        faces = detector.detect(pixels)[1]
        if faces is None:
            return 0
        for face in faces:
            recogniser.feature(recogniser.alignCrop(pixels, face))
        return len(faces)

    return loop


def deepface(settings: Mapping[str, Any], home: Path) -> Loop:
    """DeepFace.represent with SFace and YuNet; it looks for weights under DEEPFACE_HOME. `own_session`: its ONNX
    Runtime session is as it makes it, which has no setting for threads."""
    os.environ |= {
        "DEEPFACE_HOME": str(home),
        "DEEPFACE_BACKEND_ENGINE": "onnx",
        "DEEPFACE_LOG_LEVEL": "40",
        "yunet_score_threshold": str(MIN_SCORE),
    }
    import onnxruntime
    from deepface import DeepFace

    if not settings["own_session"]:
        weights = home / ".deepface" / "weights" / "face_recognition_sface_2021dec.onnx"
        client = DeepFace.build_model("SFace", "facial_recognition")
        client.model = onnxruntime.InferenceSession(
            str(weights), _options(settings["threads"]), providers=["CPUExecutionProvider"]
        )

    def loop(picture: bytes) -> int:
        faces = DeepFace.represent(
            _decode(picture), model_name="SFace", detector_backend="yunet", enforce_detection=False
        )
        return sum(bool(face["face_confidence"]) for face in faces)

    return loop


def dlib(settings: Mapping[str, Any], home: Path) -> Loop:
    """face_recognition's README: dlib's HOG detector and its ResNet; `upsample`: its own default is 1."""
    import face_recognition

    def loop(picture: bytes) -> int:
        pixels = np.ascontiguousarray(_decode(picture)[:, :, ::-1])
        boxes = face_recognition.face_locations(pixels, number_of_times_to_upsample=settings["upsample"])
        return len(face_recognition.face_encodings(pixels, boxes, model="small"))

    return loop


def likeness(settings: Mapping[str, Any], home: Path) -> Loop:
    """The same work by Likeness's parts, picture by picture."""
    from config import load_settings, packaged
    from detector.alignment import align
    from detector.engine import embed
    from detector.open_engine import open_engine
    from detector.packs import read_packs
    from detector.picture import PictureLimits, decode_picture

    limits = PictureLimits(**load_settings(home=home).pictures.model_dump())
    packs = read_packs(packaged("models.toml"))
    engine = open_engine("opencv-zoo", packs, home / "models", min_score=MIN_SCORE, threads=settings["threads"])

    def loop(picture: bytes) -> int:
        pixels = decode_picture(picture, limits).pixels
        crops = [align(pixels, landmarks) for landmarks in engine.detect(pixels).landmarks]
        return len(embed(engine, np.stack(crops))) if crops else 0

    return loop


def verdict(settings: Mapping[str, Any], home: Path) -> Loop:
    """All that Likeness does for an avatar: fingerprint, quality and a search of 10,000 references besides."""
    from benchmarks.stages import fill
    from config import load_settings
    from consumers.open_detector import open_detector

    detector = open_detector(load_settings(home=home, models={"threads": settings["threads"]}))
    fill(detector, REFERENCES)
    return lambda picture: len(detector.screen(picture).faces)


def verdicts(home: Path) -> Batch:
    """The same of many pictures, by a consumer's own worker processes, one a core."""
    from benchmarks.stages import fill
    from config import load_settings
    from consumers.open_detector import open_watched_detector
    from detector import Upload

    detector = open_watched_detector(load_settings(home=home), lambda how: None)
    fill(detector, REFERENCES)
    return lambda pictures: [len(one.faces) for one in detector.screen_batch(map(Upload, pictures))]


def _decode(picture: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "the pictures are our own"
    return np.asarray(pixels, np.uint8)


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return options


LOOPS: dict[str, Callable[[Mapping[str, Any], Path], Loop]] = {
    "insightface": insightface,
    "opencv": opencv,
    "deepface": deepface,
    "dlib": dlib,
    "likeness": likeness,
    "verdict": verdict,
}
