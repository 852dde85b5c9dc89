from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.data.augment import normalise
from resight.errors import BadWeights
from resight.parsers.ce2p import CE2P
from resight.parsers.ce2p_import import convert_ce2p, our_name, read_released

CLASSES = 20


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    """Weights by the released names: a quarter of the norms' weights negative, some zero, all statistics off."""
    rng = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}

    def conv(name: str, inputs: int, outputs: int, kernel: int, *, bias: bool = False) -> None:
        spread = (2 / (inputs * kernel * kernel)) ** 0.5
        state[f"module.{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=rng) * spread
        if bias:
            state[f"module.{name}.bias"] = torch.randn(outputs, generator=rng)

    def norm(name: str, channels: int) -> None:
        weight = 0.5 + torch.rand(channels, generator=rng)
        weight[::4] *= -1
        weight[1::7] = 0
        state[f"module.{name}.weight"] = weight
        state[f"module.{name}.bias"] = 0.1 * torch.randn(channels, generator=rng)
        state[f"module.{name}.running_mean"] = 0.1 * torch.randn(channels, generator=rng)
        state[f"module.{name}.running_var"] = 0.5 + torch.rand(channels, generator=rng)

    for number, (inputs, outputs) in enumerate(((3, 64), (64, 64), (64, 128)), start=1):
        conv(f"conv{number}", inputs, outputs, 3)
        norm(f"bn{number}", outputs)
    inputs = 128
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (23, 256), (3, 512)), start=1):
        for block in range(blocks):
            here = f"layer{stage}.{block}"
            conv(f"{here}.conv1", inputs, width, 1)
            norm(f"{here}.bn1", width)
            conv(f"{here}.conv2", width, width, 3)
            norm(f"{here}.bn2", width)
            conv(f"{here}.conv3", width, 4 * width, 1)
            norm(f"{here}.bn3", 4 * width)
            state[f"module.{here}.bn3.weight"] *= 0.2  # so that 33 sums stay small
            if block == 0:
                conv(f"{here}.downsample.0", inputs, 4 * width, 1)
                norm(f"{here}.downsample.1", 4 * width)
            inputs = 4 * width
    for name, channels, outputs, kernel in (
        *((f"layer5.stages.{number}.1", 2048, 512, 1) for number in range(4)),
        ("layer5.bottleneck.0", 4096, 512, 3),
        ("layer6.conv1.0", 512, 256, 1),
        ("layer6.conv2.0", 256, 48, 1),
        ("layer6.conv3.0", 304, 256, 1),
        ("layer6.conv3.2", 256, 256, 1),
        *((f"edge_layer.conv{number}.0", 128 * 2**number, 256, 1) for number in (1, 2, 3)),
        ("layer7.0", 1024, 256, 1),
    ):
        conv(name, channels, outputs, kernel)
        place, last = name.rsplit(".", 1)
        norm(f"{place}.{int(last) + 1}", outputs)
    conv("layer6.conv4", 256, CLASSES, 1, bias=True)
    conv("edge_layer.conv4", 256, 2, 3, bias=True)
    conv("edge_layer.conv5", 6, 2, 1, bias=True)
    conv("layer7.3", 256, CLASSES, 1, bias=True)
    return state


