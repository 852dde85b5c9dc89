"""What the page of a diagnosis says, as plain records; losses, differences, gains in mAP or AP 0..1, NaN: not there.

Words are texts in both languages; causes go by the names that tables have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from resight.report.facts import Strip, Tile
from resight.report.words import Both

NOTHING = float("nan")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a cause: a number with its 95 % interval."""

    value: float = NOTHING
    low: float = NOTHING
    high: float = NOTHING
    note: Both | None = None
    """What stands there instead when there is no number, or beside it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of the bar."""

    cause: str
    loss: float
    low: float = NOTHING
    high: float = NOTHING


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One line of the cause table."""

    cause: str
    loss: float
    shown: Look
    """Share of the queries that show it; its note says how many."""
    twins: Look
    detectable: float
    dose: Look
    repair: Look
    grade: str
    beyond_chance: bool | None
    """After the correction for many comparisons; None where there was nothing to test."""
    matches: Look = field(default_factory=Look)
    """Precision at true matches that show it, less at those of the same query and camera that do not."""
    regression: Look = field(default_factory=Look)
    """AP by one standard deviation more of it in the query."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One remedy, or another model: against which causes, what it won of them, and how to get it."""

    words: Both
    causes: tuple[str, ...]
    gains: tuple[tuple[str, Look], ...]
    """Measured gains by cause; `all` is the gain in mAP. A cause without one was not measured."""
    commands: tuple[str, ...] = ()
    """Lines for the shell, in the order in which they are run."""
    hints: tuple[Both, ...] = ()


@dataclass(frozen=True, slots=True)
class Presence:
    """How often the first picture is wrong with a condition and without."""

    cause: str
    present: int
    present_failed: int
    absent: int
    absent_failed: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One strip under one cause."""

    strip: Strip
    lost: float
    """The query's part of the cause's loss, in mAP."""
    chips: tuple[Both, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """Strips of one cause: those that lose most by it, and controls that show it as much and are fine."""

    cause: str
    losing: tuple[Shown, ...]
    fine: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class DoseCurve:
    """What spoiling clean pictures costs, level by level, over where the set's own pictures lie."""

    name: str
    cause: str
    unit: str
    levels: tuple[float, ...]
    difference: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    half: float
    real: tuple[float, ...] = ()
    """Share of the set's pictures nearest to each level; empty where they are measured in another unit."""
    own: float = NOTHING
    """Median level of the set's pictures that show the cause."""
    model: str = ""
    """Whose curve it is; empty where the table does not say."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """A signal of each query beside its AP."""

    cause: str
    axis: Both
    """The signal with its unit."""
    threshold: float
    values: Float[np.ndarray, " N"]
    ap: Float[np.ndarray, " N"]
    right: tuple[bool, ...]
    """Whether the first picture is right."""
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CameraLoss:
    """Loss by camera of the query (row) and of the true match (column), and by the query's camera for each cause."""

    cameras: tuple[str, ...]
    loss: Float[np.ndarray, "C C"]
    causes: tuple[str, ...]
    by_cause: Float[np.ndarray, "C K"]


@dataclass(frozen=True, slots=True)
class Suspected:
    """Two persons who may be one, with pictures of each."""

    first: str
    second: str
    first_tiles: tuple[Tile, ...]
    second_tiles: tuple[Tile, ...]
    loss: float
    merged: float
    """mAP if they were one."""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """Queries whose unexplained loss stands out."""

    words: Both
    queries: int
    mean: float
    rest: float


@dataclass(frozen=True, slots=True)
class DiagnosisInput:
    """Everything on the page."""

    title: str
    mean_ap: float
    segments: tuple[Segment, ...]
    """They sum to 1 - mAP; `unexplained` is the last."""
    facts: tuple[tuple[Both, Both | str], ...]
    notes: tuple[Both, ...]
    causes: tuple[CauseRow, ...]
    advice: tuple[Advice, ...]
    """Remedies, dearest causes first, then other models."""
    presence: tuple[Presence, ...]
    top_cause: str
    """Whose strips are shown first; empty where nothing is to blame."""
    worst: tuple[Shown, ...]
    galleries: tuple[Gallery, ...]
    curves: tuple[DoseCurve, ...]
    scatters: tuple[Scatter, ...]
    cameras: CameraLoss | None
    suspects: tuple[Suspected, ...]
    slices: tuple[SliceRow, ...]
    method: tuple[Both, ...]
    dose_command: str
    """What measures dose curves of the judged model."""
    has_pictures: bool


@dataclass(frozen=True, slots=True)
class Change:
    """Loss by one cause in two diagnoses."""

    cause: str
    first: float
    second: float
    low: float = NOTHING
    high: float = NOTHING
    """Ends of the 95 % interval of `more`."""

    @property
    def more(self) -> float:
        """What the second loses beyond the first; below 0 it is better."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class DifferenceInput:
    """Loss of two diagnoses by cause."""

    first: str
    second: str
    rows: tuple[Change, ...]
    whole: Change
    """All that is lost, 1 - mAP, to which the rows sum."""

    @property
    def most(self) -> float:
        """The farthest that a row's change or interval reaches, above 0."""
        ends = [abs(end) for one in self.rows for end in (one.more, one.low, one.high) if end == end]
        return max(ends, default=0.0) or 1.0
