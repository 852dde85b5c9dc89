"""What a report says, as plain records: no pixels, no model, no features. Pages and pictures are drawn from these.

Distances are as ranked: smaller is nearer. Shares and scores are in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float, Int
from numpy import ndarray

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a strip and what is known of it."""

    file: str
    """As the features file names it; also the key under which its pixels are found."""
    person: str
    camera: str
    """Empty where it is not known."""
    rank: int = 0
    """Place among the counted gallery pictures, from 1; 0 for the query itself."""
    distance: float = float("nan")
    right: bool | None = None
    """Shows the query's person; None for the query itself."""
    tied: bool = False
    """Another counted picture is at exactly this distance, so that the rank is one of several."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One query, its nearest gallery pictures, and where its true matches stand."""

    query: Tile
    ap: float
    top: tuple[Tile, ...]
    """Nearest first."""
    matches: tuple[Tile, ...]
    """True matches, farthest first: what the ranking lost."""
    match_count: int
    """True matches in all; `matches` may hold fewer."""
    first_match: int
    """Rank of the nearest true match."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How far true matches and other people are from the queries."""

    edges: Float[ndarray, " B1"]
    matches: Float[ndarray, " B"]
    """Share of the true matches in each bin; sums to 1."""
    others: Float[ndarray, " B"]
    """Share of the pictures of other people in each bin; sums to 1."""
    queries: int
    """Queries whose pairs were counted."""


@dataclass(frozen=True, slots=True)
class CameraPairs:
    """Scores of the queries of one camera when only the pictures of one other camera are searched."""

    query_cameras: tuple[str, ...]
    gallery_cameras: tuple[str, ...]
    mean_ap: Float[ndarray, "K L"]
    """NaN where no query can be answered."""
    rank1: Float[ndarray, "K L"]
    answered: Int[ndarray, "K L"]


@dataclass(frozen=True, slots=True)
class Scores:
    """The numbers of the first sentence; intervals are at 95 % over persons."""

    mean_ap: float
    mean_ap_trapezoid: float
    mean_inp: float
    cmc: Float[ndarray, " R"]
    answered: int
    unanswerable: int
    mean_ap_interval: Interval | None = None
    rank1_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Everything on the page."""

    title: str
    """What was scored, e.g. the name of the data set or of the features file."""
    facts: tuple[tuple[str, str], ...]
    """What was compared and how, as (word, value)."""
    distance_name: str
    """What the axis of distances is called."""
    scores: Scores
    ap: Float[ndarray, " Q"]
    """AP of each answered query."""
    strips: tuple[Strip, ...]
    """Worst first."""
    histogram: Histogram | None = None
    cameras: CameraPairs | None = None
    notes: tuple[str, ...] = field(default=())
    """What the reader should know before believing the pictures, one sentence each."""
