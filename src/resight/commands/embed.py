"""`resight embed`: pictures to a features file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np

from resight.commands.datasets import SetOptions, check_cameras
from resight.commands.options import command_line
from resight.commands.progress import bar
from resight.commands.tables import gallery_words
from resight.data.files import check_place
from resight.data.images import read_picture
from resight.data.reid_sets import ReidSet
from resight.errors import BadFeatures, BadPicture, BadRecipe, DatasetNotFound
from resight.evaluate.protocols import ProtocolName, match, rules_of
from resight.search.features import Features, save_features, save_plain_features
from resight.types import NO_CAMERA, Crop, Side

if TYPE_CHECKING:
    from resight.model import Model


@runtime_checkable
class Searching(Protocol):
    """What configs of commands that search have in common."""

    @property
    def protocol(self) -> ProtocolName: ...


SHOWN: Final = 5
"""Pictures that cannot be read of which a refusal tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Embed(SetOptions):
    """Embed the query and gallery pictures of a data set, or all pictures of a plain folder, into one features file.

    A data set gives the arrays query_features, query_persons, query_cameras, query_files and the same with gallery_;
    a plain folder gives features and files. A model that knows parts adds parts and visible. File names are relative to
    the data set's folder. A camera that is not known is written as -1. Junk pictures (person -1) are embedded too:
    scoring leaves them out, re-ranking keeps them.

    Pictures of a plain folder that cannot be read are named and left out (exit code 1). A data set that holds such
    pictures is refused, and all are named.
    """

    dataset: str
    """A data set's folder, the word `sample`, or a folder of pictures."""
    out: Path = Path("features.npz")
    """The features file."""
    model: str | None = None
    """A shipped name, a run folder or a weights file; left out, the default model."""
    parts: Path | None = None
    """Folder of part maps (`resight parts`), for a model that looks at them."""
    threads: int | None = None
    """Threads of torch; left out, one per core."""


def embed(config: Embed) -> int:
    """Write the features file; says on stderr what it holds, and 1 when pictures of a plain folder were left out."""
    from resight.train.resources import torch_threads

    found = config.set_or_pictures(config.dataset)
    check_place(config.out)
    model, start = open_model(config.model, parts=config.parts), time.monotonic()
    with torch_threads(config.threads):
        if isinstance(found, list):
            counts, width, problems = _embed_plain(config, found, model)
        else:
            features, problems = embed_set(found, model, parts=config.parts), []
            save_features(config.out, features, root=found.root)
            counts = f"{len(features.query.features):,} query and {gallery_words(features.gallery)}"
            width = features.gallery.features.shape[1]
    for problem in problems:
        print(f"resight: {problem}", file=sys.stderr)
    left = f" {len(problems)} could not be read and were left out." if problems else ""
    seconds = time.monotonic() - start
    print(f"{config.out}: {counts}, {width:,} numbers each, in {seconds:.1f} s.{left}", file=sys.stderr)
    return 1 if problems else 0


def open_model(name: str | None, *, parts: Path | None = None) -> Model:
    """Load a model by name, run folder or file; None is the default model. On the GPU when there is one.

    Raises BadRecipe where part maps are given and the model looks at none.
    """
    from resight.model import DEFAULT_MODEL, load_model
    from resight.nn.device import best_device

    model = load_model(name or DEFAULT_MODEL, device=best_device())
    if parts is not None and not model.needs_maps:
        raise BadRecipe(f"`{name or DEFAULT_MODEL}` looks at pictures alone and at no part maps: leave --parts out.")
    return model


def sides_to_search(command: str, config: Searching, reid_set: ReidSet) -> tuple[list[Crop], list[Crop]]:
    """Query and gallery of a data set that the protocol of a command can search, before they are embedded.

    Raises DatasetNotFound where one of them has no pictures, BadFeatures for cameras that are needed and not known and
    where no query has a true match.
    """
    query, gallery = list(reid_set.crops("query")), list(reid_set.crops("gallery"))
    for split, crops in (("query", query), ("gallery", gallery)):
        if not crops:
            raise DatasetNotFound(f"{reid_set.root} has no {split} pictures, so there is nothing to search.")
    protocol = config.protocol
    instead = command_line(command, config, protocol="occluded")
    check_cameras(reid_set, [*query, *gallery], protocol, instead=instead)
    matching = match(*labels_of(query, gallery, root=reid_set.root), rules_of(protocol))
    if matching.pairs(0, len(query)).ignored.all():
        raise no_answers(len(query), protocol)
    return query, gallery


