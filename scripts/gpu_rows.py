"""Train the rows of the leaderboard on any rented GPU: pack here, train there in short steps, bring small files home.

    python scripts/gpu_rows.py pack ~/market1501 --objects ~/occluders --people ~/pennfudan --out rows.tar
    tar xf rows.tar && cd rows && pip install -e ".[imagenet]"           # on the rented machine
    python scripts/gpu_rows.py train . --out home --minutes 10           # again until it exits 0
    python scripts/gpu_rows.py join home/baseline-1 runs/baseline-1      # here

The pack holds code, the training persons' pictures and keypoints (no query, no gallery), a parser, training objects and
Penn-Fudan's training photos: at most 60 MiB. A step ends in time: exit code 0 when every row is done, 3 when there is
more to do, 1 when a row failed.
What comes home of a row are weights in half precision and JSON, and of an unfinished one its exact state, so that a
fresh machine goes on from `home` (copy it there first). No file is larger than 15 MiB: larger ones come in numbered
pieces, and each with its SHA-256: what is half copied counts as not there. `--dry-run` trains nothing and prints what
would run. Proof: tests/test_gpu_rows.py.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from resight.config import load_toml, to_toml
from resight.data.files import sha256
from resight.data.occluders import objects_of
from resight.data.parsing_layouts import is_test_photo
from resight.data.reid_layouts import folders_in, pictures_in
from resight.evaluate.leaderboard import LIGHT, SEEDS, SMALL
from resight.model import load_model, save_model
from resight.parsing import find_parser
from resight.train.recipe import OF_THE_METHOD, EmbedderRecipe

REPOSITORY = Path(__file__).resolve().parent.parent
LARGEST_PACK = 60 * 2**20
LARGEST_FILE = 15 * 2**20
PERSONS = 100
LARGE = "resnet50"
MARGIN_S = 45.0
"""Kept at a step's end for saving and copying."""
PACKED = ("src/", "scripts/", "benchmarks/results/leaderboard/README.md", "pyproject.toml", "README.md", "LICENSE")
"""What `pip install -e .` needs; the leaderboard's folder goes into the wheel."""
LEFT_OUT = ("/sample/sample.zip", "/model.safetensors")
"""Ends of names. Nothing of these is trained from; the parser goes beside the code."""
DATA, PARSER, OBJECTS, PEOPLE = "data", "parser.safetensors", "objects", "people"
KEPT: Final = ("config.toml", "run.json", "log.jsonl", "validation.jsonl")


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the leaderboard: its recipe and what it changes there, by dotted keys."""

    method: str
    backbone: str
    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)
    needs_maps: bool = False
    pastes: bool = False
    by_baseline: bool = False
    """Whether all that is not the method is baseline-lite's."""

    @property
    def name(self) -> str:
        return self.method if self.backbone in (LIGHT, SMALL) else f"{self.method}-{self.backbone}"


def _mgcam(method: str, inputs: str, attention: str) -> Job:
    return Job(method, SMALL, "mgcam", {"options.inputs": inputs, "options.attention": attention}, needs_maps=True)


PASTED: Final = {"covering.paste": 0.5}
"""What is pasted before persons must be no difference between methods: all rows but one learn with it."""


def _by_baseline(method: str, backbone: str, recipe: str, *, needs_maps: bool = False, **losses: Any) -> Job:
    """A method on a backbone that is not its recipe's, by the schedule of baseline-lite."""
    changes = {"backbone": backbone, **PASTED, **{f"losses.{name}": value for name, value in losses.items()}}
    return Job(method, backbone, recipe, changes, needs_maps, pastes=True, by_baseline=True)


