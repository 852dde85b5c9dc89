"""One HTML file with the scores, the curves and the worst strips, that opens without any network.

Each picture is stored once, as a style that tiles refer to. The page holds no script and forbids itself every address
outside the file. It stays below MOST_BYTES: first the pictures are coded more coarsely, then the last strips are left
out, and the page says so.
Proof: tests/report/test_pages.py.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from resight.data.files import write_text
from resight.data.sampling import evenly
from resight.report.charts import ap_chart, cmc_chart, distance_chart
from resight.report.facts import Interval, ReportInput, Strip, Tile
from resight.report.pictures import Pixels, camera_name, encode, matches_title, rank_name
from resight.report.words import Both, say, spoken

MOST_BYTES: Final = 7_900_000
QUALITIES: Final = (82, 68, 50)
_PICTURE_SHARE: Final = 0.75
"""Share of the page that pictures may fill before they are coded more coarsely."""
_SAMPLE: Final = 48


def write_page(path: Path, report: ReportInput, pictures: Mapping[str, Pixels]) -> int:
    """Write the page to `path` and return how many strips it holds; `pictures` maps file names to pixels."""
    page, shown = render_page(report, pictures)
    write_text(path, page)
    return shown


def render_page(
    report: ReportInput, pictures: Mapping[str, Pixels], *, most_bytes: int = MOST_BYTES
) -> tuple[str, int]:
    """Return the page and how many of the strips fit into `most_bytes`."""
    coded, keep = encode_all([[tile.file for tile in tiles_of(one)] for one in report.strips], pictures, most_bytes)
    template = environment().get_template("report.html.j2")
    while True:
        page = template.render(template_input(report, keep, coded))
        size = len(page.encode())
        if size <= most_bytes or keep == 0:
            return page, keep
        keep = min(int(keep * most_bytes / size * 0.98), keep - 1)


def template_input(report: ReportInput, keep: int, coded: Mapping[str, str]) -> dict[str, object]:
    """Everything that the template reads, for the first `keep` strips."""
    strips = report.strips[:keep]
    used = {tile.file: None for strip in strips for tile in tiles_of(strip)}
    places = {file: place for place, file in enumerate(used) if file in coded}
    absent = len(used) - len(places)
    notes = list(report.notes)
    if keep < len(report.strips):
        notes.append(f"The page holds {keep} of {len(report.strips)} strips, to stay below 8 MB.")
    if used and not places:
        notes.append("No picture was found, so tiles show file names: name the data set's folder with --images.")
    elif absent:
        notes.append(f"{absent} of {len(used)} pictures could not be read; their tiles show file names.")
    return {
        "report": replace(report, strips=strips, notes=tuple(notes)),
        "places": places,
        "sources": [(place, coded[file]) for file, place in places.items()],
        "cmc": cmc_chart(report.scores.cmc),
        "aps": ap_chart(report.ap),
        "distances": distance_chart(report.histogram, report.distance_name) if report.histogram else None,
    }


def tiles_of(strip: Strip) -> tuple[Tile, ...]:
    """All tiles of a strip, the query first."""
    return (strip.query, *strip.top, *strip.matches)


def points(share: float) -> str:
    """Write a share in 0..1 in hundredths with one digit."""
    return f"{share * 100:.1f}"


def percent(share: float) -> str:
    """Write a score in 0..1 as percent with one digit."""
    return f"{points(share)}%"


def interval(bounds: Interval | None) -> str:
    """Write an interval in percent, or nothing."""
    return f"{points(bounds[0])}–{percent(bounds[1])}" if bounds else ""


def environment() -> Environment:
    """Templates of this package, with what they need to write scores, tiles and strips in English."""
    made = Environment(
        loader=PackageLoader("resight.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "points": points,
        "interval": interval,
        "camera": camera_name,
        "rank": rank_name,
        "matches_title": matches_title,
        "titled": lambda tile: spoken("title", Both(tile_words(tile), tile_words(tile))),
        "strip_head": lambda strip: say("strip_head", person=strip.query.person, rank=strip.first_match).en,
    }
    made.globals["say"] = lambda name: say(name).en
    return made


def script_hash(script: str) -> str:
    """What a page's policy names the one script by that it allows."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def tile_words(tile: Tile) -> str:
    """Everything about a tile in words, for a reader who does not see it."""
    if tile.right is None:
        parts = ["query"]
    else:
        tied = ", tied" if tile.tied else ""
        parts = ["right" if tile.right else "wrong", f"rank {tile.rank}{tied}", f"distance {tile.distance:.3f}"]
    parts += [f"person {tile.person}", f"camera {tile.camera}" if tile.camera else "", tile.file]
    return ", ".join(part for part in parts if part)


def encode_all(
    groups: Sequence[Sequence[str]], pictures: Mapping[str, Pixels], most_bytes: int
) -> tuple[dict[str, str], int]:
    """Code the pictures of as many groups as may fit, as data addresses, as finely as the budget allows."""
    used = [file for file in dict.fromkeys(file for group in groups for file in group) if file in pictures]
    some = [used[place] for place in evenly(len(used), _SAMPLE)]
    quality = QUALITIES[-1]
    for candidate in QUALITIES:
        mean = sum(len(encode(pictures[file], quality=candidate)[1]) for file in some) / max(len(some), 1)
        if mean * len(used) * 4 / 3 <= most_bytes * _PICTURE_SHARE:
            quality = candidate
            break
    coded: dict[str, str] = {}
    total = 0
    for number, group in enumerate(groups):
        for file in dict.fromkeys(file for file in group if file in pictures and file not in coded):
            kind, data = encode(pictures[file], quality=quality)
            coded[file] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
            total += len(coded[file])
        if total > most_bytes:
            return coded, number
    return coded, len(groups)
