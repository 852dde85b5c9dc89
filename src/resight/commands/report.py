"""`resight report`: scores, curves and the worst strips in one HTML file, and as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from resight.commands.datasets import SET_OPTIONS, SetOptions
from resight.commands.options import refuse
from resight.commands.tables import gallery_words
from resight.data.files import check_place
from resight.errors import BadRecipe, DatasetNotFound
from resight.evaluate.protocols import ProtocolName, rules_of, searched
from resight.evaluate.ranking import RankingScores, score_features
from resight.evaluate.score_file import intervals_of
from resight.search.choosing import DistanceName, check_share, choose_distance
from resight.search.features import Features, load_features

if TYPE_CHECKING:
    from resight.report.facts import ReportInput, Scores

HEADS_NOTE: Final = (
    "The top sixth of every picture is made unrecognisable; a head that lies lower in its crop is not covered, "
    "so look through the pictures before you publish them."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report(SetOptions):
    """Show how well a search works: scores, curves and the worst queries in one HTML file that needs no network.

    Right and wrong are shown by colour and by mark. A features file names pictures; they are looked for in --images,
    in the folder that the file names, and beside the file. Without pictures the tiles show their names.
    """

    x: str
    """A features file (.npz), a data set's folder, or the word `sample`."""
    out: Path = Path("report.html")
    """The page to write."""
    worst: int = 40
    """How many of the worst queries to show; fewer where the page would pass 8 MB."""
    png: Path | None = None
    """A folder for the same strips as PNG files."""
    blur_heads: bool = False
    """Make the top sixth of every picture unrecognisable, for publication."""
    model: str | None = None
    """For a data set: a shipped name, a run folder or a weights file; left out, the default model."""
    parts: Path | None = None
    """For a data set: folder of part maps (`resight parts`), for a model that looks at them."""
    protocol: ProtocolName = "market"
    """Which gallery pictures a query must ignore."""
    distance: DistanceName | None = None
    """What is compared: global (whole bodies), parts (those that both crops show) or both; left out, as the file says:
    both where it has parts."""
    part_share: float | None = None
    """For both: the part distance's share, 0..1; left out, what the file says, else 0.5."""
    images: Path | None = None
    """For a features file: the folder that its file names are relative to."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What is reported on: features, a name for it, who made it, and where its pictures may lie."""

    features: Features
    title: str
    model: str
    folders: tuple[Path, ...]


def report(config: Report) -> int:
    """Write the page (and the PNG files) and say on stdout where it is."""
    from resight.report.pages import tiles_of, write_page
    from resight.report.pictures import read_shrunk, write_strips

    if config.worst < 0:
        raise BadRecipe(f"--worst is {config.worst}; give the number of queries to show, 0 or more.")
    check_share(config.distance, config.part_share)
    check_place(config.out)
    if config.png is not None:
        check_place(config.png / "001.png")
    source = _open(config)
    features = choose_distance(source.features, config.distance, config.part_share)
    notes = [HEADS_NOTE] if config.blur_heads else []
    page = describe(features, config.protocol, worst=config.worst, title=source.title, model=source.model, notes=notes)
    files = {tile.file: None for strip in page.strips for tile in tiles_of(strip)}
    pictures = read_shrunk(files, source.folders, blur_heads=config.blur_heads)
    shown = write_page(config.out, page, pictures)
    if config.png is not None:
        written = sum(1 for _ in write_strips(config.png, page.strips, pictures))
        print(f"{written} strips as PNG files in {config.png}")
    scores = page.scores
    print(f"mAP {scores.mean_ap:.1%}, Rank-1 {scores.cmc[0]:.1%}, the worst {shown} queries: {config.out}")
    return 0


def describe(
    features: Features, protocol: ProtocolName, *, worst: int, title: str, model: str, notes: Sequence[str] = ()
) -> ReportInput:
    """Score the features and gather everything that a page says; `notes` stand before its own."""
    from resight.commands.embed import no_answers
    from resight.report.facts import ReportInput
    from resight.report.strips import camera_pairs, distance_histogram, worst_strips

    scores = score_features(features, protocol=protocol)
    if scores.answered == 0:
        raise no_answers(scores.unanswerable, protocol)
    features, _ = searched(features, protocol, draws=True)
    rules = rules_of(protocol)
    notes = list(notes)
    if rules.single_shot:
        notes.append("Scores are means over drawn galleries of one picture per person; strips search all pictures.")
    return ReportInput(
        title=title,
        facts=(
            ("compared", f"{len(features.query.persons):,} queries × {gallery_words(features.gallery)}"),
            ("model", model),
            ("protocol", f"{protocol}: {rules.summary}"),
            ("distance", _distance(features)),
        ),
        distance_name=f"{features.metric} distance",
        scores=_scores(scores),
        ap=scores.ap[np.isfinite(scores.ap)],
        strips=worst_strips(features, scores, count=worst),
        histogram=distance_histogram(features, scores),
        cameras=camera_pairs(features, scores),
        notes=tuple(notes),
    )


def _distance(features: Features) -> str:
    parts = f", {features.part_share:.0%} of it over the parts that both crops show" if features.part_share else ""
    return f"{features.metric}{parts}"


def _open(config: Report) -> _Source:
    from resight.report.pictures import stored_root

    path = Path(config.x)
    if config.images is not None and not config.images.is_dir():
        raise DatasetNotFound(f"--images names {config.images}, which is no folder; name the data set's folder.")
    if path.suffix == ".npz" or (path.is_file() and path.suffix != ".csv"):
        refuse(config, ("parts", "model", *SET_OPTIONS), f"{path} holds features already")
        features = load_features(path)
        beside = tuple(folder for folder in (stored_root(path), path.parent) if folder is not None)
        return _Source(
            features, path.name, "not named in the file", beside if config.images is None else (config.images,)
        )
    if config.x != "sample" and not path.is_dir() and path.suffix != ".csv":
        raise DatasetNotFound(
            f"There is no {config.x}: name a features file (.npz), a data set's folder, or the word `sample`."
        )
    from resight.commands.embed import embed_sides, open_model, sides_to_search
    from resight.model import DEFAULT_MODEL

    reid_set = config.reid_set(config.x)
    query, gallery = sides_to_search("report", config, reid_set)
    features = embed_sides(
        query, gallery, open_model(config.model, parts=config.parts), root=reid_set.root, parts=config.parts
    )
    name = config.x if config.x == "sample" else reid_set.root.resolve().name
    return _Source(features, name, config.model or DEFAULT_MODEL, (reid_set.root,))


def _scores(scores: RankingScores) -> Scores:
    from resight.report.facts import Scores

    ends = intervals_of(scores, rng=np.random.default_rng(0))  # the intervals that `resight evaluate` prints
    return Scores(
        mean_ap=scores.mean_ap,
        mean_ap_trapezoid=scores.mean_ap_trapezoid,
        mean_inp=scores.mean_inp,
        cmc=scores.cmc,
        answered=scores.answered,
        unanswerable=scores.unanswerable,
        mean_ap_interval=ends.mean_ap if np.isfinite(ends.mean_ap).all() else None,
        rank1_interval=ends.rank1 if np.isfinite(ends.rank1).all() else None,
    )
