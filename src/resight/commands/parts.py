"""`resight parts`: soft part maps of a whole set, once, for every network that is guided by them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.data.images import read_picture, resize
from resight.data.label_sets import LIP20, find_labels
from resight.data.labels import read_map
from resight.data.part_maps import CHUNK, Contents, PartMapsWriter, PartStamp, as_levels, read_stamp
from resight.errors import BadLabels, BadPicture, BadRecipe, DatasetNotFound
from resight.types import SPLITS

if TYPE_CHECKING:
    from resight.data.regrouping import Regrouping
    from resight.parsing import Parsed, ParserModel

READERS: Final = 3
TRUTH: Final = "truth"
"""Who made the maps of a set whose labels are known."""
MIRRORED: Final = ", mirrored too"
Found = tuple[Path, NDArray[np.uint8], float, float]
"""File, map, quality and share of a second person of one picture."""
Source = Callable[..., Iterator[Found]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts(SetOptions):
    """Write soft part maps of every picture of a set, with a quality for each: what part-guided networks train on.

    Maps hold the probability of each class on a small grid. Each has a quality (0 to 1: what the parser expects of
    it, or, where the parser does not say, the mean probability of the likeliest class) and the share that a second
    person covers. The folder is stamped by the parser's weights, label set and size, and refuses others. Stopped or
    killed, the same command goes on. Files that cannot be read are named and left out (exit code 1).
    """

    dataset: str
    """A data set's folder, the word `sample`, or a folder of pictures."""
    out: Path = Path("parts")
    """Folder for the maps; made when new."""
    model: str | None = None
    """A shipped parser, a run folder or a weights file; left out, parser-lite."""
    truth: bool = False
    """Of a rendered set (`resight people`, `sample`): its own label maps instead of a parser's."""
    labels: str = "lip20"
    """The parser's own set, or groups of it: of lip20 parts6, parts7, parts8 and street5, whose probabilities are
    summed."""
    height: int = 32
    """Of a map, in cells."""
    width: int = 16
    """Of a map, in cells."""
    flip: bool = False
    """Average with the mirrored crop: a little better, half as fast."""
    batch: int = 64
    """Crops at once through the network."""
    threads: int | None = None
    """Threads of torch; left out, one per core."""


def parts(config: Parts) -> int:
    """Write the maps; says on stderr what was done; exit code 1 when files were left out."""
    from resight.data.regrouping import find_regrouping
    from resight.nn.device import best_device
    from resight.parsing import DEFAULT_PARSER, load_parser
    from resight.train.resources import torch_threads

    if not (1 <= config.batch <= CHUNK and 4 <= config.height <= 256 and 4 <= config.width <= 256):
        raise BadRecipe(f"--batch must be 1 to {CHUNK}, --height and --width 4 to 256.")
    root, files = _files(config)
    size = config.height, config.width
    if config.truth:
        if config.model or config.flip:
            raise BadRecipe("--truth takes the set's own label maps: leave --model and --flip out.")
        regrouping = find_regrouping(LIP20, find_labels(config.labels))
        stamp = PartStamp(parser=TRUTH, weights=TRUTH, height=size[0], width=size[1], **_labels_of(regrouping))
        source: Source = partial(_labelled, truth=_truth(root), regrouping=regrouping, size=size)
    else:
        model = load_parser(config.model or DEFAULT_PARSER, device=best_device())
        regrouping = find_regrouping(model.labels, find_labels(config.labels))
        stamp = stamp_of(model, regrouping, size, flip=config.flip)
        source = partial(_parse, model=model, regrouping=regrouping, config=config)
    writer = PartMapsWriter(config.out, stamp)
    contents = Contents()
    todo = [file for file in files if not writer.has(file.relative_to(root).as_posix(), contents[file])]
    problems: list[str] = []
    with torch_threads(config.threads), bar("part maps", total=len(files)) as told:
        told(len(files) - len(todo), total=len(files))
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            found = list(source(chunk, problems=problems))
            told(len(chunk), pictures=len(chunk))
            if found:
                _write(writer, root, found, contents)
    for problem in problems:
        print(f"resight: {problem}", file=sys.stderr)
    written = sum(path.stat().st_size for path in config.out.glob("maps-*.npz"))
    left = f" {len(problems)} could not be read and were left out." if problems else ""
    print(f"{config.out}: maps of {len(writer):,} pictures, {written / 2**20:.1f} MiB.{left}", file=sys.stderr)
    return 1 if problems else 0