def no_answers(queries: int, protocol: ProtocolName) -> BadFeatures:
    """The error for a search in which every query is unanswerable."""
    return BadFeatures(
        f"None of the {queries:,} queries has a true match in the gallery that the protocol `{protocol}` counts; check "
        "persons and cameras (`resight data check`), or pass `--protocol occluded` to count the query's own camera too."
    )


def embed_set(reid_set: ReidSet, model: Model, *, parts: Path | None = None) -> Features:
    """Embed query and gallery of a data set; `parts` is a folder of part maps for a model that looks at them."""
    query, gallery = list(reid_set.crops("query")), list(reid_set.crops("gallery"))
    return embed_sides(query, gallery, model, root=reid_set.root, parts=parts)


def embed_sides(
    query: Sequence[Crop],
    gallery: Sequence[Crop],
    model: Model,
    *,
    root: Path | None = None,
    parts: Path | None = None,
    names_from: Path | None = None,
) -> Features:
    """Embed two lists of crops; file names are given relative to `root`, part maps found relative to `names_from`."""
    crops = [*query, *gallery]
    paths = [crop.path for crop in crops]
    maps = part_maps(parts, paths, names_from or root, model)
    try:
        with bar("embedding", total=len(crops)) as told:
            found = model.embed_files(paths, told=told, maps=maps)
    except BadPicture as error:
        raise _unreadable(paths) from error

    def filled(side: Side, rows: slice) -> Side:
        parts, visible = (None if column is None else column[rows] for column in (found.parts, found.visible))
        return replace(side, features=found.features[rows], parts=parts, visible=visible)

    asked, searched = labels_of(query, gallery, root=root)
    share = 0.0 if found.parts is None else model.settings.part_share
    first, rest = slice(len(query)), slice(len(query), None)
    return Features(filled(asked, first), filled(searched, rest), part_share=share)


def labels_of(query: Sequence[Crop], gallery: Sequence[Crop], *, root: Path | None = None) -> tuple[Side, Side]:
    """Persons, cameras and files of both sides, features still without a number; both write an id the same way."""
    crops = [*query, *gallery]
    names = [(crop.path.relative_to(root) if root else crop.path).as_posix() for crop in crops]
    both = Side(
        features=np.zeros((len(crops), 0), np.float32),
        persons=np.array([crop.person for crop in crops]),
        cameras=np.array([NO_CAMERA if crop.camera is None else crop.camera for crop in crops]),
        files=np.array(names),
    )
    return both.take(slice(len(query))), both.take(slice(len(query), None))


def part_maps(
    parts: Path | None, paths: Sequence[Path], root: Path | None, model: Model
) -> Callable[[Sequence[Path]], np.ndarray] | None:
    """How a model that looks at part maps gets them: None for one that does not.

    Raises BadFeatures where there is no folder, BadLabels for maps of another parser or size than it learned from and
    for maps of pictures that have changed since.
    """
    if not model.needs_maps:
        return None
    if parts is None or root is None:
        raise BadFeatures(model.wants_maps)
    from resight.data.part_maps import load_part_maps

    unlike, settings = list(dict.fromkeys(paths)), model.settings
    size = (settings.map_height, settings.map_width) if settings.map_height else None
    loaded = load_part_maps(parts, unlike, root=root, labels="lip20", size=size, weights=settings.parser or None)
    rows = {path: row for row, path in enumerate(unlike)}
    return lambda some: np.asarray(loaded.maps[[rows[path] for path in some]], np.float32) / 255


def _unreadable(paths: Sequence[Path]) -> BadPicture:
    """Name all pictures of a set that cannot be read, for a score without them would be another set's."""
    problems = []
    for path in dict.fromkeys(paths):
        try:
            read_picture(path)
        except BadPicture as error:
            problems.append(str(error))
    more = f" And {len(problems) - SHOWN} more; `resight data check` names all." if len(problems) > SHOWN else ""
    return BadPicture(f"{len(problems)} of the set's pictures cannot be read. {' '.join(problems[:SHOWN])}{more}")


def _embed_plain(config: Embed, pictures: list[Path], model: Model) -> tuple[str, int, list[str]]:
    """Embed what can be read; returns how much it is, how wide, and what is wrong with the rest."""
    root = Path(config.dataset).expanduser()
    maps = part_maps(config.parts, pictures, root, model)
    left_out: dict[Path, str] = {}
    with bar("embedding", total=len(pictures)) as told:
        found = model.embed_files(pictures, told=told, maps=maps, left_out=left_out)
    names = np.array([path.relative_to(root).as_posix() for path in pictures if path not in left_out])
    parts = {} if found.parts is None or found.visible is None else {"parts": found.parts, "visible": found.visible}
    save_plain_features(config.out, found.features, names, **parts)
    return f"{len(names):,} pictures", found.features.shape[1], [*left_out.values()]
