from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.sampling import evenly, person_batches
from resight.errors import TrainingStopped


@given(st.lists(st.integers(1, 9), min_size=4, max_size=12), st.integers(0, 2**31))
def test_each_batch_holds_p_persons_with_k_pictures_each(sizes: list[int], seed: int) -> None:
    classes = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    batches = list(person_batches(classes, persons=4, pictures=3, batches=6, rng=rng))
    assert len(batches) == 6
    for rows in batches:
        assert sorted(Counter(classes[rows]).values()) == [3, 3, 3, 3]


def test_an_epoch_shows_every_picture_about_once() -> None:
    classes = np.repeat(np.arange(40), 12)
    rng = np.random.default_rng(0)
    rows = np.concatenate(list(person_batches(classes, persons=8, pictures=4, batches=15, rng=rng)))
    shown = Counter(rows)
    assert max(shown.values()) <= 2
    assert len(shown) > 0.9 * len(classes)


def test_the_same_chance_gives_the_same_batches() -> None:
    classes = np.repeat(np.arange(9), 5)
    once, again = (
        list(person_batches(classes, persons=4, pictures=2, batches=9, rng=np.random.default_rng(3))) for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_too_few_persons_are_refused_with_the_numbers() -> None:
    with pytest.raises(TrainingStopped, match="needs 4 persons and the training set has 3"):
        list(person_batches([0, 1, 2], persons=4, pictures=2, batches=1, rng=np.random.default_rng(0)))


@given(st.integers(0, 3000), st.integers(1, 600))
def test_evenly_chosen_places_reach_from_the_first_to_the_last_with_equal_gaps(count: int, most: int) -> None:
    places = evenly(count, most).tolist()
    assert len(places) == min(count, most)
    assert places[:1] == [0][:count]
    assert most < 2 or places[-1:] == [count - 1][:count]
    gaps = np.diff(places)
    assert len(gaps) == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)
