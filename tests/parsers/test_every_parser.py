"""Laws of all published parsers: they learn from sets of labels and in bf16, and keep their answers when saved."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from resight.data.labels import find_labels
from resight.losses import pixel_cross_entropy, set_loss
from resight.nn.parsing import Parsing
from resight.parsers.attention_ssl import AttentionSSL, attention_ssl_objective
from resight.parsers.ce2p import CE2P, ce2p_objective
from resight.parsers.cocnn import CoCNN, cocnn_objective
from resight.types import IGNORE

CLASSES = find_labels("parts8").classes
K = len(CLASSES)
SIZE = (48, 24)
Objective = Callable[..., dict[str, Tensor]]
PARSERS: dict[str, tuple[Callable[[], nn.Module], Objective]] = {
    "ce2p": (lambda: CE2P(classes=K, backbone="resnet18"), ce2p_objective),
    "attention-ssl": (
        lambda: AttentionSSL(classes=K),
        functools.partial(attention_ssl_objective, classes=CLASSES),
    ),
    "cocnn": (lambda: CoCNN(classes=K, height=SIZE[0], width=SIZE[1]), cocnn_objective),
}


@pytest.fixture(scope="module", params=PARSERS)
def parser(request: pytest.FixtureRequest) -> tuple[nn.Module, Objective]:
    torch.manual_seed(0)
    build, objective = PARSERS[request.param]
    return build(), objective


def labels_and_sets() -> tuple[Tensor, Tensor]:
    """Labels of which the first K stand for a class and one for two of them; some are ignored."""
    rng = torch.Generator().manual_seed(0)
    sets = torch.cat([torch.eye(K, dtype=torch.bool), torch.zeros(1, K, dtype=torch.bool)])
    sets[K, 4:6] = True
    labels = torch.randint(0, K + 1, (2, 6, 3), generator=rng, dtype=torch.uint8)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    labels[0, :8] = IGNORE
    return labels, sets


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(tuple(losses.values())).sum()


def test_labels_may_stand_for_sets_of_classes(parser: tuple[nn.Module, Objective]) -> None:
    network, objective = parser
    labels, sets = labels_and_sets()
    found = network.eval()(torch.randn(2, 3, *SIZE))
    loss = total(objective(found, labels, pixel_loss=lambda scores, values: set_loss(scores, values, sets)))
    assert torch.isfinite(loss)
    assert loss.item() > 0


def test_a_set_of_one_class_is_cross_entropy(parser: tuple[nn.Module, Objective]) -> None:
    network, objective = parser
    labels, sets = labels_and_sets()
    labels[labels == K] = 4
    found = network.eval()(torch.randn(2, 3, *SIZE))
    by_sets = objective(found, labels, pixel_loss=lambda scores, values: set_loss(scores, values, sets))
    plain = objective(found, labels, pixel_loss=pixel_cross_entropy)
    assert by_sets.keys() == plain.keys()
    for name, loss in plain.items():
        torch.testing.assert_close(by_sets[name], loss)


def test_ignored_pixels_teach_nothing(parser: tuple[nn.Module, Objective]) -> None:
    """Scores at the ignored rows, well away from the others, may be anything."""
    network, objective = parser
    found = network.eval()(torch.randn(2, 3, *SIZE))
    labels = torch.full((2, *SIZE), IGNORE)
    labels[:, 24:] = 1
    labels[:, 24:, 8:] = 2

    def changed(scores: Tensor) -> Tensor:
        top = scores.clone()
        top[:, :, : scores.shape[2] // 3] = torch.randn_like(top[:, :, : scores.shape[2] // 3])
        return top

    other = Parsing(
        logits=changed(found.logits),
        side=tuple(changed(side) for side in found.side),
        edge=None if found.edge is None else changed(found.edge),
        image_classes=found.image_classes,
    )
    before = objective(found, labels, pixel_loss=pixel_cross_entropy)
    for name, loss in objective(other, labels, pixel_loss=pixel_cross_entropy).items():
        torch.testing.assert_close(loss, before[name])


def test_bf16_learns_and_its_losses_are_fp32(parser: tuple[nn.Module, Objective]) -> None:
    network, objective = parser
    labels, _ = labels_and_sets()
    labels[labels == K] = 0
    with torch.autocast("cpu", torch.bfloat16):
        losses = objective(network.train()(torch.randn(2, 3, *SIZE)), labels, pixel_loss=pixel_cross_entropy)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    total(losses).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_channels_last_changes_no_answer(parser: tuple[nn.Module, Objective]) -> None:
    network, _ = parser
    images = torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        plain = network.eval()(images).logits
        last = network.to(memory_format=torch.channels_last)(
            images.contiguous(memory_format=torch.channels_last)
        ).logits
    torch.testing.assert_close(last, plain, rtol=1e-3, atol=1e-3)


def test_weights_survive_saving(parser: tuple[nn.Module, Objective], request: pytest.FixtureRequest) -> None:
    network, _ = parser
    held = io.BytesIO()
    torch.save(network.state_dict(), held)
    held.seek(0)
    build, _ = PARSERS[request.node.callspec.params["parser"]]
    again = build()
    again.load_state_dict(torch.load(held, weights_only=True))
    images = torch.randn(1, 3, *SIZE)
    with torch.inference_mode():
        after, before = again.eval()(images).logits, network.eval()(images).logits
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)  # memory layouts may differ