def slow_released(state: dict[str, Tensor], images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The released network written out by its names: first parsing, final parsing, edge."""
    get = {name.removeprefix("module."): value for name, value in state.items()}

    def conv(x: Tensor, name: str, *, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = get[f"{name}.weight"]
        pad = dilation * (weight.shape[2] // 2)
        return F.conv2d(x, weight, get.get(f"{name}.bias"), stride, pad, dilation)

    def norm(x: Tensor, name: str, slope: float) -> Tensor:
        """In-place norm: (x - mean) / sqrt(var + eps) * (|weight| + eps) + bias, then a leak (1: none, 0: ReLU)."""
        mean, var, weight, bias = (
            get[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        y = (x - mean) / (var + 1e-5).sqrt() * (weight.abs() + 1e-5) + bias
        return torch.where(y >= 0, y, slope * y)

    def head(x: Tensor, name: str, first: int = 0) -> Tensor:
        return norm(conv(x, f"{name}.{first}"), f"{name}.{first + 1}", 0.01)

    def block(x: Tensor, name: str, stride: int, dilation: int) -> Tensor:
        y = norm(conv(x, f"{name}.conv1"), f"{name}.bn1", 0)
        y = norm(conv(y, f"{name}.conv2", stride=stride, dilation=dilation), f"{name}.bn2", 0)
        y = norm(conv(y, f"{name}.conv3"), f"{name}.bn3", 1)
        if f"{name}.downsample.0.weight" in get:
            x = norm(conv(x, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1", 1)
        return (x + y).clamp_min(0)

    def up(x: Tensor, like: Tensor, aligned: bool = True) -> Tensor:
        return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=aligned)

    x = norm(conv(images, "conv1", stride=2), "bn1", 0)
    x = norm(conv(x, "conv2"), "bn2", 0)
    x = norm(conv(x, "conv3"), "bn3", 0)
    x = F.max_pool2d(x, 3, 2, 1)
    stages = []
    for stage, (blocks, stride, dilation) in enumerate(((3, 1, 1), (4, 2, 1), (23, 2, 1), (3, 1, 2)), start=1):
        for number in range(blocks):
            x = block(x, f"layer{stage}.{number}", stride if number == 0 else 1, dilation)
        stages.append(x)
    seen = [
        up(head(F.adaptive_avg_pool2d(x, size), f"layer5.stages.{number}", 1), x)
        for number, size in enumerate((1, 2, 3, 6))
    ]
    context = head(torch.cat([*seen, x], 1), "layer5.bottleneck")
    fine = stages[0]
    joined = torch.cat([up(head(context, "layer6.conv1"), fine, aligned=False), head(fine, "layer6.conv2")], 1)
    features = head(head(joined, "layer6.conv3"), "layer6.conv3", 2)
    first = conv(features, "layer6.conv4")
    narrow = [head(stages[number - 1], f"edge_layer.conv{number}") for number in (1, 2, 3)]
    edge = conv(torch.cat([up(conv(maps, "edge_layer.conv4"), fine) for maps in narrow], 1), "edge_layer.conv5")
    fused = head(torch.cat([features, *(up(maps, fine) for maps in narrow)], 1), "layer7")
    return first, conv(fused, "layer7.3"), edge


def test_imported_weights_answer_as_the_released_network(released: dict[str, Tensor]) -> None:
    pictures = torch.randint(0, 256, (2, 65, 41, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network = CE2P(classes=CLASSES, published=True).eval()
    network.load_state_dict(convert_ce2p(released, classes=CLASSES))
    blue_first = pictures.flip(3).permute(0, 3, 1, 2).float() / 255  # as OpenCV reads, under ImageNet's RGB statistics
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        found = network(normalise(pictures))
        first, final, edge = slow_released(released, (blue_first - mean[:, None, None]) / spread[:, None, None])
    for ours, theirs in ((found.side[0], first), (found.logits, final), (found.edge, edge)):
        assert ours is not None
        assert theirs.std() > 0.1
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_plain_batch_norm_would_not_do(released: dict[str, Tensor]) -> None:
    state = convert_ce2p(released, classes=CLASSES)
    weight = released["module.layer1.0.bn1.weight"]
    assert (weight < 0).any()
    torch.testing.assert_close(state["backbone.layer1.0.bn1.weight"], weight.abs() + 1e-5)
    assert (state["backbone.layer1.0.bn1.weight"] > 0).all()
    torch.testing.assert_close(state["backbone.layer1.0.conv1.weight"], released["module.layer1.0.conv1.weight"])


def test_every_name_is_used_once(released: dict[str, Tensor]) -> None:
    ours = [our_name(name) for name in released]
    assert len(set(ours)) == len(released)
    assert our_name("module.conv1.weight") == our_name("conv1.weight") == "backbone.conv1.weight"
    assert our_name("module.head.weight") is None


def test_a_file_is_read_with_or_without_its_wrapper(released: dict[str, Tensor], tmp_path: Path) -> None:
    few = dict(list(released.items())[:3])
    torch.save(few, tmp_path / "plain.pth")
    torch.save({"epoch": 3, "state_dict": few}, tmp_path / "wrapped.pth.tar")
    torch.save(few, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("plain.pth", "wrapped.pth.tar", "old.pth"):
        assert read_released(tmp_path / name).keys() == few.keys()


def test_another_number_of_classes_is_refused(released: dict[str, Tensor]) -> None:
    with pytest.raises(BadWeights, match=r"ce2p\.pth tells 20 classes apart, not 7"):
        convert_ce2p(released, classes=7, name="ce2p.pth")


def test_another_networks_weights_are_refused_with_what_was_seen(released: dict[str, Tensor]) -> None:
    stranger = {"fc.weight": torch.zeros(1000, 512)}
    with pytest.raises(BadWeights, match=r"weights are missing .* 1 belong to no part of it \(fc.weight\)"):
        convert_ce2p(stranger, classes=20)
    short = {name: value for name, value in released.items() if "edge_layer" not in name}
    with pytest.raises(BadWeights, match="weights are missing"):
        convert_ce2p(short, classes=20)
    other = released | {"module.layer1.0.conv2.weight": torch.zeros(64, 64, 1, 1)}
    with pytest.raises(BadWeights, match=r"another shape .* expected \(64, 64, 3, 3\)"):
        convert_ce2p(other, classes=20)
    damaged = released | {"module.bn1.bias": torch.full((64,), torch.nan)}
    with pytest.raises(BadWeights, match=r"not finite, first backbone\.bn1\.bias"):
        convert_ce2p(damaged, classes=20)


@pytest.mark.parametrize("name", ["missing.pth", "text.pth", "empty.pth", "list.pth", "text.safetensors"])
def test_a_file_that_holds_no_weights_is_one_clear_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("text"):
        path.write_text("not weights")
    elif name == "empty.pth":
        path.touch()
    elif name == "list.pth":
        torch.save([1, 2, 3], path)
    with pytest.raises(BadWeights, match=name):
        read_released(path)
