"""`resight evaluate` as a user types it: scores, files, and one sentence for everything else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from resight.cli import main
from resight.commands.evaluate import Evaluate, evaluate
from resight.errors import BadFeatures, CannotWrite
from resight.evaluate.protocols import PROTOCOLS
from resight.evaluate.ranking import score_distances
from resight.model import Embedded
from resight.search.features import Features, load_features, save_features, save_plain_features, side
from small_sets import put


def features_file(path: Path, *, cameras: bool = True, persons: int = 8, noise: float = 1.0) -> Path:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((persons, 12))
    sides = [
        side(
            centres[np.arange(count) % persons] + noise * rng.standard_normal((count, 12)),
            np.arange(count) % persons,
            np.arange(count) // persons % 3 if cameras else None,
            np.array([f"{count}/{row}.jpg" for row in range(count)]),
        )
        for count in (16, 160)
    ]
    save_features(path, Features(*sides))
    return path


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_scores_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = features_file(tmp_path / "features.npz")
    code, out, err = said(capsys, path, "--json", tmp_path / "scores.json", "--resamples", 200)
    assert (code, err) == (0, "")
    content = json.loads((tmp_path / "scores.json").read_text())
    for name, value in (("mAP", content["mean_ap"]), ("mINP", content["mean_inp"]), ("Rank-1", content["cmc"][0])):
        assert any(line.split()[:2] == [name, f"{value:.1%}"] for line in out.splitlines()), name
    assert "precision at hits" in out
    assert "protocol market" in out
    assert content["source"] == str(path)
    assert "open_set" not in content


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_protocol_is_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str) -> None:
    code, out, _ = said(capsys, features_file(tmp_path / "f.npz"), "--protocol", protocol, "--resamples", 100)
    assert code == 0
    assert f"protocol {protocol}: " in out


def test_an_open_set_is_measured_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = features_file(tmp_path / "features.npz")
    words = (path, "--open-set", "--false-match-rate", 0.01, "--json", tmp_path / "s.json", "--resamples", 100)
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "Same person up to distance" in out
    assert "too few" in out  # 16 queries cannot show a false alarm rate of 0.001
    opened = json.loads((tmp_path / "s.json").read_text())["open_set"]
    assert opened["threshold"]["false_rate"] == 0.01
    assert [point["false_rate"] for point in opened["tar_at_far"]] == [0.1, 0.01, 0.001, 0.0001, 0.00001]
    assert opened["tar_at_far"][-1]["true_rate"] is None
    assert 0 <= opened["calibration"]["expected_error"] <= 1


def test_the_same_seed_writes_the_same_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = features_file(tmp_path / "features.npz")
    for name in ("one", "two"):
        assert said(capsys, path, "--open-set", "--json", tmp_path / name, "--resamples", 100)[0] == 0
    assert (tmp_path / "one").read_text() == (tmp_path / "two").read_text()


def test_a_plain_folder_of_features_has_nothing_to_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_plain_features(tmp_path / "plain.npz", np.ones((2, 3), np.float32), np.array(["a", "b"]))
    code, _, err = said(capsys, tmp_path / "plain.npz")
    assert code == 2
    assert "plain folder" in err
    assert err.count("\n") == 1


def test_unknown_cameras_are_refused_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = features_file(tmp_path / "features.npz", cameras=False)
    code, _, err = said(capsys, path)
    assert code == 2
    assert "--protocol occluded" in err
    assert said(capsys, path, "--protocol", "occluded", "--resamples", 100)[0] == 0


def test_no_answered_query_is_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = side(np.ones((2, 3)), np.array([1, 2]), np.array([1, 1]))
    save_features(tmp_path / "f.npz", Features(one, one))
    code, out, err = said(capsys, tmp_path / "f.npz", "--json", tmp_path / "s.json")
    assert (code, out) == (2, "")
    assert "None of the 2 queries has a true match" in err
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize("kind", ["missing", "picture", "json"])
def test_anything_else_is_told_which_three_are_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    place = tmp_path / "nothing"
    if kind != "missing":
        place = tmp_path / f"file.{'jpg' if kind == 'picture' else 'json'}"
        place.write_text("{}")
    code, out, err = said(capsys, place)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    for expected in ("features file (.npz)", "`sample`", "--truth"):
        assert expected in err


def test_a_features_file_has_no_true_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, features_file(tmp_path / "f.npz"), "--truth", tmp_path)
    assert code == 2
    assert "label maps" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--resamples", "3"), "give 100 to 1,000,000"),
        (("--seed", "-1"), "The seed is -1"),
        (("--false-match-rate", "1"), "between 0 and 1"),
        (("--model", "baseline-lite"), "holds features already"),
        (("--protocol", "markt"), "market"),
        (("--json", "/proc/nowhere/scores.json"), "Could not write"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str], expected: str
) -> None:
    code, _, err = said(capsys, features_file(tmp_path / "f.npz"), *words)
    assert code == 2
    assert expected in err


def test_a_closed_pipe_does_not_lose_the_scores_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("resight.commands.evaluate.print_scores", closed)
    with pytest.raises(BrokenPipeError):
        evaluate(Evaluate(x=str(features_file(tmp_path / "f.npz")), resamples=100, json=tmp_path / "s.json"))
    assert json.loads((tmp_path / "s.json").read_text())["answered"] == 16


def test_a_full_disk_does_not_hide_the_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise CannotWrite("Could not write s.json: No space left on device.")

    monkeypatch.setattr("resight.commands.evaluate.write_scores", full)
    words = (features_file(tmp_path / "f.npz"), "--json", tmp_path / "s.json", "--resamples", 100)
    code, out, err = said(capsys, *words)
    assert code == 2
    assert "mAP" in out
    assert "Could not write" in err


def test_a_truncated_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = features_file(tmp_path / "f.npz")
    path.write_bytes(path.read_bytes()[:3000])
    code, _, err = said(capsys, path)
    assert code == 2
    assert "3000 bytes" in err


def test_it_can_be_called_from_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(Evaluate(x=str(features_file(tmp_path / "f.npz")), resamples=100)) == 0
    with pytest.raises(BadFeatures):
        evaluate(Evaluate(x=str(tmp_path / "none.npz")))
    assert "mAP" in capsys.readouterr().out


class NameModel:
    """Stands for a trained model: embeds a picture by the person in its file name, and its camera a little."""

    needs_maps = False

    def embed(self, paths: Sequence[Path], *, told: object = None) -> np.ndarray:
        rows = []
        for path in paths:
            person, camera = int(path.name[:4]), int(path.name[6])
            rng = np.random.default_rng([person, camera, path.parent.name == "query"])
            rows.append(np.eye(8)[person % 8] + 0.3 * rng.standard_normal(8))
        return np.array(rows, dtype=np.float32)

    def embed_files(self, paths: Sequence[Path], *, told: object = None, maps: object = None) -> Embedded:
        return Embedded(self.embed(paths))


class OneColour(NameModel):
    """Sees the same everywhere."""

    def embed(self, paths: Sequence[Path], *, told: object = None) -> np.ndarray:
        return np.ones((len(paths), 4), dtype=np.float32)


def market(root: Path, *, hand_drawn: bool) -> Path:
    for folder, cameras in (("query", (1,)), ("bounding_box_test", (1, 2, 3)), ("bounding_box_train", (1, 2))):
        (root / folder).mkdir(parents=True)
        for person in range(1, 7):
            for camera in cameras:
                Image.new("RGB", (8, 16)).save(root / folder / f"{person:04d}_c{camera}s1_000001_00.jpg")
    if hand_drawn:
        (root / "gt_bbox").mkdir()
        for name in ("0001_c1s1_000007_00.jpg", "0001_c2s1_000007_00.jpg", "0002_c1s1_000009_00.jpg", "Thumbs.db"):
            (root / "gt_bbox" / name).write_bytes(b"")
    return root


def test_a_data_set_is_embedded_with_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str | None] = []
    monkeypatch.setattr("resight.commands.embed.open_model", lambda name, **_: named.append(name) or NameModel())
    code, out, _ = said(capsys, market(tmp_path / "m", hand_drawn=False), "--model", "mine", "--resamples", 100)
    assert (code, named) == (0, ["mine"])
    assert "6 queries × 18 gallery pictures, 6 queries answered" in out


def test_hand_drawn_boxes_are_pooled_with_the_queries_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.commands.embed.open_model", lambda *_, **__: NameModel())
    words = ("--protocol", "multi-query", "--resamples", 100)
    _, out, _ = said(capsys, market(tmp_path / "with", hand_drawn=True), *words)
    assert "6 queries and 2 pictures of gt_bbox were pooled into 6" in out  # the queries' persons in their camera
    _, out, _ = said(capsys, market(tmp_path / "without", hand_drawn=False), *words)
    assert "gt_bbox" not in out
    assert "were pooled" not in out  # one of each already


def test_the_user_chooses_whether_parts_are_compared(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)

    def one(count: int, camera: int):
        parts, visible = rng.standard_normal((count, 3, 4)), rng.random((count, 3))
        ids = np.arange(count) % 5
        whole = rng.standard_normal((count, 8))
        return side(whole, ids, np.full(count, camera), parts=parts, visible=visible)

    save_features(tmp_path / "f.npz", Features(one(10, 1), one(30, 2), part_share=0.5))
    for name, shown in (("global", "0%"), ("parts", "100%"), ("both", "50%")):
        assert main(["evaluate", str(tmp_path / "f.npz"), "--distance", name, "--resamples", "100"]) == 0
        assert f"parts that both crops show are {shown} of the distance" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "f.npz"), "--distance", "both", "--part-share", "2"]) == 2


def test_hand_drawn_boxes_bring_their_parts_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class PartModel(NameModel):
        settings = SimpleNamespace(part_share=0.5)

        def embed_files(self, paths: Sequence[Path], *, told: object = None, maps: object = None) -> Embedded:
            rows = self.embed(paths)
            return Embedded(rows, rows.reshape(len(rows), 2, 4), np.ones((len(rows), 2), np.float32))

    monkeypatch.setattr("resight.commands.embed.open_model", lambda *_, **__: PartModel())
    words = ("--protocol", "multi-query", "--distance", "both", "--resamples", 100)
    code, out, _ = said(capsys, market(tmp_path / "m", hand_drawn=True), *words)
    assert code == 0
    assert "parts that both crops show are 50% of the distance" in out


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is refused has to be refused before this."""

    def never(_: object) -> None:
        raise AssertionError("embedding began")

    monkeypatch.setattr("resight.commands.embed.open_model", never)


