"""A parser's run that is killed and called again reaches what an unbroken one reaches; its memory stays flat."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from resight.commands.train_parser import TrainParser, train_parser
from resight.config import from_table, load_toml, read_recipe, recipe_names
from resight.data.label_meanings import KEYPOINTS14
from resight.data.label_sets import LIP20, PARTS7
from resight.data.labels import write_map
from resight.data.parsing_batches import Spoiling
from resight.data.parsing_layouts import ParsingPicture
from resight.data.parsing_targets import table_for
from resight.errors import BadRecipe, TrainingStopped, UnknownName
from resight.parsing import load_parser
from resight.train.parser import ParserRun
from resight.train.parser_recipe import ParserRecipe, Shares
from resight.train.parser_validation import count_joints
from resight.train.parsing_pictures import CanvasSet, chosen_canvases, load_parsing_set, training_batches
from resight.train.parsing_sources import find_source, loose_box, show
from small_parser import untrained, write_people

RECIPE = ParserRecipe(
    backbone_weights="none", height=32, width=16, batch=4, steps=6, validate_every=3, average=0.9, seed=3
)


def toy_set(folder: Path, recipe: ParserRecipe = RECIPE) -> CanvasSet:
    os.environ["RESIGHT_CACHE"] = str(folder / "cache")
    people = folder / "people"
    source = find_source(people if people.exists() else write_people(people))
    return load_parsing_set([source], table_for([source.source], LIP20), recipe)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CanvasSet:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    return toy_set(tmp_path)


def silent(event: str, facts: dict[str, Any]) -> None:
    del event, facts


def losses(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_an_interrupted_run_goes_on_with_the_losses_of_an_unbroken_one(tmp_path: Path, data: CanvasSet) -> None:
    whole = ParserRun(tmp_path / "whole", RECIPE, data, watch=silent).train()

    def stop_at_4(event: str, facts: dict[str, Any]) -> None:
        if event == "step" and facts["step"].number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ParserRun(tmp_path / "broken", RECIPE, data, watch=stop_at_4).train()
    mended = ParserRun(tmp_path / "broken", RECIPE, data, watch=silent).train()
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 6
    first, second = (safetensors.torch.load_file(path) for path in (whole, mended))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert load_parser(tmp_path / "whole").settings.height == 32
    facts = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert facts["pictures"] == {"people": 6}
    assert {"commit", "machine", "seed", "peak_host_mib", "data"} <= set(facts)


def test_a_run_killed_while_it_is_scored_gets_every_score_of_an_unbroken_one(tmp_path: Path, data: CanvasSet) -> None:
    def scored(*, dies_at: int) -> Any:
        def watch(event: str, facts: dict[str, Any]) -> dict[str, Any] | None:
            if event == "stage" and f"step {dies_at} of" in facts["settings"].source:
                raise KeyboardInterrupt
            return (
                {"sum": float(sum(value.double().sum() for value in facts["state"].values()))}
                if event == "stage"
                else None
            )

        return watch

    recipe = replace(RECIPE, steps=5)  # the last stretch is shorter
    ParserRun(tmp_path / "whole", recipe, data, watch=scored(dies_at=-1)).train()
    for dies_at in (3, 5):
        with pytest.raises(KeyboardInterrupt):
            ParserRun(tmp_path / "broken", recipe, data, watch=scored(dies_at=dies_at)).train()
    ParserRun(tmp_path / "broken", recipe, data, watch=scored(dies_at=-1)).train()
    for name in ("validation.jsonl", "log.jsonl", "model.safetensors"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "whole" / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 5]
    assert len(json.loads((tmp_path / "broken" / "run.json").read_text())["sittings"]) == 2


@pytest.mark.slow
def test_a_run_killed_without_warning_goes_on(tmp_path: Path, data: CanvasSet) -> None:
    program = textwrap.dedent(
        f"""
        import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
        import torch; torch.set_num_threads(1)
        import test_parser as t, resight.train.run as r, time
        from pathlib import Path
        r.SAVE_EVERY_S = 0.0
        slow = lambda event, facts: time.sleep(0.4) if event == "step" else None
        data = t.toy_set(Path({str(tmp_path)!r}))
        t.ParserRun(Path({str(tmp_path / "killed")!r}), t.RECIPE, data, watch=slow).train()
        """
    )
    running = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 90
    while not (tmp_path / "killed" / "last" / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.6)
    running.send_signal(signal.SIGKILL)
    running.wait()
    ParserRun(tmp_path / "killed", RECIPE, toy_set(tmp_path), watch=silent).train()
    ParserRun(tmp_path / "whole", RECIPE, toy_set(tmp_path), watch=silent).train()
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_a_run_starts_with_the_weights_of_another_parser_of_its_kind(tmp_path: Path, data: CanvasSet) -> None:
    first = untrained(tmp_path / "first.safetensors", seed=5)
    run = ParserRun(tmp_path / "more", replace(RECIPE, start=str(first)), data, watch=silent)
    wanted = load_parser(first).network.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in run.network.state_dict().items())
    with pytest.raises(BadRecipe, match="lite of lip20; the recipe trains a lite of parts7"):
        ParserRun(tmp_path / "other", replace(RECIPE, start=str(first), labels="parts7"), data, watch=silent)


def test_a_start_that_is_not_there_is_told_before_pictures_are_decoded(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('start = "nowhere"\n')
    with pytest.raises(UnknownName, match="nowhere"):
        train_parser(TrainParser(data=(tmp_path / "no set",), out=tmp_path / "run", recipe=str(recipe)))


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(tmp_path: Path, data: CanvasSet) -> None:
    with pytest.raises(TrainingStopped, match="not finite at step"):
        ParserRun(tmp_path / "run", replace(RECIPE, learning_rate=1e30, steps=20), data, watch=silent).train()


def test_a_batch_depends_on_seed_and_step_alone_and_a_step_on_neither_neighbour(data: CanvasSet) -> None:
    def labels(steps: range, seed: int = 3) -> list[torch.Tensor]:
        recipe = replace(RECIPE, seed=seed)
        made = training_batches(data, recipe, steps, process=0, processes=1, device=torch.device("cpu"))
        return [truth.labels for _, truth in made]

    assert torch.equal(labels(range(1, 4))[2], labels(range(3, 4))[0])
    assert not torch.equal(labels(range(3, 4))[0], labels(range(3, 4), seed=4)[0])


def test_a_canvas_holds_the_box_in_its_middle_and_knows_nothing_outside_the_photo(data: CanvasSet) -> None:
    assert data.sources[0].pictures.shape == (6, 48, 24, 3)
    labels = data.sources[0].labels[0]
    assert (labels[:8] == 255).all()
    assert (labels[:, :4] == 255).all()
    assert set(np.unique(labels[8:40, 4:20])) == {0, 1, 5, 16, 17}
    assert set(np.unique(data.sources[0].others[0][8:40, 4:20])) == {0, 1}


def test_a_second_run_takes_the_canvases_from_disk(tmp_path: Path, data: CanvasSet) -> None:
    seen: list[int] = []
    source = find_source(tmp_path / "people")
    again = load_parsing_set([source], table_for([source.source], LIP20), RECIPE, seen.append)
    assert not seen
    assert again.fingerprint == data.fingerprint


def test_a_set_that_moved_is_the_same_and_another_with_another_label_or_box(tmp_path: Path, data: CanvasSet) -> None:
    (tmp_path / "people").rename(tmp_path / "moved")
    source = find_source(tmp_path / "moved")
    table = table_for([source.source], LIP20)
    assert load_parsing_set([source], table, RECIPE).fingerprint == data.fingerprint
    company = np.ones_like(source.pictures.company)
    assert replace(source, pictures=replace(source.pictures, company=company)).identity != source.identity
    label = source.pictures[0].labels
    assert label is not None
    label.write_bytes(Path(source.pictures[1].labels or "").read_bytes() + b"0")
    assert load_parsing_set([source], table, RECIPE).fingerprint != data.fingerprint


def test_weights_are_one_in_the_mean_of_pixels_and_larger_for_rare_labels(data: CanvasSet) -> None:
    weights = data.weights(0.35)
    assert weights[0] < weights[1]
    assert (data.weights(0.0) == 1).all()
    assert weights.min() >= 0.3
    assert weights.max() <= 4


def test_weights_are_counted_on_400_canvases_at_most_from_the_first_to_the_last(data: CanvasSet) -> None:
    labels = np.random.default_rng(0).integers(0, 1 + np.arange(799)[:, None, None] // 50, (799, 4, 2), dtype=np.uint8)

    def of(rows: np.ndarray) -> CanvasSet:
        return replace(data, sources=tuple(replace(source, labels=rows) for source in data.sources))

    some = labels[np.linspace(0, 798, 400).round().astype(int)]
    assert np.array_equal(of(labels).weights(0.35), of(some).weights(0.35))


def test_labels_that_key_points_alone_name_weigh_more(data: CanvasSet) -> None:
    dots = replace(data, sources=tuple(replace(source, whole=np.zeros(6, bool)) for source in data.sources))
    seen = np.unique(data.sources[0].labels)
    seen = seen[seen != 255]
    assert np.allclose(dots.weights(0.35, points=3.0)[seen], 3 * data.weights(0.35)[seen])
    assert np.allclose(data.weights(0.35, points=3.0), data.weights(0.35))


def test_two_folders_of_one_layout_are_counted_together(data: CanvasSet) -> None:
    assert replace(data, sources=data.sources * 2, shares=(0.5, 0.5)).counts == {"people": 12}


def test_a_source_without_a_share_is_left_out_and_none_at_all_is_refused(tmp_path: Path, data: CanvasSet) -> None:
    source = find_source(tmp_path / "people")
    with pytest.raises(TrainingStopped, match="nothing to train on"):
        load_parsing_set([source], data.table, replace(RECIPE, shares=Shares(rendered=0.0)))


def test_outlines_say_somebody_and_nobody_except_at_their_edge_and_joints_say_more(tmp_path: Path) -> None:
    table = table_for(["keypoints14"], LIP20)
    classes = np.zeros((128, 64), np.uint8)
    classes[20:100, 16:48] = 5
    write_map(tmp_path / "one.png", classes, LIP20)
    Image.fromarray(np.full((128, 64, 3), 90, np.uint8)).save(tmp_path / "one.jpg")
    points = np.full((14, 2), np.nan, np.float32)
    points[0] = 30, 40
    record = ParsingPicture(tmp_path / "one.jpg", None, tmp_path / "one.png", "keypoints14", "train", points=points)
    shown = show(record, table)
    somebody = table.number(LIP20.classes[1:])
    assert (shown.labels[60, 30], shown.labels[10, 30], shown.labels[60, 16]) == (somebody, 0, 255)
    assert shown.labels[40, 30] not in (somebody, 0, 255)
    assert bool((shown.others == 255).all())  # the outline may hold two
    alone, together = (show(replace(record, company=company), table) for company in (0.0, 1.0))
    assert np.array_equal(alone.labels, shown.labels)
    assert bool((alone.others == 0).all())
    assert (together.labels[60, 30], together.labels[10, 30], together.labels[40, 30]) == (255, 0, shown.labels[40, 30])
    assert (together.others[60, 30], together.others[10, 30], together.others[60, 15]) == (255, 0, 255)
    plain = show(replace(record, persons=None), table)
    assert (plain.labels[60, 30], plain.others[60, 30]) == (255, 255)


def test_a_detectors_box_is_never_slimmer_than_people_are_drawn() -> None:
    mask = np.zeros((100, 100), bool)
    mask[10:90, 48:52] = True
    left, top, right, bottom = loose_box(mask)
    assert (left + right) / 2 == 50
    assert (right - left) / (bottom - top) == pytest.approx(0.46)
    assert top < 10 < 90 < bottom
    assert loose_box(mask & False) is None


def test_memory_does_not_grow_with_the_number_of_samples(data: CanvasSet) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("reads /proc/self/status")

    def kib() -> int:
        return int(next(line for line in status.read_text().splitlines() if line.startswith("RssAnon")).split()[1])

    def samples(count: int) -> None:
        for number in range(count // 100):
            chosen_canvases(data, 100, np.random.default_rng(number), torch.device("cpu"))

    samples(1000)
    before = kib()
    samples(10_000)
    assert kib() - before < 4 * 1024


def test_sides_stay_the_persons_own_through_a_regrouped_table(tmp_path: Path, data: CanvasSet) -> None:
    source = find_source(tmp_path / "people")
    grouped = load_parsing_set([source], table_for([source.source], PARTS7), replace(RECIPE, labels="parts7"))
    rows = grouped.rows()
    assert rows.mirrored[PARTS7.number("left leg")] == PARTS7.number("right leg")
    assert not rows.person[0]
    assert set(np.unique(grouped.sources[0].labels[0][8:40, 4:20])) == {0, 1, 2, 5, 6}


@pytest.mark.parametrize("name", [name for name in recipe_names() if "\nparser = " in read_recipe(name)])
def test_every_shipped_recipe_of_a_parser_loads_and_keeps_height_before_width(name: str) -> None:
    recipe = load_toml(ParserRecipe, name).check()
    if "384x128" in name:
        assert (recipe.height, recipe.width) == (384, 128)


def test_numbers_that_make_no_run_are_refused() -> None:
    for wrong in (
        *({"steps": 0}, {"scale": (1.5, 0.5)}, {"scale": (0.0, 0.5)}, {"mirror": 2.0}, {"validate_every": -5}),
        *({"learning_rate": -1.0}, {"batch": 0}, {"height": 0}, {"spoiling": Spoiling(noise=-1.0)}, {"warmup": -1}),
        *({"shares": Shares(ccp=-0.5)}, {"backbone": "resnet50"}, {"last_rate": float("nan")}),
    ):
        with pytest.raises(BadRecipe):
            replace(RECIPE, **wrong).check()
    with pytest.raises(BadRecipe, match="no key `hight`"):
        from_table(ParserRecipe, {"hight": 3}, where="mine.toml")


def test_joints_are_counted_where_they_lie_and_outside_the_crop_not_at_all() -> None:
    labels = np.zeros((20, 10), np.uint8)
    labels[:5], labels[5:15], labels[15:, :5], labels[15:, 5:] = 13, 5, 17, 16  # the person looks at us
    places = np.full((14, 2), 8.0)
    places[KEYPOINTS14.index("head")] = (4, 2)
    places[KEYPOINTS14.index("right ankle")] = (2, 18)
    places[KEYPOINTS14.index("left ankle")] = (2, 18)
    places[KEYPOINTS14.index("neck")] = (40, 2)
    found = {"head": [0, 0], "ankles": [0, 0], "ankle sides": [0, 0], "body": [0, 0]}
    count_joints(labels, places, found)
    assert found == {"head": [1, 1], "ankles": [2, 2], "ankle sides": [1, 2], "body": [10, 10]}
