"""What rendered people teach about real ones: trained on them alone, tested on Market-1501, beside untrained rivals.

    python benchmarks/people_transfer.py render --work ~/transfer                  # pictures of every trained row
    python benchmarks/people_transfer.py train --work ~/transfer people-400
    python benchmarks/people_transfer.py validate ~/market1501 --work ~/transfer   # 100 training persons: choose here
    python benchmarks/people_transfer.py score ~/market1501 --work ~/transfer people-400 histogram imagenet

Every step goes on where it was killed and skips what is done. Each row and seed has a file of its own,
results/people_transfer_ROW_{validation,official}.json (ROW-seed2 and so on for other seeds). `score` touches the
official test split, once a row, and logs it in results/official_scorings.jsonl.

Rows of 100, 400 and 1,600 persons see about as many pictures in training, so fewer persons are seen more often. Two
rows switch off a kind of variety. `people-1600-more` goes on from `people-1600` by the recipe `rendered-lite-more`.
`render` draws the largest row first; smaller ones are its first persons.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rivals
import torch
from official import LOG, RESULTS, log_scoring, official_set, refuse_twice, scored, write_result

from resight.commands.embed import embed_set, embed_sides
from resight.commands.progress import bar
from resight.data.reid_sets import find_set
from resight.model import Embedded, load_model
from resight.nn.backbones import imagenet_weights
from resight.people.causes import UNITS
from resight.people.plan import Plan
from resight.people.write import NOTES, write_people
from resight.search.features import Features
from resight.train.pictures import query_per_camera, split_persons
from resight.train.resources import surroundings

RECIPE: Final = "rendered-lite"
SECOND_CYCLE: Final = "rendered-lite-more"
VALIDATION_PERSONS: Final = 100
EPOCHS_OF_400: Final = 16


class Rival:
    """Something that embeds picture files without training on people."""

    def __init__(self, embed: Callable[..., np.ndarray], digest: str) -> None:
        self.embed, self.digest = embed, digest
        self.needs_maps = False

    def embed_files(self, paths: Sequence[Path], *, told: Callable[[int], None], maps: object = None) -> Embedded:
        """Embed picture files as a model does."""
        return Embedded(self.embed(paths, told=told))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    says: str
    persons: int = 0
    """Rendered persons that it learns from; 0 for a rival that needs no training."""
    plain: tuple[str, ...] = ()
    """Kinds of variety that are switched off."""
    after: str = ""
    """Row of the same people that a second cycle goes on from."""

    @property
    def epochs(self) -> int:
        """Passes over its pictures, so that every row sees about as many."""
        return max(1, round(EPOCHS_OF_400 * 400 / self.persons))

    def plan(self) -> Plan:
        """What is drawn for it."""
        return Plan(
            persons=self.persons,
            cameras=12,
            pictures=1,
            seed=1,
            causes=tuple(UNITS),
            cause_share=0.25,
            train_share=1.0,
            plain=self.plain,
        )


ROWS: Final[dict[str, Row]] = {
    "histogram": Row("colour histograms in stripes, no training"),
    "imagenet": Row("ImageNet features, no training on people"),
    "people-100": Row("100 rendered persons", 100),
    "people-400": Row("400 rendered persons", 400),
    "people-1600": Row("1,600 rendered persons", 1600),
    "people-1600-more": Row("1,600 rendered persons, a second cycle", 1600, after="people-1600"),
    "people-400-one-camera": Row("400, every camera like the first", 400, ("cameras",)),
    "people-400-plain-cloth": Row("400, cloth of one colour", 400, ("cloth",)),
}


# ---- pictures --------------------------------------------------------------------------------------------------------


def render(names: Sequence[str], work: Path, workers: int) -> None:
    """Draw the rows' people, most persons first; a row that a larger one holds is linked, not drawn."""
    for name in sorted((name for name in names if not ROWS[name].after), key=lambda name: -ROWS[name].persons):
        row, folder = ROWS[name], work / "data" / name
        if is_drawn(folder):
            continue
        larger = [
            work / "data" / other
            for other, one in ROWS.items()
            if one.plain == row.plain and one.persons > row.persons and is_drawn(work / "data" / other)
        ]
        print(f"{name}: {'linked from ' + larger[0].name if larger else 'drawing'}", file=sys.stderr)
        if larger:
            link_first(larger[0], folder, row.persons)
        else:
            with bar(name, total=None) as told:
                write_people(folder, row.plan(), workers=workers, told=told)