def test_a_list_of_any_spelling_is_opened_and_cameras_known_on_one_side_are_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    for name in ("q.png", "g.png"):
        Image.new("RGB", (8, 16)).save(tmp_path / name)
    (tmp_path / "list.CSV").write_text("path,person,camera,split\nq.png,1,c1,query\ng.png,1,,gallery\n")
    code, _, err = said(capsys, tmp_path / "list.CSV")
    assert code == 2
    assert "1 of 1 gallery pictures have no camera" in err
    assert "--protocol occluded" in err
    (tmp_path / "cuhk-03.mat").write_bytes(b"no matlab file")
    code, _, err = said(capsys, tmp_path / "cuhk-03.mat" / "labeled")
    assert code == 2
    assert "does not exist" not in err


def test_person_folders_without_cameras_are_answered_with_the_command_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = put(tmp_path / "my people", "ann/a_c1.jpg", "ann/b_c2.jpg", "bob/a_c1.jpg", "bob/b_c2.jpg")
    monkeypatch.setattr("resight.commands.embed.open_model", lambda *_, **__: OneColour())
    code, _, err = said(capsys, own, "--resamples", 100)
    assert code == 2
    assert err.count("\n") == 1
    assert "No picture of" in err
    assert "--camera-pattern" in err
    typed = shlex.split(err.split("`")[-2])
    assert typed == ["resight", "evaluate", str(own), "--protocol", "occluded", "--resamples", "100"]
    assert main(typed[1:]) == 0
    assert "no camera ids" in capsys.readouterr().out
    assert said(capsys, own, "--camera-pattern", r"_(c\d)", "--resamples", 100)[0] == 0


