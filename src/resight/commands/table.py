"""What the command line knows: a row for each command, so that `resight --help` imports nothing heavy.

Proof: tests/test_cli.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: where the command lives and how it is taught."""

    target: str
    """"module:config:function", imported only when the command is chosen."""
    help: str
    """One line for `resight --help`."""
    positional: tuple[str, ...] = ()
    """Fields of the config that are given without a name, in this order."""
    examples: tuple[str, ...] = ()


COMMANDS: Final[dict[str, Command]] = {
    "data check": Command(
        "resight.commands.check:Check:check",
        "Count a data set and find what is wrong with it.",
        ("dataset",),
        ("resight data check ~/market1501", "resight data check sample"),
    ),
    "people": Command(
        "resight.commands.people:People:people",
        "Render pedestrians with exact parts, identities, cameras and planted causes.",
        (),
        (
            "resight people --persons 500 --cameras 6 --seed 1 --out people",
            "resight people --persons 50 --causes occlusion,low_light,multi_person --twins --out planted",
            "resight people --preview 24 --out sheet.png",
        ),
    ),
    "train embedder": Command(
        "resight.commands.train:TrainEmbedder:train_embedder",
        "Train an embedder from a recipe; start again after a kill and it goes on.",
        (),
        ("resight train embedder --recipe baseline-lite --data ~/market1501 --out runs/base",),
    ),
    "train parser": Command(
        "resight.commands.train_parser:TrainParser:train_parser",
        "Train a parser on differently labelled sets; start again after a kill and it goes on.",
        (),
        (
            "resight train parser --recipe parser-lite --data people ccp pennfudan market1501 --out runs/lite",
            "resight train parser --recipe ce2p-384x128 --data LIP --labels parts7 --steps 2000 --out runs/ce2p",
        ),
    ),
    "import ce2p": Command(
        "resight.commands.import_ce2p:ImportCE2P:import_ce2p",
        "Turn the released weights of the parser CE2P into a run folder.",
        ("file",),
        ("resight import ce2p lip_ce2p.pth --out runs/ce2p",),
    ),
    "embed": Command(
        "resight.commands.embed:Embed:embed",
        "Turn the pictures of a data set or folder into a features file.",
        ("dataset",),
        (
            "resight embed sample --out features.npz",
            "resight embed ~/market1501 --model runs/base --out features.npz",
        ),
    ),
    "parse": Command(
        "resight.commands.parse:Parse:parse",
        "Find the parts of the person in each crop of a folder: label maps, overlays, one sheet.",
        ("photos",),
        (
            "resight parse crops --out parsed --labels parts7",
            "resight parse crops --model runs/lite --out parsed --no-overlays",
        ),
    ),
    "parts": Command(
        "resight.commands.parts:Parts:parts",
        "Write soft part maps of a whole set, for networks that are guided by parts.",
        ("dataset",),
        ("resight parts ~/market1501 --out parts", "resight parts sample --model runs/lite --labels parts8 --out p8"),
    ),
    "export": Command(
        "resight.commands.export:Export:export",
        "Write a parser or an embedder as an ONNX file that answers as PyTorch does, checked before it is kept.",
        ("model",),
        ("resight export parser-lite --out parser-lite.onnx",),
    ),
    "evaluate": Command(
        "resight.commands.evaluate:Evaluate:evaluate",
        "Score a features file, or a data set embedded with a model.",
        ("x",),
        (
            "resight evaluate features.npz",
            "resight evaluate ~/market1501 --model runs/base --json scores.json",
            "resight evaluate LIP --model runs/ce2p --input-size 384x128 --input-size 473x473",
        ),
    ),
    "occlude": Command(
        "resight.commands.occlude:Occlude:occlude",
        "Hide a known share of each query behind objects: an occlusion benchmark, made anew from files.",
        ("dataset",),
        (
            "resight occlude ~/market1501 --objects occluders --people pennfudan --out occluded",
            "resight evaluate occluded/occluded-40 --json occluded-40.json",
        ),
    ),
    "rerank": Command(
        "resight.commands.rerank:Rerank:rerank",
        "Re-rank a features file by k-reciprocal neighbours.",
        ("features",),
        ("resight rerank features.npz --k1 20 --k2 6 --lambda 0.3 --out distances.npy",),
    ),
    "compare": Command(
        "resight.commands.compare:Compare:compare",
        "Say whether one run is really better than another: difference, interval, p-value.",
        ("a", "b"),
        ("resight compare base.npz other.npz", "resight compare base.json other.json --at-least 0.01"),
    ),
    "leaderboard": Command(
        "resight.commands.leaderboard:Leaderboard:leaderboard",
        "Print the table of methods from committed results, and which differences are certain.",
        (),
        ("resight leaderboard", "resight leaderboard --protocol validation --json"),
    ),
    "report": Command(
        "resight.commands.report:Report:report",
        "Show rank strips and curves in one HTML file that works offline.",
        ("x",),
        ("resight report sample --out report.html", "resight report features.npz --out report.html --blur-heads"),
    ),
    "diagnose": Command(
        "resight.commands.diagnose:Diagnose:diagnose",
        "Say what a search lost and why, by cause, with proof.",
        ("x",),
        (
            "resight diagnose sample --out diagnosis",
            "resight diagnose features.npz --images ~/market1501 --out diagnosis",
            "resight diagnose --compare diagnosis_a diagnosis_b",
        ),
    ),
    "conditions": Command(
        "resight.commands.conditions:ConditionsOf:conditions",
        "Measure light, detail, people, occlusion and truncation of any folder of crops.",
        ("crops",),
        ("resight conditions crops --out conditions.csv",),
    ),
    "label": Command(
        "resight.commands.label:Label:label",
        "Label conditions by eye on an offline page, blind to outcomes, and check signals against the labels.",
        ("dataset",),
        ("resight label sample --out labels", "resight label sample --check labels/labels.csv"),
    ),
    "dose": Command(
        "resight.commands.dose:Dose:dose",
        "Spoil queries step by step (light, detail, covers, cuts) and see what each step costs.",
        ("dataset",),
        ("resight dose sample --conditions low_light low_res --out dose.csv",),
    ),
    "strips": Command(
        "resight.commands.strips:Strips:strips",
        "Read rank strips that other tools have painted, and measure their queries.",
        ("folder",),
        ("resight strips old_strips --out strips",),
    ),
    "recipes": Command(
        "resight.commands.recipes:Recipes:recipes",
        "List the shipped recipes, or print one to start your own from.",
        ("name",),
        ("resight recipes", "resight recipes baseline-lite > mine.toml"),
    ),
}
