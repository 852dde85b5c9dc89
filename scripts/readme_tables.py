"""Write the tables of README and docs from benchmarks/results/*.json, and the output of the README's first example.

A number that has no JSON file, or no such key in it, is printed as "not measured". `make readme` calls this.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
MISSING: Final = "not measured"
PARSED: Final = "parser_quality-parser-lite.json"
DIAGNOSED: Final = "market1501_diagnosis-one-pass.json"
SHARES: Final = ("0 (whole bodies)", "0.5", "0.8", "0.9", "0.95", "0.98", "0.99", "1 (parts alone)")
"""Rows of `benchmarks/part_share.py`."""
CYCLES: Final = (
    "`baseline-lite`, 12 epochs at 128 × 64",
    "`one-pass`, 3 epochs at 192 × 96",
    "`one-pass`, 3 more",
)
"""Rows of `benchmarks/more_cycles.py`."""
CAUSES: Final = {
    "similar_clothing": "look-alike clothes",
    "pose_viewpoint": "pose and viewpoint",
    "changed_look": "changed look",
    "similar_pose": "look-alike pose",
    "background_bias": "look-alike background",
    "gallery_distractor": "distractors",
    "multi_person": "several people",
    "occlusion": "occlusion",
    "truncation": "truncation",
    "low_res": "low resolution",
    "low_light": "low light",
    "motion_blur": "motion blur",
    "color_cast": "colour cast",
    "unexplained": "unexplained",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: where it stands and how it is written."""

    file: str
    key: str
    write: Callable[[Any], str]


def percent(share: float) -> str:
    return f"{share:.1%}"


def three_digits(value: float) -> str:
    return f"{value:.3f}"


def between(bounds: list[float]) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def minutes(value: float) -> str:
    return f"{value / 60:.0f}"


def mebibytes(value: float) -> str:
    return f"{value:,.0f} MiB"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def points(share: float) -> str:
    return f"{share * 100:.1f}"


def signed_points(share: float) -> str:
    return f"{share * 100:+.1f}"


def in_full(share: float) -> str:
    return f"{share:.0%}"


def points_between(bounds: list[float]) -> str:
    return f"{bounds[0] * 100:.1f} to {bounds[1] * 100:.1f}"


def interval(bounds: list[float]) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def millions(value: float) -> str:
    return f"{value / 1e6:.2f} M"


def whole_millions(value: float) -> str:
    return f"{value / 1e6:,.0f} M"


def billions(value: float) -> str:
    return f"{value / 1e9:.2f} G"


def one_digit(value: float) -> str:
    return f"{value:.1f}"


def signed(value: float) -> str:
    return f"{value:+.3f}"


def pair(size: list[int]) -> str:
    return f"{size[0]}×{size[1]}"


PAGES: Final[dict[str, tuple[str, ...]]] = {
    "README.md": ("accuracy", "transfer", "parsing", "parsing-speed", "embedding-speed", "training", "speed"),
    "docs/parsers_survey.md": ("survey", "survey-cost", "components"),
    "docs/diagnosis.md": ("planted",),
    "docs/market1501.md": ("market-causes", "market-remedies"),
    "docs/reid_survey.md": ("contrasts", "masked", "part-share", "part-share-one-pass", "more-cycles"),
}
"""Which tables a page holds."""

