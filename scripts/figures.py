"""Draw the README's picture: one query of the sample, what the shipped model finds, and where the true matches stand.

`make figures` calls this. People of the sample are rendered; no picture of a research set is opened.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from resight.commands.embed import embed_set
from resight.commands.report import describe
from resight.data.reid_sets import find_set
from resight.model import DEFAULT_MODEL, load_model
from resight.report.pages import tiles_of
from resight.report.pictures import draw_strip, read_shrunk

REPOSITORY: Final = Path(__file__).resolve().parent.parent
TELLING: Final = 0.6
"""Average precision of the strip to show: some answers right, some wrong."""


def main() -> None:
    """Write docs/strip.png."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", default=DEFAULT_MODEL, help="a shipped name, a run folder or a weights file")
    words.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "strip.png")
    wanted = words.parse_args()
    people = find_set("sample")
    features = embed_set(people, load_model(wanted.model))
    page = describe(features, "market", worst=len(features.query.files), title="sample", model=wanted.model)
    strip = min(page.strips, key=lambda strip: abs(strip.ap - TELLING))
    pictures = read_shrunk({tile.file for tile in tiles_of(strip)}, (people.root,), blur_heads=False)
    wanted.out.parent.mkdir(exist_ok=True)
    draw_strip(strip, pictures).quantize(256).save(wanted.out, optimize=True)
    print(wanted.out)


if __name__ == "__main__":
    main()
