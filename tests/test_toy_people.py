"""The drawn toy people that tests stand on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toy_people import HEIGHT, TROUBLES, WIDTH, ToyCounts, draw_person, make_cameras, make_person
from toy_people import write_market as write


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path):
    counts = ToyCounts(train_persons=1, persons=1, cameras=2, junk=1, distractors=1)
    first, again, other = (write(tmp_path / str(place), counts, seed=seed) for place, seed in enumerate((5, 5, 6)))

    def contents(root: Path) -> dict[str, bytes]:
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.jpg"))}

    assert contents(first) == contents(again)
    assert contents(first) != contents(other)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_changes_the_picture(trouble):
    rng = np.random.default_rng(3)
    person, (camera, *_) = make_person(rng), make_cameras(2, rng)
    clear, spoilt = (
        draw_person(person, camera, np.random.default_rng(9), view="front", trouble=kind) for kind in ("none", trouble)
    )
    assert clear.shape == spoilt.shape == (HEIGHT, WIDTH, 3)
    assert clear.dtype == np.uint8
    assert np.abs(clear.astype(float) - spoilt).mean() > 2
