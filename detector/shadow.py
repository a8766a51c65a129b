"""How a second policy or model pack would have decided: counted and compared, never acted upon."""

from typing import Literal

from detector.verdict import FindingKind, Verdict

Change = Literal["extra", "missing"]


def changed_cases(verdict: Verdict, shadow: Verdict) -> dict[Change, list[FindingKind]]:
    """The kinds of the findings about identities that only the shadow raises, and that only the verdict in force does.

    Marks read in the picture are left out: they do not depend on the policy.
    """
    ours = {finding.identity_id: finding.kind for finding in reversed(verdict.findings) if finding.identity_id}
    theirs = {finding.identity_id: finding.kind for finding in reversed(shadow.findings) if finding.identity_id}
    return {
        "extra": [kind for identity_id, kind in theirs.items() if identity_id not in ours],
        "missing": [kind for identity_id, kind in ours.items() if identity_id not in theirs],
    }
