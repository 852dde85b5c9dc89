"""How rendered people differ from real crops in brightness, colour and sharpness.

    python benchmarks/people_looks.py MARKET_1501_FOLDER

Reads training crops of Market-1501 (never queries or gallery) and draws as many rendered ones at 128 × 64 after JPEG,
measures every crop, and compares the distributions: quantiles of both, and how far apart they are on average (the
1-Wasserstein distance) as a share of the real spread. Curves go to docs/people_histograms.png, numbers to
results/people_looks.json. No crop is kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import RESULTS
from PIL import Image
from scipy import ndimage, stats

PICTURE = Path(__file__).parents[1] / "docs" / "people_histograms.png"
SEED, CAMERAS = 11, 24
QUANTILES = (5, 25, 50, 75, 95)
LUMA = np.array([0.299, 0.587, 0.114])


def _luma(crop: np.ndarray) -> np.ndarray:
    return np.asarray(crop @ LUMA)


def _saturation(crop: np.ndarray) -> float:
    most, least = crop.max(2), crop.min(2)
    return float(((most - least) / np.maximum(most, 1)).mean() * 100)


def _edges(crop: np.ndarray) -> np.ndarray:
    return np.abs(ndimage.laplace(_luma(crop)))


MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "luma, mean": lambda crop: float(_luma(crop).mean()),
    "luma, spread": lambda crop: float(_luma(crop).std()),
    "saturation, %": _saturation,
    "red, mean": lambda crop: float(crop[:, :, 0].mean()),
    "green, mean": lambda crop: float(crop[:, :, 1].mean()),
    "blue, mean": lambda crop: float(crop[:, :, 2].mean()),
    "warmth, stops of red over blue": lambda crop: float(
        np.log2((crop[:, :, 0].mean() + 1) / (crop[:, :, 2].mean() + 1))
    ),
    "sharpness (Laplacian)": lambda crop: float(_edges(crop).mean()),
    "sharpness of the side columns": lambda crop: float(_edges(crop)[:, np.r_[:8, -8:0]].mean()),
}


def real(folder: Path, count: int) -> list[np.ndarray]:
    """Training crops of Market-1501, by chance."""
    from resight.data.reid_sets import find_set

    paths = [crop.path for crop in find_set(folder).crops("train")]
    chosen = np.random.default_rng(SEED).choice(len(paths), count, replace=False)
    return [np.asarray(Image.open(paths[row]).convert("RGB"), float) for row in sorted(chosen.tolist())]


def rendered(count: int) -> list[np.ndarray]:
    """One crop of each of `count` persons, cameras in turn."""
    from resight.data.degrade import compress
    from resight.people.plan import Plan, shots
    from resight.people.shoot import shoot

    plan = Plan(persons=count, cameras=CAMERAS, pictures=1, seed=SEED)
    found = []
    for person in range(1, count + 1):
        picture = shoot(plan, list(shots(plan, person))[person % CAMERAS])
        found.append(compress(picture.pixels, quality=picture.quality).astype(float))
    return found


def draw_curves(values: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Smoothed histograms, one small chart for each measure."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, charts = pyplot.subplots(3, 3, figsize=(9, 6))
    for chart, (name, pair) in zip(charts.flat, values.items(), strict=True):
        at = np.linspace(*np.percentile(np.concatenate(pair), [0.5, 99.5]), 200)
        for one, colour, label in zip(pair, ("black", "tab:red"), ("Market-1501, training", "rendered"), strict=True):
            chart.plot(at, stats.gaussian_kde(one)(at), color=colour, label=label)
        chart.set_title(name, fontsize=9)
        chart.set_yticks([])
        chart.tick_params(labelsize=7)
    charts[0, 0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=300)
    args = parser.parse_args()
    from resight.people.plan import FORMAT
    from resight.train.resources import surroundings

    crops = real(args.folder, args.crops), rendered(args.crops)
    table, values = {}, {}
    for name, measure in MEASURES.items():
        one, two = (np.array([measure(crop) for crop in half]) for half in crops)
        values[name] = (one, two)
        table[name] = {
            "real": np.percentile(one, QUANTILES).round(3).tolist(),
            "rendered": np.percentile(two, QUANTILES).round(3).tolist(),
            "apart_in_real_spreads": round(float(stats.wasserstein_distance(one, two) / one.std()), 3),
        }
        print(f"{name:32s} real {table[name]['real']} rendered {table[name]['rendered']}")
    found = {"crops": args.crops, "seed": SEED, "cameras": CAMERAS, "format": FORMAT, "quantiles": QUANTILES}
    path = RESULTS / "people_looks.json"
    path.write_text(json.dumps({**found, "measures": table, **surroundings()}, indent=1) + "\n", encoding="utf-8")
    draw_curves(values, PICTURE)
    print(path, PICTURE, sep="\n")


if __name__ == "__main__":
    main()
