from __future__ import annotations

from pathlib import Path

import pytest
import torch

from resight.cli import main
from resight.parsers.ce2p import CE2P
from resight.parsers.ce2p_import import our_name
from resight.parsing import load_parser


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A file by the released names, for seven classes."""
    rng = torch.Generator().manual_seed(0)
    back = {
        "context.": "layer5.",
        "decoder.coarse.": "layer6.conv1.",
        "decoder.fine.": "layer6.conv2.",
        "decoder.joined.3.": "layer6.conv3.2.",
        "decoder.joined.4.": "layer6.conv3.3.",
        "decoder.joined.": "layer6.conv3.",
        "decoder.scores.": "layer6.conv4.",
        **{f"edge.narrow.{number}.": f"edge_layer.conv{number + 1}." for number in range(3)},
        "edge.shared.": "edge_layer.conv4.",
        "edge.joined.": "edge_layer.conv5.",
        "fusion.4.": "layer7.3.",
        "fusion.": "layer7.",
        "backbone.": "",
    }
    with torch.device("meta"):
        wanted = CE2P(classes=7).state_dict()
    state = {}
    for ours, like in wanted.items():
        if ours.endswith("num_batches_tracked"):
            continue
        start = next(start for start in back if ours.startswith(start))
        name = f"module.{back[start]}{ours.removeprefix(start)}"
        assert our_name(name) == ours
        state[name] = torch.rand(like.shape, generator=rng) * 0.05
    torch.save(state, tmp_path / "lip.pth")
    return tmp_path / "lip.pth"


def test_released_weights_become_a_run_that_parses(released: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    words = [
        "import",
        "ce2p",
        str(released),
        "--out",
        str(out),
        "--labels",
        "parts7",
        "--height",
        "64",
        "--width",
        "32",
    ]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(out / "model.safetensors")
    assert "7 classes" in said.err
    model = load_parser(out)
    assert model.settings.parser == "ce2p-released"
    assert model.size == (64, 32)
    picture = torch.randint(0, 256, (90, 41, 3), dtype=torch.uint8).numpy()
    assert model.parse([picture])[0].labels.shape == (90, 41)
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_wrong_files_and_labels_leave_nothing_behind(released: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert main(["import", "ce2p", str(released), "--out", str(out)]) == 2
    assert "tells 7 classes apart, not 20" in capsys.readouterr().err
    assert main(["import", "ce2p", str(tmp_path / "none.pth"), "--out", str(out)]) == 2
    assert "There is no file" in capsys.readouterr().err
    assert not out.exists()