HEADS: Final[dict[str, list[str]]] = {
    "accuracy": ["Market-1501, official test", "mAP", "95 % interval", "Rank-1", "95 % interval", "mINP"],
    "transfer": [
        "learnt from, tested on Market-1501",
        "mAP",
        "95 % interval",
        "Rank-1",
        "validation persons: mAP",
        "Rank-1",
    ],
    **{
        table: ["share of parts in the distance", "mAP", "40 % hidden: mAP", "other view: mAP"]
        for table in ("part-share", "part-share-one-pass")
    },
    "more-cycles": [
        "held-out run, each started from the one above",
        "minutes on one core",
        *("mAP", "gained", "95 % interval"),
        *("40 % hidden: mAP", "gained", "95 % interval"),
        *("other view: mAP", "gained", "95 % interval"),
    ],
    "market-causes": [
        "cause",
        "queries that show it",
        "mAP lost",
        "95 % interval",
        "twins: AP with it, less without",
        "95 % interval",
        "in true matches: precision with it, less without",
        "95 % interval",
        "oracle over sham: mAP",
        "95 % interval",
        "grade",
    ],
    **{
        table: [
            f"{what}, seed 1, validation persons",
            "mAP",
            "95 % interval over persons",
            "40 % hidden: mAP",
            "95 % interval",
            "other view: mAP",
            "95 % interval",
        ]
        for table, what in (("contrasts", "one recipe"), ("masked", "MSCAN from scratch at 160 × 64"))
    },
    "planted": ["planted in a seventh of the pictures", "runs: first", "proven", "AP it cost", "by twins", "covered"],
    "market-remedies": ["cause", "re-ranking wins", "95 % interval", "parts win over whole bodies", "95 % interval"],
    "parsing": ["`parser-lite`, on pictures that it never saw", "score", "95 % interval"],
    "parsing-speed": ["parsing, one thread, the network alone", "pictures/s", "per CPU second"],
    "embedding-speed": ["embedding at 256×128, one thread", "multiply-adds", "pictures per CPU second", "times OSNet"],
    "survey": [
        "one budget for all, from scratch",
        "LIP validation, mean IoU",
        "size",
        "steps × batch",
        "rendered people: mean IoU",
        "95 % interval",
        "Clothing Co-Parsing 801-884: mean IoU",
        "95 % interval",
        "training, CPU s",
    ],
    "survey-cost": [
        "one picture of the paper's size",
        "size",
        "parameters",
        "multiply-adds",
        "memory above the network",
        "pictures per CPU second",
    ],
    "components": ["CE2P, ResNet-18, rendered people", "mean IoU", "gain", "interval over seeds", "over pictures"],
    "training": ["training `baseline-lite`, 128×64, one thread", "pictures/s", "per CPU second", "peak memory"],
    "speed": ["3,368 queries × 15,913 pictures × 2,048 numbers", "CPU time", "memory above input"],
}

SURVEYED: Final = (  # what it says, its row, its paper's mean IoU on LIP
    ("`parser-lite`", "parser-lite", MISSING),
    ("CE2P on ResNet-18", "ce2p-resnet18", MISSING),
    ("CE2P (ResNet-101)", "ce2p", "53.10 (its paper's)"),
    ("CE2P at 384×128", "ce2p-384x128", MISSING),
    ("Attention+SSL (VGG-16)", "attention-ssl", "44.73 (its paper's)"),
    ("Co-CNN", "cocnn", MISSING),
)
COMPONENTS: Final = (
    ("context", "context", ""),
    ("+ high resolution", "+ high resolution", "context to + high resolution"),
    ("+ edge", "+ edge", "+ high resolution to + edge"),
)

PLANTED: Final = {
    "all": "all causes",
    "occlusion": "occlusion",
    "multi_person": "several people",
    "truncation": "truncation",
    "low_light": "low light",
    "low_res": "low resolution",
    "motion_blur": "motion blur",
    "color_cast": "colour cast",
}
CONTRASTED: Final = {
    "baseline-unpasted": "baseline, nothing pasted",
    "baseline": "baseline",
    "spatial-attention": "+ spatial attention",
    "spreid": "SPReID",
    "maskreid": "MaskReID",
    "maskreid-softmax": "MaskReID, by identities alone",
    "visible-parts": "visible parts",
    "visible-parts-global": "visible parts, compared without parts",
}
MASKED: Final = {
    "mgcam-masked-rgb": "background grey",
    "mgcam-rgb": "the picture alone",
    "mgcam-rgb-mask": "the picture and its mask",
    "mgcam-hard": "both, and streams of body and background cut by the mask",
    "mgcam": "the same, cut by a learned map",
}
"""Rows of MGCAM's small net, seed 1."""
Column = tuple[str, Callable[[Any], str]]


