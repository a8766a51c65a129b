"""What `likeness evaluate` finds out, and how it says it, on a terminal and in a report alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detector.performance.bootstrap import Rate
from detector.performance.cohorts import Curve, GroupRates, Outlier, Trial, measure, outliers, with_intervals, worst
from detector.performance.evaluation import OperatingPoint, Verification, assign_roles, operating_points, search
from detector.policy import Policy
from likeness.errors import BadInput
from likeness.face_sets import EmbeddedFaces, FaceSet

TERMS = {
    "FMR": "false match rate: of pairs of faces of two people, the share at or above the threshold",
    "FNMR": "false non-match rate: of pairs of faces of one person, the share below the threshold",
    "FPIR": "false positive identification rate: of faces of nobody in the gallery, the share that some reference "
    "matches",
    "TPIR": "true positive identification rate: of faces of people in the gallery, the share whose own reference is "
    "the nearest and matches",
    "95 % interval": "where the rate may lie, as drawing the people anew, with replacement, moves it",
    "unresolved": "the data hold too few people for a rate as low as this",
}


@dataclass(frozen=True, slots=True)
class NamedThreshold:
    """A cosine and where it comes from, in words."""

    name: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `likeness evaluate` reports. Counts are of identities and photos; failures gave no face. groups: the rates
    at each of `thresholds`, of all people first, then of each cohort."""

    pack: str
    references: int
    probes: int
    strangers: int
    failures: int
    open_set: tuple[OperatingPoint, ...]
    verification: Verification | None
    thresholds: tuple[NamedThreshold, ...]
    groups: tuple[GroupRates, ...]
    remarks: tuple[str, ...]


def evaluate_faces(
    pack: str,
    faces: FaceSet,
    found: EmbeddedFaces,
    policy: Policy | None,
    verification: Verification | None,
    random: np.random.Generator,
) -> tuple[Evaluation, Mapping[str | None, Curve]]:
    """The figures, and the curves by cohort, None = all people. `policy`: None where there is no calibration and no
    threshold. Raises BadInput with too few people."""
    _, people = np.unique(found.people, return_inverse=True)
    roles = assign_roles(people)
    if not len(roles.references) or not len(roles.strangers):
        raise BadInput("Too few photos show a face: two identities with two such photos are the least.")
    embeddings = found.embeddings
    parts = (roles.references, roles.probes, roles.mates, roles.strangers)
    scores = search(embeddings[parts[0]], embeddings[parts[1]], parts[2], embeddings[parts[3]])
    trial = Trial(embeddings, people, found.cohorts, roles, scores)
    points = with_intervals(trial, operating_points(scores), random)
    thresholds = _thresholds(policy, len(roles.references), points)
    groups, curves = measure(trial, [one.cosine for one in thresholds], random)
    result = Evaluation(
        pack=pack,
        references=len(roles.references),
        probes=len(roles.probes),
        strangers=len(roles.strangers),
        failures=len(found.faceless),
        open_set=tuple(points),
        verification=verification,
        thresholds=tuple(thresholds),
        groups=tuple(groups),
        remarks=faces.remarks,
    )
    return result, curves


def _thresholds(policy: Policy | None, references: int, points: Sequence[OperatingPoint]) -> list[NamedThreshold]:
    """The policy's for a gallery of this size, if there is one, and those of the data, the strictest first."""
    thresholds = []
    if policy is not None:
        budget = f"a budget of {policy.settings.review_budget:g} per 1,000 uploads and {references:,} references"
        fixed = policy.settings.threshold is not None
        name = "policy.threshold" if fixed else f"the policy's for {budget}"
        thresholds.append(NamedThreshold(name, policy.at(references).review))
    usable = [point for point in points if point.resolved] or list(points[:1])
    for point in reversed(usable):
        thresholds.append(NamedThreshold(f"FPIR {100 * point.asked_fpir:g} % in these data", point.threshold))
    return thresholds


def summary(result: Evaluation) -> str:
    return (
        f"{result.pack}: {result.references} identities with one reference, {result.probes} probes of them, "
        f"{result.strangers} stranger photos; no face in {result.failures} photos."
    )


def notable(result: Evaluation) -> list[str]:
    """Sentences on cohorts that stand out, on the worst one, and on what was left out."""
    said = [_outlier(one) for one in outliers(result.groups)]
    if len(result.groups) > 1:
        if not said:
            said.append("No cohort stands out: every interval overlaps with that of all people.")
        for measured, word in (("fmr", "highest FMR"), ("fpir", "highest FPIR"), ("tpir", "lowest TPIR")):
            if group := worst(result.groups, measured):
                value = show(measured, getattr(group.at[0], measured))
                said.append(f"The {word} is that of {group.cohort}: {value}.")
    for group in result.groups:
        if group.compared < group.faces:
            whose = group.cohort or "all people"
            said.append(f"One-to-one rates of {whose} are of {group.compared:,} faces drawn from {group.faces:,}.")
    return said + list(result.remarks)


def _outlier(one: Outlier) -> str:
    return (
        f"{one.cohort} stands out, for the {'worse' if one.worse else 'better'}: {one.measure.upper()} "
        f"{show(one.measure, one.rate)}, of all people {show(one.measure, one.of_all)}."
    )


def show(measured: str, rate: Rate | None) -> str:
    """A rate and its interval: FMR as a power of ten, the others in per cent; a dash where there is none."""
    if rate is None:
        return "-"
    if measured == "fmr":
        return f"{_small(rate.value)} ({_small(rate.low)} to {_small(rate.high)})"
    places = 2 if measured == "fpir" else 1
    low, high = (f"{100 * bound:.{places}f}" for bound in (rate.low, rate.high))
    return f"{rate.value:.{places}%} ({low} to {high})"


def _small(number: float) -> str:
    if number == 0:
        return "0"
    digits, power = f"{number:.1e}".split("e")
    return f"{digits}e{int(power)}"