JOBS: Final = (
    Job("baseline", LIGHT, "baseline-pasted", pastes=True),
    Job("spatial-attention", LIGHT, "spatial-attention", PASTED, pastes=True),
    Job("spreid", LIGHT, "spreid", PASTED, needs_maps=True, pastes=True),
    Job("visible-parts", LIGHT, "visible-parts", needs_maps=True, pastes=True),
    Job("baseline-unpasted", LIGHT, "baseline-lite"),
    Job("one-pass", LIGHT, "one-pass", needs_maps=True, pastes=True),
    _by_baseline("maskreid", LIGHT, "maskreid", needs_maps=True),
    _by_baseline("maskreid-softmax", LIGHT, "maskreid", needs_maps=True, ranking_weight=0.0),
    Job("two-stream", LIGHT, "two-stream", PASTED, needs_maps=True, pastes=True),
    _mgcam("mgcam-rgb", "rgb", "none"),
    _mgcam("mgcam-masked-rgb", "masked-rgb", "none"),
    _mgcam("mgcam-rgb-mask", "rgb+mask", "none"),
    _mgcam("mgcam", "rgb+mask", "soft"),
    _mgcam("mgcam-hard", "rgb+mask", "hard"),
    _by_baseline("baseline", LARGE, "baseline-lite"),
    _by_baseline("spatial-attention", LARGE, "spatial-attention"),
    _by_baseline("spreid", LARGE, "spreid", needs_maps=True),
    _by_baseline("maskreid", LARGE, "maskreid", needs_maps=True),
    _by_baseline("maskreid-softmax", LARGE, "maskreid", needs_maps=True, ranking_weight=0.0),
    _by_baseline("visible-parts", LARGE, "visible-parts", needs_maps=True),
)
"""one-pass-global is scored from one-pass's run; one-pass-rendered is trained without Market-1501."""


def pack(data: Path, out: Path, *, parser: Path | None, objects: Path | None, people: Path | None = None) -> int:
    """Write the archive; returns its bytes. Exits where it is larger than a pack may be."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    code = [name for name in names.split("\0") if name.startswith(PACKED) and not name.endswith(LEFT_OUT)]
    pictures = sorted((data / "bounding_box_train").glob("*.jpg"))
    if not pictures:
        sys.exit(f"{data} holds no bounding_box_train/*.jpg: pass Market-1501's folder.")
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as archive:  # others add 1 KiB to a file for its time
        for name in code:
            archive.add(REPOSITORY / name, f"rows/{name}")
        for picture in pictures:
            archive.add(picture.resolve(), f"rows/{DATA}/bounding_box_train/{picture.name}")
        for empty in ("query", "bounding_box_test"):  # the layout is known by these folders
            entry = tarfile.TarInfo(f"rows/{DATA}/{empty}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        if (data / "keypoints14.npz").exists():
            _add_bytes(archive, f"rows/{DATA}/keypoints14.npz", _training_keypoints(data / "keypoints14.npz"))
        if parser is not None:
            archive.add(parser / "model.safetensors" if parser.is_dir() else parser, f"rows/{PARSER}")
        if objects is not None:
            for kind in folders_in(objects):
                for file in objects_of(kind, "train"):
                    archive.add(file.resolve(), f"rows/{OBJECTS}/{kind.name}/{file.name}")
                for file in objects_of(kind, "test"):  # names stay, empty of pixels: how many there are decides
                    _add_bytes(archive, f"rows/{OBJECTS}/{kind.name}/{file.name}", b"")
        if people is not None:  # the last 50 photos are for tests
            for photo in (one for one in pictures_in(people / "images") if not is_test_photo(one)):
                archive.add(photo.resolve(), f"rows/{PEOPLE}/images/{photo.name}")
                persons = people / "instances" / f"{photo.stem}.png"
                archive.add(persons.resolve(), f"rows/{PEOPLE}/instances/{persons.name}")
    size = out.stat().st_size
    if size > LARGEST_PACK:
        out.unlink()
        sys.exit(f"The pack takes {size / 2**20:.1f} MiB; at most {LARGEST_PACK // 2**20} MiB may go out.")
    return size


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _training_keypoints(path: Path) -> bytes:
    """The `train_*` arrays alone."""
    held = io.BytesIO()
    with np.load(path, allow_pickle=False) as file:
        np.savez_compressed(held, **{name: file[name] for name in file.files if name.startswith("train_")})
    return held.getvalue()


def split(source: Path, target: Path, *, largest: int = LARGEST_FILE) -> list[Path]:
    """Copy a file, in pieces NAME.00, NAME.01, … where it is larger than `largest` bytes; older pieces go.

    Last comes NAME.sha256: without it, or with another sum, what is there is not whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in [_sum_of(target), target, *_pieces(target)]:
        old.unlink(missing_ok=True)
    if source.stat().st_size <= largest:
        shutil.copyfile(source, target)
    else:
        with source.open("rb") as file:
            for number, content in enumerate(iter(lambda: file.read(largest), b"")):
                target.with_name(f"{target.name}.{number:02d}").write_bytes(content)
    _sum_of(target).write_text(f"{sha256(source)}  {target.name}\n", encoding="utf-8")
    return _pieces(target)


