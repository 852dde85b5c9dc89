"""Teach parser-lite's last layers by eye-made labels: who else shows, and whether something hides a part.

    python scripts/teach_by_eye.py runs/parser --people PEOPLE --market ~/market1501 --out runs/parser-taught

Nothing else of the parser changes. `--market` holds `outlines/` and `labels.csv` beside its training pictures
(benchmarks/labels/market1501-train.csv; `unsure` teaches nothing). Persons kept for choices teach nothing. Labels of
queries (market1501-queries.csv) are never read here; `resight label --check` compares with them.
Company: its head learns anew on frozen maps, by batches as in training: labelled crops, people pasted into crops, and
rendered people. Hidden: what hides people on streets (bicycles, rails, umbrellas, bags) is in no picture whose truth
is exact, so the layer is fitted to the labels and, with a small weight, to rendered people (hidden from HIDDEN on):
linear, a logistic regression with a ridge, yes and no weighing the same.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float

from resight.config import load_toml
from resight.data.augment import normalise
from resight.data.images import read_picture, resize
from resight.data.label_sets import find_labels
from resight.data.parsing_sets import find_parsing_set
from resight.data.parsing_targets import table_for
from resight.parsers.lite import Company, Hides, fields
from resight.parsers.lite_losses import HIDDEN
from resight.parsing import ParserModel, load_parser, save_parser
from resight.train.loop import WeightAverage, cosine_with_warmup
from resight.train.parser_recipe import ParserRecipe, Shares
from resight.train.parsing_pictures import load_parsing_set
from resight.train.parsing_sources import find_source

RIDGE: Final = 0.03
OF_PEOPLE: Final = 0.05
"""Weight of all rendered people together beside that of all labelled pictures."""
PEOPLE: Final = 1500
BATCH: Final = 32
RATE: Final = 2e-3
SHARES: Final = Shares(rendered=0.25, market=1.0)
"""Of the batches that teach company."""


def teach_company(model: ParserModel, recipe: ParserRecipe, roots: list[Path], *, steps: int) -> Company:
    """Train a new head for company on the frozen maps of the network; returns its moving average."""
    torch.manual_seed(recipe.seed)
    network: Any = model.network
    head = Company(network.head.context.whole.out_features, network.head.up2[0].in_channels).train()
    sources = [find_source(root) for root in roots]
    recipe = replace(recipe, shares=SHARES, steps=steps, batch=BATCH)
    table = table_for([source.source for source in sources], find_labels(recipe.labels))
    data = load_parsing_set(sources, table, recipe)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.05)
    average = WeightAverage(head, decay=0.99)
    batches = data.batches(recipe, range(1, steps + 1), process=0, processes=1, device=model.device)
    for step, (images, truth) in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * cosine_with_warmup(step, steps=steps, warmup=30, last=0.02)
        with torch.no_grad():
            context, _, fine, _ = network.head.decode(network.backbone(images))
        told = truth.company.isfinite()
        loss = F.binary_cross_entropy_with_logits(head(context, fine)[told], truth.company[told])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(head, step)
        if step % 50 == 0:
            print(f"company: step {step} of {steps}, loss {loss.item():.3f}", file=sys.stderr, flush=True)
    head.load_state_dict(average.values)
    return head.eval()


def seen(model: ParserModel, paths: list[Path]) -> Float[np.ndarray, "N E"]:
    """What the layer of what is hidden looks at, for each picture."""
    network: Any = model.network
    rows = []
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            pixels = np.stack([resize(read_picture(path), *model.size) for path in paths[start : start + BATCH]])
            context, _ = network.head.context(network.backbone(normalise(torch.from_numpy(pixels)))[-1])
            rows.append(fields(context).double().numpy())
    return np.concatenate(rows)


def fitted(
    rows: Float[np.ndarray, "N E"], hidden: Bool[np.ndarray, " N"], weights: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " E"], float]:
    """Weights and bias of the logistic regression on rows as they are; the ridge is on standardised ones."""
    from scipy.optimize import minimize

    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    inputs = torch.from_numpy(np.c_[(rows - mean) / spread, np.ones(len(rows))])
    sign, share = torch.from_numpy(np.where(hidden, 1.0, -1.0)), torch.from_numpy(weights / weights.sum())

    def loss(values: Float[np.ndarray, " F"]) -> tuple[float, Float[np.ndarray, " F"]]:
        layer = torch.from_numpy(values).requires_grad_()
        wrong = (share * torch.nn.functional.softplus(-sign * (inputs @ layer))).sum()
        whole = wrong + RIDGE / 2 * layer[:-1].square().sum()
        whole.backward()
        assert layer.grad is not None
        return float(whole.detach()), layer.grad.numpy()

    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    layer = found[:-1] / spread
    return layer, float(found[-1] - layer @ mean)


def evenly(hidden: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Weights that sum to 1, yes and no half each."""
    return np.where(hidden, 0.5 / max(hidden.sum(), 1), 0.5 / max((~hidden).sum(), 1))


def teach_hidden(model: ParserModel, people: Path, market: Path) -> Hides:
    """Fit the layer of what is hidden to labelled crops and rendered people."""
    labelled = [one for one in find_parsing_set(market).pictures("train") if np.isfinite(one.hidden)]
    records = [one for one in find_parsing_set(people).pictures("train") if np.isfinite(one.hidden)]
    records = [one for one in records if one.hidden < HIDDEN[0] or one.hidden > HIDDEN[1]]
    drawn = np.random.default_rng(0).permutation(len(records))[:PEOPLE]
    chosen = [records[row] for row in sorted(drawn.tolist())]
    by_eye, rendered = (np.array([one.hidden > HIDDEN[1] for one in some]) for some in (labelled, chosen))
    weights = np.concatenate([evenly(by_eye), OF_PEOPLE * evenly(rendered)])
    inputs = seen(model, [one.picture for one in (*labelled, *chosen)])
    layer, bias = fitted(inputs, np.concatenate([by_eye, rendered]), weights)
    network: Any = model.network
    hides = Hides(network.head.context.whole.out_features)
    with torch.no_grad():
        hides.look.weight.copy_(torch.from_numpy(layer[None]))
        hides.look.bias.fill_(bias)
    told = f"{by_eye.sum()} of {len(by_eye)} labelled pictures, {rendered.sum()} of {len(rendered)} people"
    print(f"hidden: {told}", file=sys.stderr)
    return hides


def main() -> None:
    """Teach both and write the weights as a run of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of parser-lite")
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--market", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600, help="that teach company")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_parser(options.run)
    recipe = load_toml(ParserRecipe, options.run / "config.toml")
    network: Any = model.network
    network.head.company = teach_company(model, recipe, [options.people, options.market], steps=options.steps)
    network.head.hides = teach_hidden(model, options.people, options.market)
    options.out.mkdir(parents=True, exist_ok=True)
    save_parser(options.out / "model.safetensors", network.state_dict(), model.settings)
    for name in ("config.toml", "run.json"):
        shutil.copyfile(options.run / name, options.out / name)
    print(options.out / "model.safetensors")


if __name__ == "__main__":
    main()
