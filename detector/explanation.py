"""What a moderator reads about a finding: one or two plain sentences, without a score."""

from detector.verdict import ForeignText, NameClaim, RunnerUp, SamePhoto

HOW = {
    "as_it_is": "",
    "mirrored": ", mirrored",
    "rotated_90": ", turned by 90 degrees",
    "rotated_180": ", upside down",
    "rotated_270": ", turned by 270 degrees",
    "mirrored_rotated_90": ", mirrored and turned by 90 degrees",
    "mirrored_rotated_180": ", mirrored and upside down",
    "mirrored_rotated_270": ", mirrored and turned by 270 degrees",
}
"""In words: the transforms of detector/fingerprint.py."""


def explain_same_photo(name: str, photo: SamePhoto, *, cropped: bool) -> str:
    how = HOW[photo.transform]
    if cropped:
        return f"The avatar is part of a reference photo of {name}{how}: it shows about {photo.visible:.0%} of it."
    if photo.hash_only:
        return (
            f"The avatar is the same picture as a photo of {name}{how}. That photo stayed with the person: "
            "its fingerprint agrees, but there is nothing to compare with by eye."
        )
    if photo.by == "picture":
        return f"The avatar is the same picture as a reference photo of {name}{how}."
    return f"The avatar shows the same photo of {name} as a reference{how}, edited or framed anew."


def explain_same_person(name: str) -> str:
    return f"The face is very like {name}'s, more than a look-alike's may be."


def explain_look_alike(name: str, runner_up: RunnerUp | None, *, poor: bool, nearer: bool) -> str:
    if runner_up and nearer:
        return f"The face is like {name}'s, and more like {runner_up.identity_name}'s: compare with care."
    if runner_up:
        return f"The face is like {name}'s, and nearly as like {runner_up.identity_name}'s: compare with care."
    if poor:
        return f"The face is like {name}'s, but it is small, blurred, turned or covered: compare with care."
    return f"The face is like {name}'s, but no more than a look-alike's may be: compare with care."


def explain_name_claim(name: str, claim: NameClaim) -> str:
    where = "display name" if claim.field == "display_name" else "handle"
    return f"The account's {where} \"{claim.text}\" claims to be {name}, and the face is like {name}'s."


def explain_foreign_text(found: ForeignText) -> str:
    return f'The picture carries the mark "{found.text}", which is not this account\'s: it may be taken from elsewhere.'
