"""Charts of the diagnosis page as inline SVG, in the page's colours and with patterns that do without them.

Proof: tests/report/test_diagnosis_page.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from resight.report.charts import HEIGHT, WIDTH, beside, plot_x, plot_y, round_ticks, svg, text
from resight.report.diagnosis_facts import DoseCurve, Scatter, Segment
from resight.report.words import cause_name, say

COLOURS: Final = 7
"""Of segments; those that share one have other lines. `unexplained` has its own."""
_BASE: Final = HEIGHT - 40.0
_TOP: Final = 14.0
_FILLS: Final = (
    "",
    '<path d="M-2 2L2-2M0 8L8 0M6 10L10 6"/>',
    '<circle cx="2" cy="2" r="1.4"/><circle cx="6" cy="6" r="1.4"/>',
    '<path d="M0 4H8"/>',
    '<path d="M4 0V8"/>',
    '<path d="M0 0L8 8M-2 6L2 10M6-2L10 2"/>',
    '<path d="M0 4H8M4 0V8"/>',
    '<circle cx="4" cy="4" r="2.6"/>',
    '<path d="M0 6L4 2L8 6"/>',
    '<path d="M2 2H6V6H2Z"/>',
    '<path d="M0 2H8M0 6H8"/>',
    '<path d="M2 0V8M6 0V8"/>',
    '<path d="M4 2V6M2 4H6"/>',
    '<path d="M0 0L8 8M8 0L0 8"/>',
    '<path d="M4 0L8 4L4 8L0 4Z"/>',
)


def fills(segments: Sequence[Segment]) -> dict[str, str]:
    """The fill of each cause, by number; `rest` for what is unexplained."""
    named = [one.cause for one in segments if one.cause != "unexplained"]
    return {cause: str(place % len(_FILLS)) for place, cause in enumerate(named)} | {"unexplained": "rest"}


def pattern_sheet() -> Markup:
    """Definitions of the fills, once a page."""
    parts = []
    for place, lines in enumerate(_FILLS):
        ground = f'<rect width="8" height="8" class="ground g{place % COLOURS}"/>'
        pattern = f'<pattern id="fill{place}" width="8" height="8" patternUnits="userSpaceOnUse">'
        parts.append(f'{pattern}{ground}<g class="ink">{lines}</g></pattern>')
    rest = '<rect width="8" height="8" class="ground grest"/>'
    parts.append(f'<pattern id="fillrest" width="8" height="8" patternUnits="userSpaceOnUse">{rest}</pattern>')
    return Markup(f'<svg width="0" height="0" class="defs" aria-hidden="true"><defs>{"".join(parts)}</defs></svg>')


def loss_bar(segments: Sequence[Segment]) -> Markup:
    """One bar as wide as the loss; lengths are shares of it, so text keeps its size on every screen."""
    total = sum(one.loss for one in segments)
    numbers = fills(segments)
    parts, at = [], 0.0
    for one in segments:
        width = 100 * one.loss / total if total else 0.0
        if width <= 0:
            continue
        box = f'x="{at:.4f}%" width="{width:.4f}%" y="1" height="58"'
        parts.append(f'<rect {box} class="piece" fill="url(#fill{numbers[one.cause]})"/>')
        middle = f'x="{at + width / 2:.3f}%" text-anchor="middle"'
        if width >= 4.5:
            kind = "points" if width >= 9 else "points narrow"
            parts.append(f'<text {middle} y="{26 if width >= 14 else 36}" class="{kind}">{one.loss * 100:.1f}</text>')
        if width >= 14:
            name = cause_name(one.cause)
            parts.append(f'<text {middle} y="46" class="name" lang="en">{escape(name.en)}</text>')
            parts.append(f'<text {middle} y="46" class="name" lang="zh">{escape(name.zh)}</text>')
        at += width
    return Markup(f'<svg class="lossbar" width="100%" height="60" aria-hidden="true">{"".join(parts)}</svg>')


def scatter_chart(one: Scatter, links: Mapping[str, str]) -> Markup:
    """AP of each query over a signal; diamonds where the first picture is wrong, the threshold dashed."""
    ends = [float(np.min(one.values)), float(np.max(one.values)), one.threshold]
    low, high = min(ends), max(ends)
    high += (high - low) * 0.03 or 1.0
    parts = _frame((0.0, 0.5, 1.0), low, high, 0.0, 1.0, lambda value: f"{value:g}")
    line = plot_x(one.threshold, low, high)
    parts.append(f'<line class="mark" x1="{line:.1f}" x2="{line:.1f}" y1="{_TOP}" y2="{_BASE}"/>')
    for value, ap, right, file in zip(one.values.tolist(), one.ap.tolist(), one.right, one.files, strict=True):
        x, y = plot_x(value, low, high), plot_y(ap, 0.0, 1.0)
        shape = (
            f'<circle class="hit" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>'
            if right
            else f'<path class="miss" d="M{x:.1f} {y - 4.6:.1f}l4.6 4.6-4.6 4.6-4.6-4.6z"/>'
        )
        if file in links:
            shape = f'<a href="#{links[file]}" aria-label="{escape(file)}">{shape}</a>'
        parts.append(shape)
    for language, said in (("en", one.axis.en), ("zh", one.axis.zh)):
        below = text((WIDTH + 40) / 2, HEIGHT - 6, str(escape(said)), anchor="middle")
        parts.append(f'<g lang="{language}">{below}</g>')
    return svg(say("scatter_said", signal=one.axis), parts)


def dose_chart(one: DoseCurve) -> Markup:
    """Change of mAP by level with its interval, over where the set's own pictures lie."""
    low, high = one.levels[0], one.levels[-1]
    most = max(0.0, *one.high)
    room = (one.difference[-1] - 0.14 * most) / 0.86  # for the number below the last point
    least = min(-0.05, *one.low, room)
    ticks = round_ticks(least, most)
    parts = _frame(ticks, low, high, least, most, lambda value: f"{value * 100:+g}" if value else "0", one.levels)
    x = [plot_x(level, low, high) for level in one.levels]
    for at, share in zip(x, one.real, strict=False):
        height = share * 0.45 * (_BASE - _TOP)
        box = f'x="{at - 7:.1f}" y="{_BASE - height:.1f}" width="14" height="{height:.1f}"'
        parts.append(f'<rect class="real" {box}/>')
    band = [f"{a:.1f} {plot_y(v, least, most):.1f}" for a, v in zip(x, one.high, strict=True)]
    band += [f"{a:.1f} {plot_y(v, least, most):.1f}" for a, v in zip(x[::-1], one.low[::-1], strict=True)]
    parts.append(f'<path class="band" d="M{"L".join(band)}Z"/>')
    points = [(a, plot_y(v, least, most)) for a, v in zip(x, one.difference, strict=True)]
    parts.append(f'<path class="line" d="M{"L".join(f"{a:.1f} {b:.1f}" for a, b in points)}"/>')
    parts += [f'<circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="4"/>' for a, b in points]
    parts.append(beside(*points[-1], f"{one.difference[-1] * 100:+.1f}", left=True))
    parts.append(text((WIDTH + 40) / 2, HEIGHT - 6, str(escape(one.unit)), anchor="middle"))
    return svg(cause_name(one.cause), parts)


def _frame(
    ticks: Sequence[float],
    low: float,
    high: float,
    bottom: float,
    top: float,
    write: Callable[[float], str],
    levels: Sequence[float] = (),
) -> list[str]:
    """Grid, numbers on the left, numbers below."""
    parts = []
    for value in ticks:
        y = plot_y(value, bottom, top)
        parts.append(f'<line class="grid" x1="40" x2="{WIDTH - 14}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(33, y + 4, write(value), anchor="end"))
    for value in levels or round_ticks(low, high):
        parts.append(text(plot_x(value, low, high), _BASE + 17, f"{value:g}", anchor="middle"))
    return parts
