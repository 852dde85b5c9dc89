from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data.label_import import PALETTES, map_of_colours, read_coloured_map
from resight.data.label_sets import LIP20, PARTS7
from resight.errors import BadLabels, UnknownName


@pytest.mark.parametrize("palette", PALETTES)
def test_colours_become_the_numbers_they_were_drawn_from(palette: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 20, (9, 7), dtype=np.uint8)
    Image.fromarray(PALETTES[palette][values]).save(tmp_path / "map.png")
    assert np.array_equal(read_coloured_map(tmp_path / "map.png", LIP20, palette=palette), values)


def test_the_colours_of_voc_are_the_published_ones() -> None:
    assert PALETTES["voc"][:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert PALETTES["voc"][15].tolist() == [192, 128, 128]  # VOC's person


def test_an_unknown_colour_is_named_with_its_place(tmp_path: Path) -> None:
    colours = PALETTES["voc"][np.zeros((3, 3), np.uint8)].copy()
    colours[1, 2] = (1, 2, 3)
    Image.fromarray(colours).save(tmp_path / "map.png")
    with pytest.raises(BadLabels, match=r"map\.png has the colour \(1, 2, 3\) at row 1, column 2 \(1 pixels"):
        read_coloured_map(tmp_path / "map.png", LIP20)
    with pytest.raises(BadLabels, match="no class of parts7"):  # a colour of VOC beyond the set's last class
        map_of_colours(PALETTES["voc"][np.full((2, 2), 9)], PALETTES["voc"], PARTS7)


def test_palettes_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(BadLabels, match="has 3 colours and parts7 7 classes"):
        map_of_colours(picture, PALETTES["voc"][:3], PARTS7)
    with pytest.raises(BadLabels, match="two classes of parts7 in one colour"):
        map_of_colours(picture, np.zeros((7, 3), np.uint8), PARTS7)
    with pytest.raises(UnknownName, match="palette"):
        read_coloured_map(tmp_path / "map.png", LIP20, palette="vok")
    with pytest.raises(BadLabels, match="cannot be read"):
        read_coloured_map(tmp_path / "missing.png", LIP20)
