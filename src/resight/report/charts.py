"""Curves as inline SVG: colours and text sizes come from the page's style sheet, so they follow light and dark.

The charts hold numbers and fixed words; a name given from outside is escaped. Proof: tests/report/test_charts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float
from markupsafe import Markup, escape

from resight.report.facts import Histogram
from resight.report.words import Both, spoken

WIDTH: Final = 350
HEIGHT: Final = 204
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 14.0, 14.0, 40.0
_RANK_TICKS: Final = (1, 2, 3, 5, 10, 20, 50)
_NAMED_RANKS: Final = (1, 5, 10, 20)


def cmc_chart(cmc: Float[np.ndarray, " R"]) -> Markup:
    """Share of queries with a true match among the first k pictures, for k on a logarithmic axis."""
    shares = _share_ticks(float(cmc[0]))
    low = shares[0]
    ranks = np.arange(1, len(cmc) + 1)
    reach = max(np.log(len(cmc)), 1e-9)
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * np.log(ranks) / reach
    y = _height(cmc, low, 1.0)
    parts = [_grid(shares)]
    for tick in _RANK_TICKS:
        if tick <= len(cmc):
            parts.append(text(x[tick - 1], HEIGHT - _BOTTOM + 17, str(tick), anchor="middle"))
    parts.append(f'<path class="line" d="{_path(x, y)}"/>')
    shown = ""
    for rank in _NAMED_RANKS:
        if rank <= len(cmc):
            px, py = float(x[rank - 1]), float(y[rank - 1])
            parts.append(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="4"/>')
            value = _percent(float(cmc[rank - 1]))
            if value != shown:  # a flat curve says its height once
                parts.append(beside(px, py, value, left=px + 44 > WIDTH))
            shown = value
    parts.append(text((WIDTH + _LEFT) / 2, HEIGHT - 6, "rank (logarithmic)", anchor="middle"))
    said = ", ".join(f"rank {rank} {_percent(float(cmc[rank - 1]))}" for rank in _NAMED_RANKS if rank <= len(cmc))
    return svg(f"Cumulative match curve: {said}", parts)


def distance_chart(histogram: Histogram, name: str) -> Markup:
    """Distances of true matches (filled) and of other people (outlined), each summing to one."""
    edges = histogram.edges
    span = max(float(edges[-1] - edges[0]), 1e-9)
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * (edges - edges[0]) / span
    top = max(float(histogram.matches.max(initial=0)), float(histogram.others.max(initial=0)), 1e-9)
    base = HEIGHT - _BOTTOM
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>']
    for kind, shares in (("matches", histogram.matches), ("others", histogram.others)):
        y = base - (base - _TOP) * shares / top
        steps_x, steps_y = np.repeat(x, 2), np.concatenate([[base], np.repeat(y, 2), [base]])
        parts.append(f'<path class="{kind}" d="{_path(steps_x, steps_y)}Z"/>')
    for value in round_ticks(float(edges[0]), float(edges[-1])):
        px = _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - float(edges[0])) / span
        parts.append(text(px, base + 17, f"{value:g}", anchor="middle"))
    parts.append(text((WIDTH + _LEFT) / 2, HEIGHT - 6, escape(name), anchor="middle"))
    return svg("Distances of true matches and of other people to the queries", parts)


def ap_chart(ap: Float[np.ndarray, " Q"]) -> Markup:
    """How many queries reach which AP, in ten bars."""
    counts, _ = np.histogram(ap, bins=10, range=(0, 1))
    base, most = HEIGHT - _BOTTOM, max(int(counts.max(initial=0)), 1)
    width = (WIDTH - _LEFT - _RIGHT) / 10
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>']
    for place, count in enumerate(counts.tolist()):
        height = (base - _TOP - 14) * count / most
        px = _LEFT + place * width
        box = f'x="{px + 2:.1f}" y="{base - height:.1f}" width="{width - 4:.1f}" height="{height:.1f}"'
        parts.append(f'<rect class="bar" {box}/>')
        if count:
            parts.append(text(px + width / 2, base - height - 5, f"{count:,}", anchor="middle", kind="value"))
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(text(_LEFT + tick * 10 * width, base + 17, f"{tick:g}", anchor="middle"))
    parts.append(text((WIDTH + _LEFT) / 2, HEIGHT - 6, "AP of a query", anchor="middle"))
    return svg("How many queries reach which average precision", parts)


def svg(said: str | Both, parts: Iterable[str]) -> Markup:
    """A chart of the page's size; `said` is read aloud in its place."""
    label = spoken("aria-label", said if isinstance(said, Both) else Both(said, said))
    inside = "".join(parts)
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {label}>{inside}</svg>')


def _share_ticks(first: float) -> list[float]:
    """Round shares up to 1, at most six, the lowest of them below `first`."""
    step = next(step for step in (0.05, 0.1, 0.2) if 1 - 5 * step <= max(first - step / 2, 0))
    return [round(1 - number * step, 10) for number in range(5, -1, -1) if 1 - (number - 1) * step > first - step / 2]


def beside(x: float, y: float, value: str, *, left: bool) -> str:
    """What a point of a curve is worth: below it on one side, or above it where the axis is near."""
    height = y - 9 if y + 20 > HEIGHT - _BOTTOM else y + 16
    return text(x - 6 if left else x + 6, height, value, anchor="end" if left else "start", kind="value")


def _grid(ticks: Sequence[float]) -> str:
    parts = []
    for value in ticks:
        y = plot_y(value, ticks[0], ticks[-1])
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(_LEFT - 7, y + 4, f"{value * 100:.0f}%", anchor="end"))
    return "".join(parts)


def _height(values: Float[np.ndarray, " N"], low: float, high: float) -> Float[np.ndarray, " N"]:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * (values - low) / max(high - low, 1e-9)


def _path(x: Float[np.ndarray, " N"], y: Float[np.ndarray, " N"]) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def text(x: float | int, y: float | int, words: str, *, anchor: str, kind: str = "tick") -> str:
    """One piece of text, already escaped."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def plot_x(value: float, low: float, high: float) -> float:
    """Where a value lies between the chart's left and right edge."""
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / max(high - low, 1e-9)


def plot_y(value: float, low: float, high: float) -> float:
    """Where a value lies between the chart's lower and upper edge."""
    return float(_height(np.asarray([value], np.float64), low, high)[0])


def _percent(share: float) -> str:
    return f"{share * 100:.1f}%"


def round_ticks(low: float, high: float) -> Sequence[float]:
    """List some five round numbers between `low` and `high`."""
    rough = max(high - low, 1e-9) / 5
    unit = 10 ** np.floor(np.log10(rough))
    step = float(min((unit * factor for factor in (1, 2, 5, 10)), key=lambda candidate: abs(candidate - rough)))
    return [round(number * step, 10) for number in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]
