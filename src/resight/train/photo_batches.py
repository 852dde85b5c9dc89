"""Training pictures as the parsing papers make them: a window of the randomly scaled photo, or the whole one stretched.

Read from the files in threads a few batches ahead; labels stay uint8 until the device, and there is no copy of the list
of pictures, so memory stays flat (CE2P's own code grew to 28.9 GB of host memory by such copies).
Source: CE2P (Ruan et al., AAAI 2019): scale 0.5-1.6, then a random window; padding is the mean colour, its label 255.
Proof: tests/train/test_photo_batches.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from resight.data.augment import normalise
from resight.data.cache import identity
from resight.data.images import read_picture
from resight.data.label_union import SetTable
from resight.data.parsing_batches import ParsingBatch
from resight.data.parsing_sets import ParsingPicture
from resight.data.parsing_targets import read_target
from resight.train.loop import seed_of
from resight.train.parser_recipe import ParserRecipe
from resight.train.parsing_sources import Source, SourceSet, shared
from resight.types import IGNORE

AHEAD: Final = 3
"""Batches that are read before they are needed."""
MEAN_COLOUR: Final = 127
Sample = tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]


class PhotoSet(SourceSet[Source]):
    """The sources of a run, read as they are needed."""

    def weights(self, balance: float, *, points: float = 1.0) -> np.ndarray:
        """All labels weigh 1: their pixels are not counted beforehand, so nothing is known of their frequency."""
        del balance, points
        return np.ones(len(self.table.sets), np.float32)

    def batches(
        self, recipe: ParserRecipe, steps: range, *, process: int, processes: int, device: torch.device
    ) -> Iterator[tuple[Tensor, ParsingBatch]]:
        """Yield one process's share of the batches of `steps`; they depend on seed, step and process alone."""
        count = recipe.batch // processes
        waiting: deque[list[Future[Sample]]] = deque()
        ahead = iter(steps)
        with ThreadPoolExecutor(recipe.workers) as pool:
            try:
                while True:
                    while len(waiting) < AHEAD and (step := next(ahead, None)) is not None:
                        seeds = [seed_of(recipe.seed, 3, step, process, place) for place in range(count)]
                        waiting.append([pool.submit(self.sample, recipe, seed) for seed in seeds])
                    if not waiting:
                        return
                    samples = [future.result() for future in waiting.popleft()]
                    pixels, labels = (torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
                    images = normalise(pixels.to(device)).contiguous(memory_format=torch.channels_last)
                    labels = labels.to(device)
                    unknown = torch.full((count, 4), torch.nan, device=device)
                    others = torch.full_like(labels, IGNORE)
                    yield images, ParsingBatch(images, labels, others, unknown[:, :2], *unknown.T[2:])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def sample(self, recipe: ParserRecipe, seed: int) -> Sample:
        """Draw one picture, read it and change it; chance is `seed`'s alone."""
        rng = np.random.default_rng(seed)
        pictures = self.sources[int(rng.choice(len(self.sources), p=np.array(self.shares)))].pictures
        pixels, labels = read_pair(pictures[int(rng.integers(len(pictures)))], self.table)
        size = (recipe.height, recipe.width)
        if recipe.crop == "random":
            factor = float(rng.uniform(*recipe.scale))
            scaled = (max(1, round(labels.shape[0] * factor)), max(1, round(labels.shape[1] * factor)))
            pixels, labels = window(*stretched(pixels, labels, scaled), size, rng)
        else:
            pixels, labels = stretched(pixels, labels, size)
        if rng.random() < recipe.mirror:
            pixels, labels = np.ascontiguousarray(pixels[:, ::-1]), self.table.flip(labels)
        return pixels, labels


def photo_set(sources: Sequence[Source], table: SetTable, recipe: ParserRecipe) -> PhotoSet:
    """Sources that have a share in the recipe; raises TrainingStopped when none has."""
    kept, shares = shared(sources, recipe.shares)
    whole = identity([], *(source.identity for source in kept), table.sets.tolist())
    return PhotoSet(kept, table, shares, whole)


def read_pair(record: ParsingPicture, table: SetTable) -> Sample:
    """Pixels and set numbers of a record's crop."""
    pixels = read_picture(record.picture)
    labels = read_target(record, table, height=pixels.shape[0], width=pixels.shape[1])
    if record.crop is not None:
        top, left, bottom, right = record.crop
        pixels = pixels[top:bottom, left:right]
    return pixels, labels


def stretched(
    pixels: UInt8[np.ndarray, "H W 3"], labels: UInt8[np.ndarray, "H W"], size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Bring a picture to `size` (height, width) by a bilinear filter and its map by the nearest pixel."""
    if labels.shape == size:
        return pixels, labels
    wide_first = (size[1], size[0])
    picture = Image.fromarray(pixels).resize(wide_first, Image.Resampling.BILINEAR)
    values = Image.fromarray(labels).resize(wide_first, Image.Resampling.NEAREST)
    return np.asarray(picture), np.asarray(values)


def window(
    pixels: UInt8[np.ndarray, "H W 3"],
    labels: UInt8[np.ndarray, "H W"],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """A window of `size` (height, width) at a random place; a smaller picture is padded right and below."""
    down, right = (max(0, want - have) for want, have in zip(size, labels.shape, strict=True))
    pixels = np.pad(pixels, ((0, down), (0, right), (0, 0)), constant_values=MEAN_COLOUR)
    labels = np.pad(labels, ((0, down), (0, right)), constant_values=IGNORE)
    top = int(rng.integers(labels.shape[0] - size[0] + 1))
    left = int(rng.integers(labels.shape[1] - size[1] + 1))
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    return np.ascontiguousarray(pixels[rows, columns]), np.ascontiguousarray(labels[rows, columns])
