"""`resight diagnose`: what a search lost, by cause, with proof."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from resight.commands.conditions import NO_PARSER, conditions_of, open_parser
from resight.commands.datasets import SetOptions
from resight.commands.diagnose_fixes import FIXES, fixed_mean_ap, read_decisions, with_decisions
from resight.commands.diagnose_page import DOSE, compare, read_run, write_report
from resight.commands.diagnose_text import print_findings
from resight.commands.progress import bar
from resight.data.cache import fingerprint
from resight.data.files import sha256, write_json
from resight.data.part_maps import read_stamp
from resight.diagnose import tables
from resight.diagnose.causes import loss_by_query
from resight.diagnose.conditions import Conditions
from resight.diagnose.findings import attribute
from resight.diagnose.ledger import Ledger, ledger_of
from resight.diagnose.page_charts import dose_curves, dose_signs
from resight.diagnose.thresholds import read_thresholds
from resight.errors import BadRecipe, DatasetNotFound
from resight.evaluate.protocols import ProtocolName, rules_of
from resight.evaluate.statistics import check_chance
from resight.report.words import Language
from resight.search.features import Features, load_features, save_features

RULES: Final = "4"
"""Raised when a rule of attribution changes: tables of different rules are not comparable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnose(SetOptions):
    """Say what a search lost and why: 1 - mAP split exactly, shared among causes, each looked at in several ways.

    Give a data set (or a features file with its pictures), or two earlier diagnoses with --compare. Without pictures
    the ledger alone is written. What cannot be estimated is said, never guessed.
    """

    x: str | None = None
    """A data set's folder, the word `sample`, or a features file (.npz)."""
    out: Path | None = None
    """A folder for page and tables; left out, `diagnosis`, or with --compare `difference`. Features and measurements
    are kept, so that a second run goes on."""
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
    thresholds: Path | None = None
    """A TOML file that says when a condition counts as present; left out, the shipped one."""
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

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return self.out or Path("difference" if self.compare else "diagnosis")


def diagnose(config: Diagnose) -> int:
    """Write the tables and print what they say."""
    from rich.console import Console

    check_chance(seed=config.seed, resamples=config.resamples)
    console = Console(highlight=False, soft_wrap=True)
    if config.compare:
        how = {"seed": config.seed, "resamples": config.resamples}
        return compare(config.compare, config.folder / "difference.html", console, language=config.language, **how)
    if config.x is None:
        raise BadRecipe("`resight diagnose` needs a data set, the word `sample` or a features file; or --compare A B.")
    thresholds = read_thresholds(config.thresholds)
    tables.check_table(config.folder / "queries", parquet=config.parquet)
    rules = rules_of(config.protocol)
    if rules.single_shot or rules.pooled:
        raise BadRecipe(
            f"`{config.protocol}` draws or pools pictures, so that what a picture shows says nothing of its search: "
            "pass `--protocol market` or `cuhk03-np`."
        )
    from resight.commands.diagnose_remedies import advice, dose_command, other_models  # torch is not needed for --help

    others = {name: load_features(path) for name, path in other_models(config.against).items()}  # before the long work
    features, folders = _features(config)
    ledger = ledger_of(features, protocol=config.protocol)
    conditions = None
    parser = open_parser(config.parser if folders else NO_PARSER)
    if folders:
        files = [*features.query.files.tolist(), *features.gallery.files.tolist()]
        conditions = conditions_of([folders[0] / file for file in files], files, parser, thresholds)
    decided = read_decisions(config.folder / FIXES)
    fixed = fixed_mean_ap(features, decided, protocol=config.protocol)
    every = dose_curves(config.folder / DOSE, conditions)
    curves = tuple(one for one in every if one.model in ("", _named(config)))
    if len(curves) < len(every):
        others_of = ", ".join(sorted({one.model for one in every} - {"", _named(config)}))
        print(f"resight: {config.folder / DOSE} holds curves of {others_of}, which are left out.", file=sys.stderr)
    found = attribute(
        features,
        ledger,
        conditions,
        protocol=config.protocol,
        rng=np.random.default_rng(config.seed),
        resamples=config.resamples,
        watch=lambda total: bar("oracles", total=total),
        doses=dose_signs([one for one in curves if one.model]),
        others=others,
    )
    written = tables.ledger_tables(ledger, found.scores.ap, loss_by_query(found.cells, found.split))
    written |= tables.cause_tables(found.split, found.verdicts, found.steps, found.regression)
    written["remedies"] = tables.gains_table(found.gains)
    written["label_fixes"] = with_decisions(found.suspects, decided)
    if conditions is not None:
        written["images"] = tables.condition_table(conditions)
    for name, table in written.items():
        tables.write_table(config.folder / name, table, parquet=config.parquet)
    _write_run(config, ledger, thresholds.version, conditions, fixed)
    page = config.folder / "report.html"
    facts = {"model": _named(config), "protocol": config.protocol, "thresholds": f"{thresholds.version}, {RULES}"}
    if fixed is not None:
        facts["fixes_decided"] = f"{fixed[0]}: {1 - ledger.loss:.2%} → {fixed[1]:.2%}"
    write_report(
        page,
        found,
        folders,
        dataset=str(config.x),
        curves=curves,
        dose=dose_command(config, folders),
        advice=advice(config, found, folders),
        facts=facts,
        parse=parser[0],
        labels=parser[1],
        language=config.language,
        blur_heads=config.blur_heads,
    )
    print_findings(console, found, config.folder, parsed=parser[0] is not None)
    if fixed is not None:
        before, after = 1 - ledger.loss, fixed[1]
        told = f"{fixed[0]} pairs are one person by {FIXES}: mAP {before:.2%} before, {after:.2%} with them as one"
        console.print(f"{told}. Everything above counts them as two.", markup=False)
    console.print(f"Page: {page}", markup=False)
    return 0