def _sum_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _pieces(target: Path) -> list[Path]:
    return [target] if target.exists() else sorted(target.parent.glob(f"{target.name}.[0-9][0-9]"))


def is_whole(target: Path) -> bool:
    """Whether all that `split` wrote of a file is there, to the last byte."""
    if not _sum_of(target).exists():
        return False
    found = hashlib.sha256()
    for piece in _pieces(target):
        found.update(piece.read_bytes())
    return _sum_of(target).read_text(encoding="utf-8").split()[:1] == [found.hexdigest()]


def join(folder: Path, target: Path) -> list[Path]:
    """Undo `split` for every file of a folder; returns those that are not whole, which are left out."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    pieces = [path.suffix == ".sha256" or path.suffix[1:].isdigit() for path in paths]
    files = sorted({path.with_suffix("") if piece else path for path, piece in zip(paths, pieces, strict=True)})
    whole = [file for file in files if is_whole(file)]
    for file in whole:
        to = target / file.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(b"".join(piece.read_bytes() for piece in _pieces(file)))
    return [file for file in files if file not in whole]


def command(job: Job, seed: int, root: Path, recipe: Path, run: Path) -> list[str]:
    """The training command of one row and seed."""
    words = [sys.executable, "-m", "resight", "train", "embedder", "--recipe", str(recipe), "--seed", str(seed)]
    words += ["--data", str(root / DATA), "--out", str(run), "--validation-persons", str(PERSONS)]
    words += ["--parts", str(root / "parts")] if job.needs_maps else []
    words += ["--occluders", str(root / OBJECTS)] if job.pastes else []
    return words + (["--people", str(root / PEOPLE)] if job.pastes and (root / PEOPLE).exists() else [])


def missing(job: Job, root: Path, resnet50: Path | None) -> str:
    """Why a row cannot be trained from this pack; empty when it can."""
    if job.backbone == LARGE and resnet50 is None:
        return "no ImageNet weights of ResNet-50 (--resnet50 FILE)"
    if job.needs_maps and not (root / PARSER).exists():
        return "no parser in the pack"
    return "no objects in the pack" if job.pastes and not (root / OBJECTS).exists() else ""


def write_recipe(job: Job, folder: Path, resnet50: Path | None) -> Path:
    """The row's recipe as a file; an unknown key or name is an error here, before anything is trained."""
    recipe = load_toml(EmbedderRecipe, job.recipe, job.changes)
    if job.by_baseline:
        common, own = load_toml(EmbedderRecipe, "baseline-lite"), {*OF_THE_METHOD, "backbone", "covering"}
        shared = {one.name: getattr(common, one.name) for one in fields(common) if one.name not in own}
        recipe = replace(recipe, **shared)
    if job.backbone == LARGE:
        recipe = replace(recipe, backbone_weights=str(resnet50) if resnet50 else "none")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job.name}.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    return path