def parse_pictures(folder: Path, parser: str | None) -> Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]:
    """How pictures of any size get maps as those in `folder`: N classes h w, 0..1.

    Raises BadLabels where the parser (a name, run or file; None is parser-lite) is not the one that made them.
    """
    from resight.data.regrouping import find_regrouping
    from resight.nn.device import best_device
    from resight.parsing import DEFAULT_PARSER, load_parser

    stamp = read_stamp(folder)
    model = load_parser(parser or DEFAULT_PARSER, device=best_device())
    regrouping, flip = find_regrouping(model.labels, find_labels(stamp.labels)), stamp.parser.endswith(MIRRORED)
    size = stamp.height, stamp.width
    mine = stamp_of(model, regrouping, size, flip=flip)
    if mine != stamp:
        raise BadLabels(
            f"The part maps in {folder} were made by {stamp.parser} with the weights {stamp.weights}, and "
            f"{parser or DEFAULT_PARSER} is {mine.parser} with the weights {mine.weights}: name the one that made them "
            "with --parser."
        )

    def parse(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        batch = np.stack([resize(picture, *model.size) for picture in pictures])
        parsed = model.parse_resized(batch, [(1, 1)] * len(batch), regrouping=regrouping, flip=flip)
        levels = as_levels(np.stack([_shrunk(one, size) for one in parsed]))
        return np.asarray(levels, dtype=np.float32) / np.float32(255)

    return parse


def stamp_of(model: ParserModel, regrouping: Regrouping, size: tuple[int, int], *, flip: bool) -> PartStamp:
    """What decides the maps of a parser."""
    from resight.parsing import weights_print

    settings = model.settings
    seen = f"{settings.parser} at {settings.height}x{settings.width}{MIRRORED if flip else ''}"
    return PartStamp(
        parser=seen,
        weights=weights_print(model),
        height=size[0],
        width=size[1],
        **_labels_of(regrouping),
    )


def _labels_of(regrouping: Regrouping) -> dict[str, Any]:
    return {"labels": regrouping.target.name, "classes": len(regrouping.target.classes)}


def _truth(root: Path) -> dict[str, Path]:
    """Label maps that a rendered set holds, by its pictures' names. Raises DatasetNotFound where there are none."""
    found = {path.stem: path for path in sorted(root.glob("lip/*_segmentations/*.png"))}
    if not found:
        raise DatasetNotFound(f"{root} holds no label maps (lip/*_segmentations/*.png): leave --truth out to parse it.")
    return found


def _labelled(
    files: Sequence[Path],
    *,
    truth: Mapping[str, Path],
    regrouping: Regrouping,
    size: tuple[int, int],
    problems: list[str],
) -> Iterator[Found]:
    """Maps of pictures whose labels are known: the share of each class in a cell; what is ignored is no class's."""
    import torch
    import torch.nn.functional as F

    table, classes = regrouping.table(), np.arange(len(regrouping.target.classes))
    for file in files:
        if file.stem not in truth:
            problems.append(f"{file} has no label map in lip/.")
            continue
        labels = table[read_map(truth[file.stem], regrouping.source, ignored=True)]
        shares = torch.from_numpy((labels == classes[:, None, None]).astype(np.float32))
        yield file, as_levels(F.interpolate(shares[None], size, mode="area")[0].numpy()), 1.0, float("nan")


def _files(config: Parts) -> tuple[Path, list[Path]]:
    """The set's folder and all its pictures, of the splits that it has."""
    found = config.set_or_pictures(config.dataset)
    if isinstance(found, list):
        return Path(config.dataset).expanduser(), found
    files: list[Path] = []
    for split in SPLITS:
        with suppress(DatasetNotFound):  # a set may lack a split: `resight occlude` writes no training pictures
            files += [crop.path for crop in found.crops(split)]
    return found.root, list(dict.fromkeys(files))  # splits may share pictures


def _parse(
    files: Sequence[Path], *, model: ParserModel, regrouping: Regrouping, config: Parts, problems: list[str]
) -> Iterator[Found]:
    """Yield file, map, quality and second share of what can be read; pictures are read one batch ahead."""
    groups = [files[start : start + config.batch] for start in range(0, len(files), config.batch)]

    def read(file: Path) -> NDArray[np.uint8]:
        return resize(read_picture(file), *model.size)

    with ThreadPoolExecutor(READERS) as readers:

        def submit(group: Sequence[Path]) -> list[tuple[Path, Future[NDArray[np.uint8]]]]:
            return [(file, readers.submit(read, file)) for file in group]

        ahead = submit(groups[0])
        for number in range(len(groups)):
            reading, ahead = ahead, submit(groups[number + 1]) if number + 1 < len(groups) else []
            sound, pictures = [], []
            for file, future in reading:
                try:
                    pictures.append(future.result())
                    sound.append(file)
                except BadPicture as error:
                    problems.append(str(error))
            if not sound:
                continue
            sizes = [(1, 1)] * len(sound)  # no label map is wanted
            parsed = model.parse_resized(np.stack(pictures), sizes, regrouping=regrouping, flip=config.flip)
            for file, one in zip(sound, parsed, strict=True):
                small = _shrunk(one, (config.height, config.width))
                yield file, as_levels(small), _quality(one), one.second_share


def _shrunk(parsed: Parsed, size: tuple[int, int]) -> NDArray[np.float32]:
    """Probabilities on a small grid: each cell the mean of what it covers."""
    import torch
    import torch.nn.functional as F

    return F.interpolate(torch.from_numpy(parsed.probabilities)[None], size, mode="area")[0].numpy()


def _quality(parsed: Parsed) -> float:
    return float(parsed.probabilities.max(axis=0).mean()) if np.isnan(parsed.sure) else parsed.sure


def _write(writer: PartMapsWriter, root: Path, found: Sequence[Found], contents: Mapping[Path, int]) -> None:
    files, maps, quality, second = zip(*found, strict=True)
    writer.add(
        [file.relative_to(root).as_posix() for file in files],
        np.stack(maps),
        np.array(quality, dtype=np.float32),
        np.array(second, dtype=np.float32),
        [contents[file] for file in files],
    )