def is_drawn(folder: Path) -> bool:
    """Whether a row's pictures are whole."""
    return (folder / "people.csv").exists() and not (folder / NOTES).exists()


def link_first(larger: Path, folder: Path, persons: int) -> None:
    """Make `folder` hold the training pictures of the first persons of a larger set, as further names of its files."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for split in ("bounding_box_train", "query", "bounding_box_test"):
        (partial / split).mkdir(parents=True)
    for path in sorted((larger / "bounding_box_train").glob("*.jpg")):
        if int(path.name[:4]) <= persons:
            (partial / "bounding_box_train" / path.name).hardlink_to(path)
    lines = (larger / "people.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines[1:] if int(Path(line.split(",", 1)[0]).name[:4]) <= persons]
    (partial / "people.csv").write_text("".join([lines[0], *kept]), encoding="utf-8")
    (partial / "plan.json").write_text((larger / "plan.json").read_text(encoding="utf-8"), encoding="utf-8")
    partial.rename(folder)


# ---- training --------------------------------------------------------------------------------------------------------


def run_folder(work: Path, name: str, seed: int) -> Path:
    """Where a row's run of one seed lies."""
    return work / "runs" / labelled(name, seed)


def labelled(name: str, seed: int) -> str:
    """A row's name in files; seed 1 has none, and rivals know no seed."""
    return name if seed == 1 or not ROWS[name].persons else f"{name}-seed{seed}"


def train(names: Sequence[str], work: Path, *, seed: int, threads: int, recipe: str) -> None:
    """Train the rows one after the other through the command line; a run that was killed goes on."""
    for name in names:
        out = run_folder(work, name, seed)
        if (out / "run.json").exists():
            continue
        row = ROWS[name]
        words = ["train", "embedder", "--data", str(work / "data" / (row.after or name)), "--out", str(out)]
        words += ["--seed", str(seed), "--threads", str(threads)]
        if row.after:
            before = run_folder(work, row.after, seed)
            words += ["--recipe", SECOND_CYCLE, "--set", f'backbone-weights="{before / "model.safetensors"}"']
        else:
            words += ["--recipe", recipe, "--epochs", str(row.epochs)]
        subprocess.run([sys.executable, "-m", "resight", *words], check=True, env=dict(os.environ))


# ---- scores ----------------------------------------------------------------------------------------------------------


def embedder(name: str, work: Path, seed: int) -> tuple[Any, str, dict[str, Any]]:
    """What embeds for a row, the SHA-256 of what decides its answers, and what else the result should say."""
    if name == "histogram":
        code = hashlib.sha256(inspect.getsource(rivals).encode()).hexdigest()
        return Rival(rivals.colour_histograms, code), code, {}
    if name == "imagenet":
        model = rivals.imagenet_model()
        digest = hashlib.sha256(repr(model.settings).encode())
        for key, value in sorted(imagenet_weights(model.settings.backbone).items()):
            digest.update(key.encode() + value.numpy().tobytes())
        return model, digest.hexdigest(), {}
    row, run = ROWS[name], run_folder(work, name, seed)
    weights = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    plan = json.loads((work / "data" / (row.after or name) / "plan.json").read_text(encoding="utf-8"))
    recipe = (run / "config.toml").read_text(encoding="utf-8")
    facts = {
        "run": json.loads((run / "run.json").read_text(encoding="utf-8")),
        "plan": {**plan, "persons": row.persons},
        "recipe_sha256": hashlib.sha256(recipe.encode()).hexdigest(),
        "epochs": sum(stage["epochs"] for stage in tomllib.loads(recipe)["stages"]),
    }
    return load_model(run), weights, facts


def ready(names: Sequence[str], work: Path, seed: int) -> Iterator[str]:
    """Rows that can be scored; says which are not."""
    for name in names:
        if ROWS[name].persons and not (run_folder(work, name, seed) / "run.json").exists():
            print(f"{name}: not trained yet, skipped", file=sys.stderr)
        else:
            yield name


