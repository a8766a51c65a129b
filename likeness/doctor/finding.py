"""What a check found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail", "unknown"]
"""As it should be; works, but should be mended; does not work, or protects nobody; could not be found out."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`sentence`: how things stand. `mend`: what to do, empty where there is nothing to do."""

    name: str
    state: State
    sentence: str
    mend: str = ""
