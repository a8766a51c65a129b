"""The ceiling: what the models alone take, of pictures that are decoded and faces that are cut out already."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from detector import Detector
from detector.probing import Probes


def models_only(detector: Detector, pictures: Sequence[bytes], threads: int) -> Callable[[], None]:
    """A run of the face detector and the embedder over all `pictures`, on `threads` cores. `detector`: with models in
    its own process."""
    ready = [detector.probe(picture) for picture in pictures]
    engine, cores = detector.engine, ThreadPoolExecutor(threads)

    def look(probes: Probes) -> None:
        engine.detect(probes.picture.pixels)
        engine.features(probes.crops)

    return lambda: list(cores.map(look, ready)).clear()
