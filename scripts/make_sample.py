"""Draw the sample that ships inside the package; the same Pillow draws the same bytes.

Run it after changing the toy people: `PYTHONPATH=src:tests python scripts/make_sample.py`.
Proof: tests/test_sample.py draws it again and compares.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Final

import PIL

from toy_people import ToyCounts, write_market

SEED: Final = 1501
QUALITY: Final = 78
COUNTS: Final = ToyCounts(
    train_persons=16, persons=20, cameras=4, per_camera=2, junk=10, distractors=24, trouble=0.2, look_alikes=0.3
)
SAMPLE: Final = Path(__file__).resolve().parents[1] / "src" / "resight" / "sample"

README: Final = """# The sample behind the word `sample`

{pictures} drawn pictures (64×128) of people who do not exist, in Market-1501's layout: {train} persons for training,
{test} for the test, {cameras} cameras, {junk} junk pictures (-1) and {distractors} distractors (0000). Some persons
dress alike, and some pictures are dark, blurred, badly cut or hidden in part, so that a model makes mistakes worth
looking at. Scores on it say that the program works, nothing about real people.

Drawn by scripts/make_sample.py from seed {seed} with Pillow {pillow}. Licence: CC0 1.0, see LICENSE.
"""

LICENSE: Final = """The pictures in this folder were drawn by a program and show nobody.

They are dedicated to the public domain under CC0 1.0 Universal: to the extent possible under law, the resight authors
waive all copyright and related rights to them. You can copy, modify, distribute and use them, even commercially,
without asking permission. Legal text: https://creativecommons.org/publicdomain/zero/1.0/legalcode
"""


def make_sample(root: Path) -> int:
    """Write the sample anew below `root` and return the bytes of its pictures."""
    if root.exists():
        shutil.rmtree(root)
    write_market(root, COUNTS, seed=SEED, quality=QUALITY)
    pictures = sorted(root.rglob("*.jpg"))
    facts = README.format(
        pictures=len(pictures),
        train=COUNTS.train_persons,
        test=COUNTS.persons,
        cameras=COUNTS.cameras,
        junk=COUNTS.junk,
        distractors=COUNTS.distractors,
        seed=SEED,
        pillow=PIL.__version__,
    )
    (root / "README.md").write_text(facts, encoding="utf-8")
    (root / "LICENSE").write_text(LICENSE, encoding="utf-8")
    return sum(path.stat().st_size for path in pictures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=SAMPLE, help="folder to write instead of the packaged one")
    chosen: Path = parser.parse_args().root
    print(f"{make_sample(chosen) / 1000:.0f} kB of pictures in {chosen}")