def test_a_published_set_without_cameras_is_not_offered_a_pattern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    root = put(tmp_path, "occluded_body_images/001_1.jpg", "whole_body_images/001_2.jpg")
    code, _, err = said(capsys, root)
    assert code == 2
    assert "--protocol occluded" in err
    assert "--camera-pattern" not in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--views", "nowhere.npz"), "nowhere.npz cannot be read as a keypoints file"),
        (("--json", "/proc/nowhere/s.json"), "Could not write"),
        (("--json", "."), "it is a folder"),
        (("--camera-pattern", "("), "no regular expression"),
        (("--camera-pattern", "(.)"), "leave --camera-pattern out"),
        (("--path-column", "file"), "has no columns"),
        (("--labels", "lip20", "--flip"), "leave --labels, --flip out"),
        (("--truth-labels", "lip20"), "leave --truth-labels out"),
        (("--rerank", "--protocol", "multi-query"), "choose another --protocol"),
        (("--rerank", "--open-set"), "leave --open-set out"),
    ],
)
def test_what_cannot_work_is_told_before_the_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
) -> None:
    no_work(monkeypatch)
    code, out, err = said(capsys, market(tmp_path / "m", hand_drawn=False), *words)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


def test_queries_without_answers_are_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    put(tmp_path, "ann/c1_1.jpg", "ann/c1_2.jpg", "bob/c2_1.jpg", "bob/c2_2.jpg")
    code, _, err = said(capsys, tmp_path, "--camera-pattern", r"(c\d)")
    assert code == 2
    assert "None of the 2 queries has a true match" in err


