"""How a parser's answer becomes a map: enlarged as it was in training, shifted nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from resight.data.augment import normalise
from resight.nn.answers import largest
from resight.parsing import PARSERS, ParserModel, ParserSettings, build_parser, load_parser, save_parser

SMALL = {"labels": "parts7", "height": 64, "width": 32}
BACKBONES = {"ce2p": "resnet18", "lite": ""}


def model_of(parser: str) -> ParserModel:
    torch.manual_seed(0)
    settings = ParserSettings(parser=parser, **SMALL, backbone=BACKBONES[parser])
    network = build_parser(parser, classes=7, backbone=BACKBONES[parser]).eval()
    for layer in network.modules():  # scores of an untrained network lie close together
        if isinstance(layer, torch.nn.Conv2d) and layer.out_channels in (7, 8):  # parser-lite's also finds others
            torch.nn.init.normal_(layer.weight, std=3.0)
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
    return ParserModel(network, settings, torch.device("cpu"))


@pytest.mark.parametrize(("parser", "aligned"), [("ce2p", True), ("lite", False)])
def test_answers_are_enlarged_as_in_training(parser: str, aligned: bool) -> None:
    """CE2P learns with aligned corners and parser-lite without; enlarged the other way, maps lose their borders."""
    model = model_of(parser)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        grid = model.network(normalise(torch.from_numpy(pixels[None]))).logits.softmax(1)

        def enlarged(corners: bool) -> np.ndarray:
            return F.interpolate(grid, (64, 32), mode="bilinear", align_corners=corners).argmax(1)[0].numpy()

    [found] = model.parse([pixels])
    right, wrong = (float((found.labels == enlarged(corners)).mean()) for corners in (aligned, not aligned))
    assert right > 0.999 > 0.998 > wrong


def test_every_parser_says_how_its_answer_is_enlarged() -> None:
    aligned = {
        name: ParserModel(torch.nn.Identity(), ParserSettings(parser=name, **SMALL), torch.device("cpu")).aligned
        for name in PARSERS
    }
    assert aligned == {
        **{"lite": False, "cocnn": False, "cocnn-superpixels": False},  # learnt at the picture's own size, or unaligned
        **{"ce2p": True, "ce2p-released": True, "attention-ssl": True},
    }


@pytest.mark.parametrize("through", [None, (64, 32)])
@pytest.mark.parametrize("size", [(64, 32), (63, 31), (128, 64), (97, 45), (1, 1)])
def test_enlarging_shifts_nothing_at_even_and_odd_sizes(size: tuple[int, int], through: tuple[int, int] | None) -> None:
    """Centres once stored as whole numbers moved every map by half a pixel."""
    found = torch.randn(1, 5, 16, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    turned = largest(found.flip(2, 3), size, through=through)[0, ::-1, ::-1]
    assert (turned == largest(found, size, through=through)[0]).mean() > 0.999


def test_a_parser_for_other_classes_is_one_sentence_with_both_numbers(tmp_path: Path) -> None:
    settings = ParserSettings(parser="lite", **{**SMALL, "labels": "lip20"})
    save_parser(tmp_path / "seven.safetensors", build_parser("lite", classes=7).state_dict(), settings)
    with pytest.raises(Exception, match=r"seven\.safetensors does not fit a lite of lip20") as caught:
        load_parser(tmp_path / "seven.safetensors")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_every_trap_of_the_page_has_its_test() -> None:
    tests = Path(__file__).parent
    named = re.findall(r"`(\S+\.py)::(test_\w+)`", (tests.parent / "docs" / "parsing_traps.md").read_text("utf-8"))
    assert len(named) > 40
    for file, name in named:
        assert f"def {name}(" in (tests / file).read_text("utf-8"), f"{file} has no {name}"
