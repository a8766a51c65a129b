"""Milliseconds by stage on one core, one picture at a time, against 10,000 references."""

from collections.abc import Sequence

import numpy as np

from detector import Detector
from detector.identity import Identity, Reference

WARM = 20


def fill(detector: Detector, references: int) -> None:
    """Put random references of as many identities into the detector's index."""
    random = np.random.default_rng(3)
    vectors = random.normal(size=(references, detector.index.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for index in detector.indexes:
        index.apply_all(
            [
                Identity(
                    f"idn_{number}",
                    f"Person {number}",
                    "celebrity",
                    number + 1,
                    frozenset(),
                    (Reference(f"ref_{number}", {index.pack: vector}),),
                )
                for number, vector in enumerate(vectors)
            ]
        )


def stages(detector: Detector, pictures: Sequence[bytes]) -> dict[str, float]:
    """The median milliseconds of each stage, and of all together, over `pictures`."""
    verdicts = [detector.screen(picture) for picture in pictures][WARM:]
    medians = {
        stage: float(np.median([verdict.milliseconds[stage] for verdict in verdicts]))
        for stage in verdicts[0].milliseconds
    }
    return medians | {"all": float(np.median([sum(verdict.milliseconds.values()) for verdict in verdicts]))}
