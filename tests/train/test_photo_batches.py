"""Windows and whole photos: height stays height, labels follow the pixels, the batch is the same with more readers."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.data.images import read_picture
from resight.data.label_sets import LIP20, PARTS7, LabelSet
from resight.data.parsing_targets import table_for
from resight.train.parser_recipe import ParserRecipe
from resight.train.parsing_sources import find_source
from resight.train.photo_batches import PhotoSet, photo_set, stretched, window
from small_parser import write_people

RECIPE = ParserRecipe(crop="random", height=48, width=16, batch=3, scale=(0.5, 1.6), mirror=0.5)


@pytest.fixture
def photos(tmp_path: Path) -> PhotoSet:
    source = find_source(write_people(tmp_path))
    return photo_set([source], table_for([source.source], LIP20), RECIPE)


def batches(photos: PhotoSet, recipe: ParserRecipe, steps: range) -> list[tuple[torch.Tensor, torch.Tensor]]:
    made = photos.batches(recipe, steps, process=0, processes=1, device=torch.device("cpu"))
    return [(images, truth.labels) for images, truth in made]


@pytest.mark.parametrize("crop", ["random", "whole"])
def test_a_high_window_is_high_and_batches_depend_on_their_step_alone(photos: PhotoSet, crop: str) -> None:
    recipe = replace(RECIPE, crop=crop)
    both = batches(photos, recipe, range(1, 3))
    assert both[0][0].shape == (3, 3, 48, 16)
    assert both[0][1].shape == (3, 48, 16)
    [(images, labels)] = batches(photos, replace(recipe, workers=4), range(2, 3))
    assert torch.equal(images, both[1][0])
    assert torch.equal(labels, both[1][1])


def test_a_window_shows_labels_where_their_pixels_are_and_pads_with_nothing_known() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 20, (30, 10), dtype=np.uint8)
    pixels = np.repeat(labels[..., None] * 10, 3, axis=2)
    seen, told = window(pixels, labels, (20, 16), rng)
    assert told.shape == (20, 16)
    assert (told[:, 10:] == 255).all()
    assert (seen[:, 10:] == 127).all()
    assert (seen[:, :10, 0] == told[:, :10] * 10).all()


def test_stretching_invents_no_label() -> None:
    labels = np.random.default_rng(0).choice([0, 7, 255], (30, 10)).astype(np.uint8)
    seen, told = stretched(np.zeros((30, 10, 3), np.uint8), labels, (384, 128))
    assert seen.shape == (384, 128, 3)
    assert set(np.unique(told)) <= {0, 7, 255}


@pytest.mark.parametrize("target", [LIP20, PARTS7], ids=lambda one: one.name)
def test_a_mirrored_photo_has_its_sides_swapped_in_the_active_labels(tmp_path: Path, target: LabelSet) -> None:
    """Fixed numbers 14 to 19 do nothing once classes are regrouped, and limbs are then learnt on the wrong side."""
    source = find_source(write_people(tmp_path))
    photos = photo_set([source], table_for([source.source], target), RECIPE)
    whole = replace(RECIPE, crop="whole", height=64, width=32)
    left, right = (target.number(f"{side} leg") for side in ("left", "right"))
    for seed in range(4):
        plain, turned = (photos.sample(replace(whole, mirror=chance), seed) for chance in (0.0, 1.0))
        assert np.array_equal(turned[0], plain[0][:, ::-1])
        assert (plain[1] == right)[:, :16].any()
        assert not (plain[1] == left)[:, :16].any()  # the right leg stands at the left: seen from the front
        assert np.array_equal(turned[1] == left, (plain[1] == right)[:, ::-1])
        assert np.array_equal(turned[1] == right, (plain[1] == left)[:, ::-1])


def test_changes_that_are_off_are_off(tmp_path: Path, photos: PhotoSet) -> None:
    """CE2P's code of 2019 has switches for mirror and scale that it never reads."""
    recipe = replace(RECIPE, crop="random", height=64, width=32, scale=(1.0, 1.0), mirror=0.0)
    pictures = [read_picture(path) for path in sorted((tmp_path / "lip" / "train_images").glob("*.jpg"))]
    for seed in range(8):
        pixels, _ = photos.sample(recipe, seed)
        assert any(np.array_equal(pixels, one) for one in pictures)


def test_labels_stay_bytes_until_the_device(photos: PhotoSet) -> None:
    """As float32, labels and edges of one 512 × 512 picture took 5.2 MB in every reader's queue."""
    _, labels = batches(photos, RECIPE, range(1, 2))[0]
    assert labels.dtype == torch.uint8


def test_all_of_a_batch_lies_on_the_device(photos: PhotoSet) -> None:
    made = photos.batches(RECIPE, range(1, 2), process=0, processes=1, device=torch.device("meta"))
    images, truth = next(iter(made))
    told = [value for value in (getattr(truth, one.name) for one in fields(truth)) if isinstance(value, torch.Tensor)]
    assert len(told) > 3
    assert {one.device.type for one in (images, *told)} == {"meta"}
