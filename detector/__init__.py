"""Judges one picture: pixels, faces, the gallery's index, the verdict. Knows no Kafka, no HTTP, no SQL."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it at import, and would report to its maker

from detector.detector import Detector
from detector.index import GalleryIndex
from detector.picture import PictureLimits, PictureRejected
from detector.probing import FaceLimits
from detector.verdict import Face, Finding, Upload, Verdict

__all__ = [
    "Detector",
    "Face",
    "FaceLimits",
    "Finding",
    "GalleryIndex",
    "PictureLimits",
    "PictureRejected",
    "Upload",
    "Verdict",
]
