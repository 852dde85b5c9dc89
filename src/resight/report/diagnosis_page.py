"""The page of a diagnosis: one HTML file in two languages that opens without any network.

The first screen is one sentence, one bar that sums to 1 - mAP and the three worst strips of the top cause. A small
script, allowed by its hash alone, sorts, filters and switches the language; without it the page shows everything.
Proof: tests/report/test_diagnosis_page.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment
from markupsafe import Markup

from resight.data.files import write_text
from resight.report.diagnosis_charts import dose_chart, fills, loss_bar, pattern_sheet, scatter_chart
from resight.report.diagnosis_facts import DiagnosisInput, DifferenceInput, Look, Segment, Shown
from resight.report.facts import Strip, Tile
from resight.report.pages import MOST_BYTES, encode_all, environment, points, script_hash
from resight.report.pictures import Pixels
from resight.report.words import Both, Language, cause_name, joined, say, spoken

BRIEF: Final = 5
"""Nearest pictures in a strip that stands beside others."""


def write_diagnosis(
    path: Path,
    page: DiagnosisInput,
    pictures: Mapping[str, Pixels],
    overlays: Mapping[str, Pixels] | None = None,
    *,
    language: Language = "en",
) -> None:
    """Write the page; `pictures` and `overlays` (body parts over them) map file names to pixels."""
    text = render_diagnosis(page, pictures, overlays or {}, language=language)
    write_text(path, text)


def render_diagnosis(
    page: DiagnosisInput,
    pictures: Mapping[str, Pixels],
    overlays: Mapping[str, Pixels],
    *,
    language: Language = "en",
    most_bytes: int = MOST_BYTES,
) -> str:
    """Return the page, below `most_bytes`: pictures of the last strips are left out first."""
    groups = [_files(one) for one in page.worst]
    groups += [[t.file for t in (*one.first_tiles, *one.second_tiles)] for one in page.suspects]
    groups += [_files(one)[: BRIEF + 1] for gallery in page.galleries for one in (*gallery.losing, *gallery.fine)]
    budget = most_bytes
    while True:
        share = 0.5 if overlays else 1.0
        coded, kept = encode_all(groups, pictures, int(budget * 0.85 * share))
        laid, _ = encode_all(groups[:kept], overlays, int(budget * 0.85 * share))
        places = {file: place for place, file in enumerate(coded)}
        notes = [*page.notes]
        if kept < len(groups):
            notes.append(say("fewer", kept=kept, all=len(groups)))
        links = {one.strip.query.file: f"q{place}" for place, one in enumerate(page.worst, start=1)}
        for row, gallery in enumerate(page.galleries):
            for place, one in enumerate((*gallery.losing, *gallery.fine)):
                links.setdefault(one.strip.query.file, f"g{row}-{place}")
        text = _render(
            language,
            page=page,
            notes=notes,
            places=places,
            sources=[(place, coded[file]) for file, place in places.items()],
            overlays=[(places[file], source) for file, source in laid.items() if file in places],
            sentence=lost_sentence(page.mean_ap, page.segments),
            bar=loss_bar(page.segments),
            bar_said=say("bar_said", parts=_parts(page.segments)),
            segments=page.segments,
            check=check_line(page.mean_ap, page.segments),
            scatters=[(one.cause, scatter_chart(one, links)) for one in page.scatters],
            curves=[(one, dose_chart(one)) for one in page.curves],
            difference=None,
        )
        if len(text.encode()) <= most_bytes or budget < 1000:
            return text
        budget = int(budget * 0.8)


def write_difference(path: Path, difference: DifferenceInput, *, language: Language = "en") -> None:
    """Write the page that compares two diagnoses."""
    one = difference.whole
    ends = "" if math.isnan(one.low) else f", {signed(-one.high)} … {signed(-one.low)}"
    sentence = say("compared", a=points(1 - one.first), b=points(1 - one.second), change=signed(-one.more) + ends)
    text = _render(language, page=None, notes=[], places={}, sources=[], sentence=sentence, difference=difference)
    write_text(path, text)


def lost_sentence(mean_ap: float, segments: tuple[Segment, ...]) -> Both:
    """The whole diagnosis in one sentence."""
    if sum(one.loss for one in segments) == 0:
        return say("lost_nothing", map=points(mean_ap))
    return say("lost", map=points(mean_ap), loss=points(1 - mean_ap), parts=_parts(segments))


def check_line(mean_ap: float, segments: tuple[Segment, ...]) -> Both:
    """What the bar sums to, beside what it should sum to."""
    total = sum(one.loss for one in segments)
    off = f"{abs(total - (1 - mean_ap)):.0e}"
    return say("check", sum=f"{total * 100:.4f}", loss=f"{(1 - mean_ap) * 100:.4f}", off=off)


def signed(value: float) -> str:
    """Hundredths with a sign and one digit."""
    return f"{value * 100:+.1f}".replace("-", "−")


def look(one: Look, *, sign: bool = True) -> Markup:
    """A number with its interval below, or what is said in its place."""
    if math.isnan(one.value):
        return Markup('<span class="soft">{}</span>').format(one.note or say("not_measured"))
    write = signed if sign else points
    ends = "" if math.isnan(one.low) else f"{write(one.low)} … {write(one.high)}"
    return Markup("{} <small>{}</small> <small>{}</small>").format(write(one.value), ends, one.note or "")


def _parts(segments: tuple[Segment, ...]) -> Both:
    found = []
    for one in segments:
        name = cause_name(one.cause)
        if math.isnan(one.low):
            found.append(say("share", cause=name, loss=points(one.loss)))
        else:
            half = points((one.high - one.low) / 2)
            found.append(say("share_within", cause=name, loss=points(one.loss), half=half))
    return joined(found)


def _files(one: Shown) -> list[str]:
    return [tile.file for tile in (one.strip.query, *one.strip.top, *one.strip.matches)]


def _render(language: Language, **values: object) -> str:
    made = _environment()
    templates = files("resight.report") / "templates"
    script = (templates / "diagnosis.js").read_text(encoding="utf-8").strip()
    segments = values.get("segments") or ()
    values = {"overlays": [], "segments": (), **values, "fills": fills(segments) if segments else {}}  # type: ignore[arg-type]
    values |= {
        "language": language,
        "script": Markup(script),
        "digest": script_hash(script),
        "patterns": pattern_sheet(),
    }
    return made.get_template("diagnosis.html.j2").render(values)


def _environment() -> Environment:
    made = environment()
    made.filters |= {
        "cause": cause_name,
        "signed": signed,
        "look": look,
        "said": lambda words, attribute: spoken(attribute, words),
        "titled": lambda tile: spoken("title", _tile_words(tile)),
        "strip_head": lambda strip: say("strip_head", person=strip.query.person, rank=strip.first_match),
        "matches_title": _matches_title,
        "json": lambda value: Markup(json.dumps(value)),
    }
    made.globals["say"] = say
    made.globals["brief"] = BRIEF
    return made


def _matches_title(strip: Strip) -> Both:
    if len(strip.matches) < strip.match_count:
        return say("matches_some", shown=len(strip.matches), all=strip.match_count)
    return say("matches_all")


def _tile_words(tile: Tile) -> Both:
    if tile.right is None:
        parts = [say("tile_query")]
    else:
        parts = [say("tile_right" if tile.right else "tile_wrong"), say("tile_rank", rank=tile.rank)]
    parts.append(say("tile_person", person=tile.person))
    if tile.camera:
        parts.append(say("tile_camera", camera=tile.camera))
    return joined([*parts, Both(tile.file, tile.file)])