def _named(config: Diagnose) -> str:
    from resight.model import DEFAULT_MODEL

    if config.features is not None or str(config.x).endswith(".npz"):
        return Path(str(config.features or config.x)).name
    return config.model or DEFAULT_MODEL


def _features(config: Diagnose) -> tuple[Features, list[Path]]:
    """Read or make features; and the folders that pictures may lie in, those that hold none left out."""
    from resight.report.pictures import stored_root

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
        from resight.commands.embed import embed_sides, open_model, sides_to_search
        from resight.model import DEFAULT_MODEL
        from resight.weight_files import find_weights

        reid_set = config.reid_set(str(config.x))
        folders = [reid_set.root]
        kept = config.folder / "features.npz"
        weights = sha256(find_weights(config.model or DEFAULT_MODEL))[:12]
        query, gallery = sides_to_search("diagnose", config, reid_set)
        model = open_model(config.model, parts=config.parts)
        crops = [*query, *gallery]
        names = tuple((str(crop.path), str(crop.person), str(crop.camera)) for crop in crops)
        made = {"set": str(reid_set.source.absolute()), "model": str(config.model), "weights": weights}
        made["pictures"] = fingerprint([crop.path for crop in crops if crop.path.is_file()], names)
        if config.parts is not None:
            made["parts"] = str(asdict(read_stamp(config.parts)))
        if kept.is_file() and read_run(config.folder).get("made") == made:
            features = load_features(kept)
        else:
            features = embed_sides(query, gallery, model, root=reid_set.root, parts=config.parts)
            save_features(kept, features, root=reid_set.root)
            write_json(config.folder / "run.json", {"made": made})
    files = [str(file) for file in features.query.files]
    there = [folder for folder in folders if folder is not None and any((folder / file).is_file() for file in files)]
    if config.images is not None and not there:
        raise DatasetNotFound(
            f"--images {config.images} does not hold {files[0]} nor any other query; name the folder of the file names."
        )
    return features, there


def _write_run(
    config: Diagnose,
    ledger: Ledger,
    thresholds: str,
    conditions: Conditions | None,
    fixed: tuple[int, float] | None,
) -> None:
    from resight.train.resources import surroundings

    facts = {
        "made": read_run(config.folder).get("made"),
        "x": config.x,
        "model": _named(config),
        "protocol": config.protocol,
        "rules": RULES,
        "thresholds": thresholds,
        "mask": None if conditions is None else conditions.mask,
        "seed": config.seed,
        "resamples": config.resamples,
        "search": _search_print(ledger.features),
        "mean_ap": 1 - ledger.loss,
        "mean_ap_with_label_fixes": None if fixed is None else fixed[1],
        "answered": ledger.answered,
        **surroundings(),
    }
    write_json(config.folder / "run.json", facts)


def _search_print(features: Features) -> str:
    """Twelve hex digits that change with any picture's name, person or camera."""
    digest = hashlib.sha256()
    for side in (features.query, features.gallery):
        columns = (side.files.tolist(), side.persons.tolist(), side.cameras.tolist())
        digest.update(json.dumps([list(map(str, column)) for column in columns]).encode())
    return digest.hexdigest()[:12]