def cells(file: str, *columns: Column) -> list[Cell]:
    """Cells of one row whose numbers stand in one file: where each stands, and how it is written."""
    return [Cell(file, key, write) for key, write in columns]


def looks(key: str, *names: str) -> list[Column]:
    """Columns of a number in signed points and of its interval, for each name."""
    return [column for name in names for column in ((f"{name}.{key}", signed_points), (f"{name}.ci95", points_between))]


ROWS: Final[dict[str, list[tuple[str, Sequence[Cell | str]]]]] = {
    # a text stands for itself: a number of somebody else's, said to be so
    "accuracy": [
        (
            says,
            cells(
                f"market1501-{name}.json",
                *(("mean_ap", percent), ("ci95.mean_ap", interval)),
                *(("cmc.0", percent), ("ci95.rank1", interval), ("mean_inp", percent)),
            ),
        )
        for says, name in (
            ("`one-pass` (shipped, the default)", "one-pass"),
            ("`baseline-lite` (shipped)", "baseline-lite"),
            ("`one-pass-rendered` (shipped; no re-identification set taught it)", "one-pass-rendered"),
        )
    ],
    **{
        table: [
            (
                says,
                cells(
                    f"leaderboard/validation-{name}-{backbone}-1.json",
                    *(
                        column
                        for place in ("clean", "occluded-40", "other-view")
                        for column in ((f"scores.{place}.mean_ap", percent), (f"scores.{place}.ci95.mean_ap", interval))
                    ),
                ),
            )
            for name, says in rows.items()
        ]
        for table, backbone, rows in (("contrasts", "efficientnet-lite0", CONTRASTED), ("masked", "mscan", MASKED))
    },
    "planted": [
        (
            says,
            cells(
                "diagnose_rendered.json",
                *((f"planted.{cause}.{rate}", in_full) for rate in ("first", "proven")),
                *((f"planted.{cause}.{number}", signed_points) for number in ("cost", "twins")),
                (f"planted.{cause}.covered", in_full),
            ),
        )
        for cause, says in PLANTED.items()
    ],
    "market-causes": [
        (
            says,
            cells(
                DIAGNOSED,
                *((f"by_cause.{cause}.queries", whole), (f"by_cause.{cause}.loss", points)),
                (f"by_cause.{cause}.ci95", points_between),
                *looks("difference", *(f"by_cause.{cause}.{look}" for look in ("twins", "match_twins", "oracle"))),
                (f"by_cause.{cause}.grade", str),
            ),
        )
        for cause, says in CAUSES.items()
    ],
    "market-remedies": [
        (says, cells(DIAGNOSED, *looks("gain", f"by_cause.{cause}.gains.rerank", f"by_cause.{cause}.gains.parts")))
        for cause, says in (("all", "all (mAP)"), *CAUSES.items())
    ],
    **{
        table: [
            (
                says,
                cells(
                    f"part_share-{run}.json",
                    *((f"rows.{row}.mean_ap.{place}", percent) for place in ("clean", "occluded-40", "other-view")),
                ),
            )
            for row, says in enumerate(SHARES)
        ]
        for table, run in (("part-share", "visible-parts-1"), ("part-share-one-pass", "one-pass-held-out"))
    },
    "more-cycles": [
        (
            says,
            [
                Cell("more_cycles.json", f"rows.{row}.seconds", minutes),
                *(
                    cell
                    for place in ("clean", "occluded-40", "other-view")
                    for cell in (
                        Cell("more_cycles.json", f"rows.{row}.scores.{place}.mean_ap", percent),
                        *(cells("more_cycles.json", *looks("gain", f"rows.{row}.gains.{place}")) if row else ("", "")),
                    )
                ),
            ],
        )
        for row, says in enumerate(CYCLES)
    ],
    "transfer": [
        (
            says,
            [
                *cells(
                    f"people_transfer_{row}_official.json",
                    *(("mean_ap", percent), ("ci95.mean_ap", interval), ("cmc.0", percent)),
                ),
                *cells(f"people_transfer_{row}_validation.json", ("mean_ap", percent), ("cmc.0", percent)),
            ],
        )
        for says, row in (
            ("nothing: colour histograms in stripes", "histogram"),
            ("nothing but ImageNet", "imagenet"),
            ("100 rendered persons", "people-100"),
            ("400 rendered persons", "people-400"),
            ("400, every camera like the first", "people-400-one-camera"),
            ("400, cloth of one colour", "people-400-plain-cloth"),
            ("1,600 rendered persons", "people-1600"),
            ("1,600, a second cycle (`rendered-lite-more`)", "people-1600-more"),
        )
    ],
    "parsing": [
        (
            says,
            [
                Cell(PARSED, f"scores.{place}.{key}", three_digits),
                Cell(PARSED, f"scores.{place}.ci95.{key}", between),
            ],
        )
        for says, place, key in (
            ("rendered people, `parts7`: mean IoU", "people", "mean_iou"),
            ("rendered people: left taken for right, limbs", "people", "side_confusion"),
            ("Clothing Co-Parsing 801-884, `street5`: mean IoU", "ccp", "mean_iou"),
            ("Market-1501, held-back training persons: head joints on the head", "market-keypoints", "head"),
            ("Market-1501, the same: ankles on a leg or shoe", "market-keypoints", "ankles"),
            ("LIP validation: mean IoU", "lip", "mean_iou"),
        )
    ],
    "embedding-speed": [
        (
            f"{says}, {told}",
            [
                Cell("one_pass_speed.json", f"runs.{engine} {network}.multiply_adds", whole_millions),
                Cell("one_pass_speed.json", f"runs.{engine} {network}.per_cpu_second", one_digit),
                Cell("one_pass_speed.json", f"times_osnet.{engine} {network}", one_digit),
            ],
        )
        for engine, told in (("pytorch", "PyTorch"), ("onnx", "ONNX Runtime"), ("int8", "8 bits (OSNet: float ONNX)"))
        for network, says in (("osnet", "OSNet x1.0"), ("one-pass", "`one-pass`"), ("baseline", "`baseline-lite`"))
        if (engine, network) != ("int8", "osnet")
    ],
    "parsing-speed": [
        (
            says,
            [
                Cell("parser_speed.json", f"runs.{kind}.per_second", whole),
                Cell("parser_speed.json", f"runs.{kind}.per_cpu_second", whole),
            ],
        )
        for says, kind in (
            ("`parser-lite`, 128×64, PyTorch", "lite pytorch 128x64"),
            ("`parser-lite`, 128×64, ONNX Runtime", "lite onnx 128x64"),
            ("`parser-lite`, 256×128, PyTorch", "lite pytorch 256x128"),
            ("`parser-lite`, 256×128, ONNX Runtime", "lite onnx 256x128"),
        )
    ],
    "survey": [
        (
            says,
            [
                quoted,
                Cell("parser_survey.json", f"rows.{row}.size", pair),
                Cell("parser_survey.json", f"rows.{row}.steps_batch", pair),
                Cell("parser_survey.json", f"rows.{row}.people.mean_iou", three_digits),
                Cell("parser_survey.json", f"rows.{row}.people.ci95", between),
                Cell("parser_survey.json", f"rows.{row}.ccp.mean_iou", three_digits),
                Cell("parser_survey.json", f"rows.{row}.ccp.ci95", between),
                Cell("parser_survey.json", f"rows.{row}.training_cpu_seconds", whole),
            ],
        )
        for says, row, quoted in SURVEYED
        if row != "ce2p-384x128"  # the same network, trained at the one size
    ],
    "survey-cost": [
        (
            says,
            [
                Cell("parser_survey_cost.json", f"rows.{row}.size", pair),
                Cell("parser_survey_cost.json", f"rows.{row}.parameters", millions),
                Cell("parser_survey_cost.json", f"rows.{row}.multiply_adds", billions),
                Cell("parser_survey_cost.json", f"rows.{row}.peak_mib_above_network", mebibytes),
                Cell("parser_survey_cost.json", f"rows.{row}.per_cpu_second", one_digit),
            ],
        )
        for says, row, _ in SURVEYED
    ],
    "components": [
        (
            says,
            [
                Cell("ce2p_components.json", f"rows.{row}.mean_iou", three_digits),
                Cell("ce2p_components.json", f"steps.{step}.mean_gain", signed),
                Cell("ce2p_components.json", f"steps.{step}.ci95_seeds", between),
                Cell("ce2p_components.json", f"steps.{step}.ci95_pictures", between),
            ],
        )
        for says, row, step in COMPONENTS
    ],
    "training": [
        (
            label,
            [
                Cell("training_speed.json", f"medians.{key}.per_s", whole),
                Cell("training_speed.json", f"medians.{key}.per_cpu_s", whole),
                Cell("training_speed.json", f"medians.{key}.peak_mib", mebibytes),
            ],
        )
        for label, key in (("resight", "resight"), ("plain DataLoader loop, two workers", "plain"))
    ],
    "speed": [
        (
            label,
            [
                Cell(file, f"{key}.cpu_seconds", seconds),
                Cell(file, f"{key}.peak_mib_above_input", mebibytes),
            ],
        )
        for label, file, key in (
            ("evaluate, from a matrix", "evaluate_speed.json", "resight_matrix"),
            ("evaluate, from features", "evaluate_speed.json", "resight_features"),
            ("(the matrix product alone)", "evaluate_speed.json", "product"),
            ("evaluate, from a matrix, torchreid (Cython)", "evaluate_speed.json", "torchreid_cython"),
            ("evaluate, from a matrix, torchreid (Python)", "evaluate_speed.json", "torchreid_python"),
            ("re-rank", "rerank_speed.json", "resight"),
            ("(half of the square of products alone)", "rerank_speed.json", "product"),
            ("re-rank, torchreid", "rerank_speed.json", "torchreid"),
        )
    ],
}


