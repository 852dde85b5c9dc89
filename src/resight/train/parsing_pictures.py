"""Which pictures a parser learns from, as canvases decoded once, and in which batches they come.

A canvas is the person's box with half as much room again, at one size for all sources, with set numbers for labels
(`data.label_union`). Everything is read from arrays on disk, so memory stays flat however long a run is.
Proof: tests/train/test_parser.py; benchmarks/parser_memory.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resight.data.arrays import digest, mapped
from resight.data.cache import cache_folder, fingerprint, identity
from resight.data.label_union import SetTable
from resight.data.parsing_batches import ROOM, Canvases, LabelRows, ParsingBatch, changed
from resight.data.sampling import evenly
from resight.train.loop import seed_of
from resight.train.parser_recipe import ParserRecipe
from resight.train.parsing_sources import Box, Shown, Source, SourceSet, shared
from resight.types import IGNORE

Pixels = UInt8[np.ndarray, "H W 3"]
OFTEN: Final = 4
"""How much more often than others a picture is drawn that an eye labelled: they are few."""
FORMAT: Final = 1
"""Raised when canvases are made in another way, so that old ones on disk are not taken."""


@dataclass(frozen=True, slots=True)
class SourceArrays:
    """All canvases of one source on disk. Shapes: pictures N H W 3, labels and others N H W, views N 2, the rest N."""

    name: str
    share: str
    """Field of `parser_recipe.Shares`."""
    whole: NDArray[np.bool_]
    pictures: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    others: NDArray[np.uint8]
    views: NDArray[np.float32]
    hidden: NDArray[np.float32]
    company: NDArray[np.float32]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows to draw from evenly: those that an eye labelled come `OFTEN` times."""
        return np.repeat(np.arange(len(self.pictures)), np.where(np.isnan(self.company), 1, OFTEN))


class CanvasSet(SourceSet[SourceArrays]):
    """The sources of a run, read from arrays on disk."""

    def batches(
        self, recipe: ParserRecipe, steps: range, *, process: int, processes: int, device: torch.device
    ) -> Iterator[tuple[Tensor, ParsingBatch]]:
        """Yield one process's share of the batches of `steps`."""
        return training_batches(self, recipe, steps, process=process, processes=processes, device=device)

    def rows(self) -> LabelRows:
        sets = self.table.sets.numpy()
        return LabelRows(person=~sets[:, 0], mirrored=self.table.swap()[: len(sets)])

    def weights(self, balance: float, *, points: float = 1.0) -> NDArray[np.float32]:
        """Weight of each set: its share of all pixels to the power of -`balance`, 1 in the mean of pixels, 0.3 to 4.

        A set of several classes that a source can't tell apart is as frequent as its pixels are. One that no picture
        shows weighs 1. A set that only key points name, a few pixels a picture, weighs `points` times as much. Counted
        on at most 400 canvases of each source, evenly spread.
        """
        count = len(self.table.sets)
        frequency, of_maps = np.zeros(count), np.zeros(count, bool)
        for source, share in zip(self.sources, self.shares, strict=True):
            labels = np.asarray(source.labels[evenly(len(source.labels), 400)])
            pixels = np.bincount(labels.ravel(), minlength=256)[:count]
            frequency += share * pixels / max(labels.size, 1)
            of_maps |= bool(source.whole.any()) & (pixels > 0)
        frequency /= max(frequency.sum(), 1e-9)
        raw = np.where(frequency > 0, np.maximum(frequency, 1e-6) ** -balance, 0.0)
        mean = float((raw * frequency).sum()) or 1.0
        found = np.where(raw > 0, (raw / mean).clip(0.3, 4.0), 1.0)
        return np.asarray(np.where((frequency > 0) & ~of_maps, found * points, found), np.float32)


def load_parsing_set(
    sources: Sequence[Source], table: SetTable, recipe: ParserRecipe, told: Callable[[int], None] | None = None
) -> CanvasSet:
    """Decode every source once, at the canvas size of the recipe; later runs read the arrays on disk.

    Raises TrainingStopped when no source has pictures or all shares are 0.
    """
    size = (round(recipe.height * ROOM), round(recipe.width * ROOM))
    kept, shares = shared(sources, recipe.shares)
    arrays = tuple(_arrays(source, table, size, told) for source in kept)
    whole = identity([], *(source.identity for source in kept), table.sets.tolist())
    return CanvasSet(arrays, table, shares, whole)