def result_of(name: str, features: Features, digest: str, facts: dict[str, Any], seed: int) -> dict[str, Any]:
    """One row's result file."""
    return {
        **scored(features),
        "row": name,
        "says": ROWS[name].says,
        "model": f"people_transfer: {labelled(name, seed)}",
        "weights_sha256": digest,
        "seed": seed if ROWS[name].persons else None,
        **facts,
        **surroundings(),
    }


def validate(names: Sequence[str], data: Path, work: Path, *, seed: int, anew: bool) -> None:
    """Score rows on the 100 highest-numbered training persons of Market-1501; no test picture is opened."""
    reid_set = find_set(data)
    _, held_out = split_persons(list(reid_set.crops("train")), VALIDATION_PERSONS)
    query, gallery = query_per_camera(held_out)
    for name in ready(names, work, seed):
        file = f"people_transfer_{labelled(name, seed)}_validation"
        using, digest, facts = embedder(name, work, seed)
        path = RESULTS / f"{file}.json"
        if not anew and path.exists() and json.loads(path.read_text())["weights_sha256"] == digest:
            continue
        features = embed_sides(query, gallery, using, root=reid_set.root)
        protocol = f"{VALIDATION_PERSONS} highest-numbered training persons; first picture per camera is the query"
        result = {"protocol": protocol, **result_of(name, features, digest, facts, seed)}
        write_result(file, result)
        print(f"{name}: mAP {result['mean_ap']:.1%}, Rank-1 {result['cmc'][0]:.1%} on validation persons")


def score(names: Sequence[str], data: Path, work: Path, *, seed: int, again: str | None) -> None:
    """Score rows once on the official test split."""
    if not names:
        sys.exit("Name the rows to score: the test split is for what was chosen before.")
    reid_set = official_set(data)
    for name in ready(names, work, seed):
        using, digest, facts = embedder(name, work, seed)
        refuse_twice(digest, again)
        features = embed_set(reid_set, using)
        protocol = {"protocol": "Market-1501, single query, no re-ranking"}
        result = protocol | result_of(name, features, digest, facts, seed)
        write_result(f"people_transfer_{labelled(name, seed)}_official", result)
        log_scoring(result, again)
        print(f"{name}: mAP {result['mean_ap']:.1%}, Rank-1 {result['cmc'][0]:.1%}; logged in {LOG.name}")


def main() -> None:
    """Run one step."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = words.add_subparsers(dest="step", required=True)
    for step in ("render", "train", "validate", "score"):
        one = steps.add_parser(step)
        if step in ("validate", "score"):
            one.add_argument("data", type=Path, help="Market-1501")
        one.add_argument("rows", nargs="*", metavar="ROW", help=f"all that fit when left out: {', '.join(ROWS)}")
        one.add_argument("--work", type=Path, required=True, help="folder for pictures and runs")
        one.add_argument("--seed", type=int, default=1, help="of training")
        one.add_argument("--threads", type=int, default=os.cpu_count() or 1)
        one.add_argument("--recipe", default=RECIPE, help="a shipped recipe or a TOML file")
        one.add_argument("--anew", action="store_true", help="validate again what was validated")
        one.add_argument("--again", metavar="REASON", help="why the same weights are scored again")
    wanted = words.parse_args()
    if unknown := set(wanted.rows) - set(ROWS):
        sys.exit(f"There are no rows {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}.")
    trained = [name for name in wanted.rows or ROWS if ROWS[name].persons]
    torch.set_num_threads(wanted.threads)
    if wanted.step == "render":
        render(trained, wanted.work, wanted.threads)
    elif wanted.step == "train":
        train(trained, wanted.work, seed=wanted.seed, threads=wanted.threads, recipe=wanted.recipe)
    elif wanted.step == "validate":
        validate(wanted.rows or list(ROWS), wanted.data, wanted.work, seed=wanted.seed, anew=wanted.anew)
    else:
        score(wanted.rows, wanted.data, wanted.work, seed=wanted.seed, again=wanted.again)


if __name__ == "__main__":
    main()