def run_until(words: list[str], end: float) -> int | None:
    """Run a command until it ends or `end` (of the monotonic clock) is near: then None, its state saved."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: the training would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(words)
    try:
        return process.wait(timeout=max(1.0, end - MARGIN_S - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # training saves its exact state
        try:
            process.wait(timeout=MARGIN_S / 2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None


def bring_home(run: Path, home: Path) -> None:
    """Half-precision weights and JSON of a finished run; of an unfinished one its exact state too."""
    for path in (run / name for name in KEPT if (run / name).exists()):
        split(path, home / path.name)
    if (run / "model.safetensors").exists():
        model = load_model(run)
        half = run / "half.safetensors"
        save_model(half, model.network.state_dict(), model.settings, half=True)
        split(half, home / "model.safetensors")
        half.unlink()
        shutil.rmtree(home / "last", ignore_errors=True)
    elif (run / "last" / "state.pt").exists():
        split(run / "last" / "state.pt", home / "last" / "state.pt")


def train(root: Path, home: Path, *, minutes: float, jobs: list[tuple[Job, int]], resnet50: Path | None) -> int:
    """One step over the rows; returns the exit code."""
    end = time.monotonic() + 60 * minutes
    if any(job.needs_maps for job, _ in jobs) and not (root / "parts" / "done").exists():
        words = [sys.executable, "-m", "resight", "parts", str(root / DATA), "--model", str(root / PARSER)]
        code = run_until([*words, "--out", str(root / "parts")], end)
        if code != 0:
            return 3 if code is None else 1
        (root / "parts" / "done").touch()
    failed = 0
    for job, seed in jobs:
        run, kept = root / "runs" / f"{job.name}-{seed}", home / f"{job.name}-{seed}"
        if is_whole(kept / "model.safetensors"):
            continue
        if end - time.monotonic() < 2 * MARGIN_S:
            return 3
        if not run.exists() and is_whole(kept / "last" / "state.pt"):  # begun on a machine that is gone
            join(kept, run)
        code = run_until(command(job, seed, root, write_recipe(job, root / "recipes", resnet50), run), end)
        bring_home(run, kept)
        if code is None:
            return 3
        failed += code != 0
    return 1 if failed else 0


def main() -> int:
    """Take the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    packing = steps.add_parser("pack")
    packing.add_argument("data", type=Path)
    packing.add_argument("--parser", default="parser-lite", help="shipped name, run folder or weights file")
    packing.add_argument("--objects", type=Path, help="KIND/*.png with alpha")
    packing.add_argument("--people", type=Path, help="Penn-Fudan's folder: images, instances")
    packing.add_argument("--out", type=Path, default=Path("rows.tar"))
    training = steps.add_parser("train")
    training.add_argument("root", type=Path, help="the unpacked folder")
    training.add_argument("--out", type=Path, default=Path("home"))
    training.add_argument("--minutes", type=float, default=10.0)
    training.add_argument("--rows", nargs="+", choices=[job.name for job in JOBS], default=[job.name for job in JOBS])
    training.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    training.add_argument("--resnet50", type=Path, help="torchvision's weights")
    training.add_argument("--dry-run", action="store_true")
    joining = steps.add_parser("join")
    joining.add_argument("folder", type=Path)
    joining.add_argument("target", type=Path)
    options = parser.parse_args()
    if options.step == "pack":
        parser_file = find_parser(options.parser)
        size = pack(options.data, options.out, parser=parser_file, objects=options.objects, people=options.people)
        print(f"{options.out}: {size / 2**20:.1f} MiB")
        return 0
    if options.step == "join":
        for file in (broken := join(options.folder, options.target)):
            print(f"{file} is not whole and was left out: bring it home again.", file=sys.stderr)
        return 1 if broken else 0
    rows = [(job, missing(job, options.root, options.resnet50)) for job in JOBS if job.name in options.rows]
    for job, why in rows:
        if why:
            print(f"{job.name}: left out, {why}", file=sys.stderr)
    todo = [(job, seed) for seed in options.seeds for job, why in rows if not why]
    if options.dry_run:
        for job, seed in todo:
            recipe = write_recipe(job, options.root / "recipes", options.resnet50)
            run = options.root / "runs" / f"{job.name}-{seed}"
            print(json.dumps(command(job, seed, options.root, recipe, run)))
        return 0
    return train(options.root, options.out, minutes=options.minutes, jobs=todo, resnet50=options.resnet50)


if __name__ == "__main__":
    sys.exit(main())