def _arrays(source: Source, table: SetTable, size: tuple[int, int], told: Callable[[int], None] | None) -> SourceArrays:
    def draw(*arrays: NDArray[np.uint8]) -> None:
        for row, shown in enumerate(source.people(table)):
            for array, made in zip(arrays, canvas(shown, size), strict=True):
                array[row] = made
            if told:
                told(1)

    facts = digest(*source.pictures.facts)
    print_ = fingerprint(source.files(), FORMAT, size, source.name, table.sets.tolist(), source.source, facts)
    folder = cache_folder() / f"canvases-{source.name}-{print_}"
    shape = (len(source.pictures), *size)
    shapes = {"pictures": (*shape, 3), "labels": shape, "others": shape}
    pictures, labels, others = mapped({folder / f"{name}.npy": one for name, one in shapes.items()}, draw)
    more = source.pictures.views, source.pictures.hidden, source.pictures.company
    return SourceArrays(source.name, source.share, source.whole, pictures, labels, others, *more)


def canvas(shown: Shown, size: tuple[int, int]) -> tuple[Pixels, UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]:
    """One person's canvas: picture, labels and others at `size` with the box in the middle two thirds.

    Outside the photo the picture goes on with its edge and nothing is known.
    """
    left, top, right, bottom = shown.box
    high, wide = bottom - top, right - left
    grow = (ROOM - 1) / 2
    view = (left - grow * wide, top - grow * high, right + grow * wide, bottom + grow * high)
    return (
        _cut_picture(shown.pixels, view, size),
        _cut_map(shown.labels, view, size),
        _cut_map(shown.others, view, size),
    )


def _cut_picture(pixels: Pixels, view: Box, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    high, wide = pixels.shape[:2]
    pads = [max(0, -int(np.floor(view[0]))), max(0, -int(np.floor(view[1])))]
    pads += [max(0, int(np.ceil(view[2])) - wide), max(0, int(np.ceil(view[3])) - high)]
    padded = np.pad(pixels, ((pads[1], pads[3]), (pads[0], pads[2]), (0, 0)), mode="edge")
    box = (view[0] + pads[0], view[1] + pads[1], view[2] + pads[0], view[3] + pads[1])
    picture = Image.fromarray(padded).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)
    return np.asarray(picture)


def _cut_map(values: UInt8[np.ndarray, "H W"], view: Box, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    rows = np.floor(view[1] + (np.arange(size[0]) + 0.5) * (view[3] - view[1]) / size[0]).astype(int)
    columns = np.floor(view[0] + (np.arange(size[1]) + 0.5) * (view[2] - view[0]) / size[1]).astype(int)
    high, wide = values.shape
    found = values[rows.clip(0, high - 1)[:, None], columns.clip(0, wide - 1)[None]].copy()
    found[(rows < 0) | (rows >= high)] = IGNORE
    found[:, (columns < 0) | (columns >= wide)] = IGNORE
    return np.asarray(found)


def training_batches(
    data: CanvasSet, recipe: ParserRecipe, steps: range, *, process: int, processes: int, device: torch.device
) -> Iterator[tuple[Tensor, ParsingBatch]]:
    """Yield one process's share of the batches of `steps`: images B 3 H W and what they show.

    Choice and changes depend on seed, step and process alone.
    """
    rows = data.rows()
    for step in steps:
        chance = np.random.default_rng(seed_of(recipe.seed, 1, step, process))
        chosen = chosen_canvases(data, recipe.batch // processes, chance, device)
        rng = torch.Generator().manual_seed(seed_of(recipe.seed, 2, step, process))
        batch = changed(
            chosen,
            rows,
            recipe.spoiling,
            size=(recipe.height, recipe.width),
            scale=recipe.scale,
            shift=recipe.shift,
            mirror=recipe.mirror,
            rng=rng,
        )
        yield batch.images, batch


def chosen_canvases(data: CanvasSet, count: int, chance: np.random.Generator, device: torch.device) -> Canvases:
    """Draw `count` canvases, sources by their shares (in the mean exactly), pictures evenly, in random order."""
    exact = np.array(data.shares) * count
    numbers = np.floor(exact).astype(int)
    left = exact - numbers
    if count > numbers.sum():
        numbers += np.bincount(
            chance.choice(len(left), count - numbers.sum(), p=left / left.sum()), minlength=len(left)
        )
    parts = []
    for source, number in zip(data.sources, numbers, strict=True):
        often = source.rows
        rows = np.sort(often[chance.integers(len(often), size=number)])
        arrays = (source.pictures, source.labels, source.others)
        more = (source.whole, source.views, source.hidden, source.company)
        parts.append([array[rows] for array in (*arrays, *more)])
    order = chance.permutation(count)
    joined = (np.concatenate(arrays)[order] for arrays in zip(*parts, strict=True))
    return Canvases(*(torch.from_numpy(array).to(device) for array in joined))