def fill(text: str, results: Path, *, page: str = "README.md") -> str:
    """Return a page with each of its tables between their markers written anew."""
    for name in PAGES[page]:
        head = HEADS[name]
        lines = [head, ["---"] * len(head)]
        lines += [
            [label, *(cell if isinstance(cell, str) else _look_up(results, cell) for cell in row)]
            for label, row in ROWS[name]
        ]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = marked.subn(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
        if count != 1:
            raise SystemExit(f"{page} needs the markers `<!-- table: {name} -->` and `<!-- end -->` once each.")
    return text


def _look_up(results: Path, cell: Cell) -> str:
    try:
        found = json.loads((results / cell.file).read_text(encoding="utf-8"))
        for key in cell.key.split("."):
            found = found[int(key)] if isinstance(found, list) else found[key]
    except (FileNotFoundError, KeyError, IndexError, TypeError):
        return MISSING
    return MISSING if found is None else cell.write(found)


def run_example(readme: str) -> str:
    """Return the README with the output of its first python block written under it."""
    blocks = re.compile(r"(```python\n)(.*?)(```\n\n```text\n)(.*?)(```\n)", re.DOTALL)
    found = blocks.search(readme)
    if found is None:
        raise SystemExit("README.md needs a python block with a text block behind it.")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(found[2], {})
    return readme[: found.start(4)] + printed.getvalue() + readme[found.end(4) :]


def main() -> None:
    """Rewrite the pages in place."""
    for page in PAGES:
        path = REPOSITORY / page
        text = fill(path.read_text(encoding="utf-8"), REPOSITORY / "benchmarks" / "results", page=page)
        path.write_text(run_example(text) if page == "README.md" else text, encoding="utf-8")


if __name__ == "__main__":
    main()