def test_true_maps_and_parsers_take_no_options_of_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, tmp_path, "--truth", tmp_path, "--protocol", "occluded", "--model", "parser-lite")
    assert code == 2
    assert "--truth scores label maps: leave --model, --protocol out" in err
    code, _, err = said(capsys, tmp_path, "--model", "parser-lite", "--open-set", "--layout", "market1501")
    assert code == 2
    assert "parser-lite is a parser: leave --layout, --open-set out" in err


def test_features_take_no_options_of_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, features_file(tmp_path / "f.npz"), "--camera-pattern", "(.)")
    assert code == 2
    assert "holds features already: leave --camera-pattern out" in err


@pytest.mark.parametrize("protocol", ["market", "occluded"])
def test_re_ranked_scores_are_those_of_the_re_ranked_distances(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    path = features_file(tmp_path / "f.npz", noise=2.0)
    words = ("--rerank", "--protocol", protocol, "--json", tmp_path / "s.json", "--resamples", 100)
    code, out, _ = said(capsys, path, *words)
    assert code == 0
    assert main(["rerank", str(path), "--out", str(tmp_path / "d.npy")]) == 0
    features = load_features(path)
    wanted = score_distances(np.load(tmp_path / "d.npy"), features.query, features.gallery, protocol=protocol)
    content = json.loads((tmp_path / "s.json").read_text())
    assert content["mean_ap"] == wanted.mean_ap
    assert content["cmc"] == wanted.cmc.tolist()
    assert content["rerank"] == {"k1": 20, "k2": 6, "lambda": 0.3}
    assert f"{wanted.mean_ap:.1%}" in out
    assert "re-ranked (k1 20, k2 6, lambda 0.3)" in out
    said(capsys, path, "--protocol", protocol, "--json", tmp_path / "plain.json", "--resamples", 100)
    plain = json.loads((tmp_path / "plain.json").read_text())
    assert plain["mean_ap"] < wanted.mean_ap
    assert "rerank" not in plain
