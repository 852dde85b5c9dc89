"""`resight diagnose`: what a search lost, by cause, with proof."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from resight.commands.conditions import NO_PARSER, conditions_of, open_parser
from resight.commands.datasets import SetOptions
from resight.commands.diagnose_page import DOSE, compare, read_run, write_report
from resight.commands.diagnose_text import print_findings
from resight.commands.progress import bar
from resight.commands.report import stored_root
from resight.data.files import write_beside
from resight.data.part_maps import read_stamp
from resight.diagnose import tables
from resight.diagnose.conditions import Conditions
from resight.diagnose.findings import attribute
from resight.diagnose.ledger import Ledger, ledger_of
from resight.diagnose.page_charts import dose_curves, harmful_doses
from resight.diagnose.thresholds import THRESHOLDS, read_thresholds
from resight.errors import BadRecipe, DatasetNotFound
from resight.evaluate.protocols import ProtocolName
from resight.evaluate.ranking import score_features
from resight.evaluate.statistics import check_chance
from resight.report.words import Language
from resight.search.features import Features, load_features, save_features

RULES: Final = "3"
"""Raised when a rule of attribution changes: tables of different rules are not comparable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnose(SetOptions):
    """Say what a search lost and why: 1 - mAP split exactly, shared among causes, each looked at in several ways.

    Give a data set (or a features file with its pictures), or two earlier diagnoses with --compare. Without pictures
    the ledger alone is written. What cannot be estimated is said, never guessed.
    """

    x: str | None = None
    """A data set's folder, the word `sample`, or a features file (.npz)."""
    out: Path = Path("diagnosis")
    """A folder for the tables; features and measurements are kept, so that a second run goes on."""
    model: str | None = None
    """For a data set: a shipped name, a run folder or a weights file; left out, the default model."""
    parts: Path | None = None
    """For a data set: folder of part maps (`resight parts`), for a model that looks at them."""
    features: Path | None = None
    """For a data set: a features file of any toolkit, instead of a model."""
    images: Path | None = None
    """For a features file: the folder that its file names are relative to."""
    parser: str | None = None
    """For masks and hidden parts, never the judged model: a shipped parser, a run folder, a weights file or `none`;
    left out, parser-lite."""
    protocol: ProtocolName = "market"
    """Which gallery pictures a query must ignore."""
    thresholds: Path = THRESHOLDS
    """A TOML file that says when a condition counts as present."""
    against: tuple[Path, ...] = ()
    """Features files of other models on the same pictures (`resight embed`): what each would win, cause by cause."""
    compare: tuple[Path, ...] = ()
    """Two folders of earlier diagnoses: which causes did the second model mend?"""
    parquet: bool = False
    """Also write the tables as Parquet (extra `tables`)."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    seed: int = 0
    """Seed of resamples and shams."""
    language: Language = "en"
    """What the page opens in, English or Chinese; it holds both."""
    blur_heads: bool = False
    """Make the top sixth of every picture on the page unrecognisable, for publication."""


def diagnose(config: Diagnose) -> int:
    """Write the tables and print what they say."""
    from rich.console import Console

    check_chance(seed=config.seed, resamples=config.resamples)
    console = Console(highlight=False, soft_wrap=True)
    if config.compare:
        return compare(config.compare, config.out / "difference.html", console, language=config.language)
    if config.x is None:
        raise BadRecipe("`resight diagnose` needs a data set, the word `sample` or a features file; or --compare A B.")
    thresholds = read_thresholds(config.thresholds)
    others = {path.stem: load_features(path) for path in config.against}  # before minutes of embedding
    features, folders = _features(config)
    ap = score_features(features, protocol=config.protocol).ap
    ledger = ledger_of(features, protocol=config.protocol)
    conditions = None
    parser = open_parser(config.parser if folders else NO_PARSER)
    if folders:
        files = [*features.query.files.tolist(), *features.gallery.files.tolist()]
        conditions = conditions_of([folders[0] / file for file in files], files, parser, thresholds)
    curves = dose_curves(config.out / DOSE, conditions)
    found = attribute(
        features,
        ledger,
        conditions,
        protocol=config.protocol,
        rng=np.random.default_rng(config.seed),
        resamples=config.resamples,
        watch=lambda total: bar("oracles", total=total),
        harmful_doses=harmful_doses(curves, model=_named(config)),
        others=others,
    )
    written = tables.ledger_tables(ledger, ap)
    written |= tables.cause_tables(found.split, found.verdicts, found.steps, found.regression)
    written["remedies"] = tables.gains_table(found.gains)
    written["label_fixes"] = tables.suspects_table(found.suspects)
    if conditions is not None:
        written["images"] = tables.condition_table(conditions)
    for name, table in written.items():
        tables.write_table(config.out / name, table, parquet=config.parquet)
    _write_run(config, ledger, thresholds.version, conditions)
    page = config.out / "report.html"
    facts = {"model": _named(config), "protocol": config.protocol, "thresholds": f"{thresholds.version}, {RULES}"}
    write_report(
        page,
        found,
        folders,
        dataset=str(config.x),
        curves=curves,
        facts=facts,
        parse=parser[0],
        labels=parser[1],
        language=config.language,
        blur_heads=config.blur_heads,
    )
    print_findings(console, found, config.out, parsed=parser[0] is not None)
    console.print(f"Page: {page}", markup=False)
    return 0


def _named(config: Diagnose) -> str:
    from resight.model import DEFAULT_MODEL

    if config.features is not None or str(config.x).endswith(".npz"):
        return Path(str(config.features or config.x)).name
    return config.model or DEFAULT_MODEL


def _features(config: Diagnose) -> tuple[Features, list[Path]]:
    """Read or make features; and the folders that pictures may lie in, those that hold none left out."""
    path = Path(str(config.x))
    if config.parts is not None and (path.suffix == ".npz" or config.features is not None):
        raise BadRecipe("The features are there already: leave --parts out, or leave the features file out.")
    if path.suffix == ".npz":
        features = load_features(path)
        folders = [config.images] if config.images is not None else [stored_root(path), path.parent]
    elif config.features is not None:
        features = load_features(config.features)
        folders = [config.reid_set(str(config.x)).root, config.images]
    else:
        from resight.commands.embed import embed_set, open_model
        from resight.model import DEFAULT_MODEL, find_weights

        reid_set = config.reid_set(str(config.x))
        folders = [reid_set.root]
        kept = config.out / "features.npz"
        weights = hashlib.sha256(find_weights(config.model or DEFAULT_MODEL).read_bytes()).hexdigest()[:12]
        made = {"set": str(reid_set.source.absolute()), "model": str(config.model), "weights": weights}
        if config.parts is not None:
            made["parts"] = str(asdict(read_stamp(config.parts)))
        if kept.is_file() and read_run(config.out).get("made") == made:
            features = load_features(kept)
        else:
            features = embed_set(reid_set, open_model(config.model), parts=config.parts)
            save_features(kept, features, root=reid_set.root)
            _write_json(config.out / "run.json", {"made": made})
    file = str(features.query.files[0])
    there = [folder for folder in folders if folder is not None and (folder / file).is_file()]
    if config.images is not None and not there:
        raise DatasetNotFound(f"--images {config.images} does not hold {file}; name the folder of the file names.")
    return features, there


def _write_run(config: Diagnose, ledger: Ledger, thresholds: str, conditions: Conditions | None) -> None:
    from resight.train.resources import surroundings

    facts = {
        "made": read_run(config.out).get("made"),
        "x": config.x,
        "model": config.model,
        "protocol": config.protocol,
        "rules": RULES,
        "thresholds": thresholds,
        "mask": None if conditions is None else conditions.mask,
        "seed": config.seed,
        "resamples": config.resamples,
        "mean_ap": 1 - ledger.loss,
        "answered": ledger.answered,
        **surroundings(),
    }
    _write_json(config.out / "run.json", facts)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with write_beside(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
