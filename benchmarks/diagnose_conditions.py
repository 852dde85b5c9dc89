r"""How well each condition is told from pixels and maps: AUC on rendered people whose causes were planted.

    resight people --persons 150 --cameras 6 --seed 9 --cause-share 0.5 --out planted \
        --causes occlusion,multi_person,truncation,low_light,low_res,motion_blur,color_cast
    python benchmarks/diagnose_conditions.py planted
    python benchmarks/diagnose_conditions.py planted --most 400      # a quick look; nothing is written

Truth is what the renderer reached, in people.csv. A condition is there from the dose that its threshold speaks of (a
quarter of the body hidden, a tenth cut off, a twentieth of the crop somebody else), not there without any, and smaller
doses count as neither; `any_dose` counts them all. Lost detail and movement: either is no counterexample to the other.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from measuring import RESULTS

from resight.commands.conditions import conditions_of, open_parser
from resight.data.condition_names import condition_name
from resight.diagnose.labelled import Labels, agreement
from resight.diagnose.tables import read_table
from resight.diagnose.thresholds import read_thresholds
from resight.people.causes import UNITS
from resight.train.resources import surroundings

PLANTED = tuple(UNITS)
"""Conditions that rendered people can be made to show."""
HIDDEN, CUT, SECOND = 0.25, 0.1, 0.05
FREE = 0.1
"""Share of the body that may be out of sight of a person who counts as in full view."""


def answer(condition: str, row: dict[str, str], *, any_dose: bool) -> str:
    """Whether a rendered picture shows a condition: yes, no or unsure."""
    planted = condition_name(row["cause"]) == condition
    lost, second = 1 - float(row["visible"]), float(row["second_person"])
    if any_dose:
        return "yes" if planted else "unsure" if row["cause"] else "no"
    if condition == "multi_person":
        return "yes" if second >= SECOND else "unsure" if second > 0 or planted else "no"
    if condition == "occlusion":
        return "yes" if planted and lost >= HIDDEN else "no" if lost < FREE and not planted else "unsure"
    if condition == "truncation":
        return "yes" if planted and lost >= CUT else "unsure" if planted else "no"
    if condition == "low_res" and condition_name(row["cause"]) == "motion_blur":
        return "unsure"
    return "yes" if planted else "no"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("--parser", default=None)
    parser.add_argument("--most", type=int, default=0)
    chosen = parser.parse_args()
    rows = read_table(chosen.people / "people.csv")
    rng = np.random.default_rng(0)
    if chosen.most:
        rows = [rows[row] for row in sorted(rng.permutation(len(rows))[: chosen.most].tolist())]
    opened = open_parser(chosen.parser, flip=True)
    files = tuple(row["file"] for row in rows)
    found = conditions_of([chosen.people / file for file in files], files, opened, read_thresholds())
    persons = np.array([row["person"] for row in rows])
    seen, weights = np.ones(len(rows), np.bool_), np.ones(len(rows))
    result = {
        "pictures": len(rows),
        "parser": found.mask,
        "thresholds": found.thresholds.version,
    }
    conditions = [one for one in PLANTED if any(condition_name(row["cause"]) == one for row in rows)]
    for any_dose in (False, True):
        answers = {one: tuple(answer(one, row, any_dose=any_dose) for row in rows) for one in conditions}
        labels = Labels(files, weights, seen, answers)
        for one in agreement(labels, found.scores, {}, persons, rng=rng, draws=500):
            kind = "any_dose" if any_dose else "auc"
            result.setdefault(one.condition, {})[kind] = [round(v, 4) for v in (one.auc, one.low, one.high)]
            if not any_dose:
                present = found.present(one.condition)
                words = np.array(answers[one.condition])
                hits = {f"present_of_{word}": round(float(present[words == word].mean()), 3) for word in ("yes", "no")}
                result[one.condition] |= {"yes": one.yes, "no": one.no, **hits}
    result |= surroundings()
    for one in conditions:
        print(f"{one:14}", result[one])
    if not chosen.most:
        path = RESULTS / "diagnose_conditions.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
