"""`resight parts`: soft part maps of a whole set, once, for every network that is guided by them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from resight.commands.datasets import SetOptions
from resight.commands.progress import bar
from resight.data.images import read_picture, real_file, resize
from resight.data.part_maps import CHUNK, PartMapsWriter, PartStamp, as_levels
from resight.data.reid_sets import plain_pictures
from resight.errors import BadPicture, BadRecipe, DatasetNotFound
from resight.types import SPLITS

if TYPE_CHECKING:
    from resight.data.regrouping import Regrouping
    from resight.parsing import Parsed, ParserModel

READERS: Final = 3


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
    labels: str = "lip20"
    """Label set of the maps (lip20, parts7, parts8): probabilities of grouped classes are summed."""
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
    import torch

    from resight.data.label_sets import find_labels
    from resight.data.regrouping import find_regrouping
    from resight.parsing import DEFAULT_PARSER, load_parser
    from resight.train.resources import torch_threads

    if not (1 <= config.batch <= CHUNK and 4 <= config.height <= 256 and 4 <= config.width <= 256):
        raise BadRecipe(f"--batch must be 1 to {CHUNK}, --height and --width 4 to 256.")
    root, files = _files(config)
    model = load_parser(config.model or DEFAULT_PARSER, device="cuda" if torch.cuda.is_available() else "cpu")
    regrouping = find_regrouping(model.labels, find_labels(config.labels))
    writer = PartMapsWriter(config.out, stamp_of(model, regrouping, (config.height, config.width), flip=config.flip))
    todo = [file for file in files if file.relative_to(root).as_posix() not in writer.done]
    problems: list[str] = []
    with torch_threads(config.threads), bar("part maps", total=len(files)) as told:
        told(len(files) - len(todo), total=len(files))
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            found = list(_parse(chunk, model, regrouping, config, problems))
            told(len(chunk), pictures=len(chunk))
            if found:
                _write(writer, root, found)
    for problem in problems:
        print(f"resight: {problem}", file=sys.stderr)
    size = sum(path.stat().st_size for path in config.out.glob("maps-*.npz"))
    left = f" {len(problems)} could not be read and were left out." if problems else ""
    print(f"{config.out}: maps of {len(writer.done):,} pictures, {size / 2**20:.1f} MiB.{left}", file=sys.stderr)
    return 1 if problems else 0


def stamp_of(model: ParserModel, regrouping: Regrouping, size: tuple[int, int], *, flip: bool) -> PartStamp:
    """What decides the maps of a parser."""
    from resight.parsing import weights_print

    settings, labels = model.settings, regrouping.target
    seen = f"{settings.parser} at {settings.height}x{settings.width}{', mirrored too' if flip else ''}"
    return PartStamp(
        parser=seen,
        weights=weights_print(model),
        labels=labels.name,
        classes=len(labels.classes),
        height=size[0],
        width=size[1],
    )


def _files(config: Parts) -> tuple[Path, list[Path]]:
    """The set's folder and all its pictures."""
    try:
        reid_set = config.reid_set(config.dataset)
    except DatasetNotFound:
        pictures = plain_pictures(Path(config.dataset)) if config.layout is None else []
        if not pictures:
            raise
        return Path(config.dataset), pictures
    return reid_set.root, [crop.path for split in SPLITS for crop in reid_set.crops(split)]


def _parse(
    files: Sequence[Path], model: ParserModel, regrouping: Regrouping, config: Parts, problems: list[str]
) -> Iterator[tuple[Path, NDArray[np.uint8], float, float]]:
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


def _write(writer: PartMapsWriter, root: Path, found: Sequence[tuple[Path, NDArray[np.uint8], float, float]]) -> None:
    files, maps, quality, second = zip(*found, strict=True)
    writer.add(
        [file.relative_to(root).as_posix() for file in files],
        np.stack(maps),
        np.array(quality, dtype=np.float32),
        np.array(second, dtype=np.float32),
        [real_file(file).stat().st_size for file in files],
    )
