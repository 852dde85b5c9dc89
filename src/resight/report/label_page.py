"""The page on which a person labels crops by keyboard: one HTML file that works without any network.

It knows files, weights and conditions and nothing of outcomes. What was answered is kept by the browser where it may,
and saved as a CSV that the page reads again. Pictures are coded more coarsely, then the last left out, to stay small.
Proof: tests/commands/test_label.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from resight.data.files import write_text
from resight.report.pages import MOST_BYTES, encode_all, environment, script_hash
from resight.report.pictures import Pixels
from resight.report.words import cause_name, say


def write_label_page(
    path: Path,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    pictures: Mapping[str, Pixels],
    *,
    conditions: Sequence[str],
    title: str,
    most_bytes: int = MOST_BYTES,
) -> int:
    """Write the page and return how many pictures it holds; `rows` are the cells of the CSV, the file first."""
    coded, kept = encode_all([[row[0]] for row in rows], pictures, most_bytes)
    content = {
        "columns": list(names),
        "rows": [list(row) for row in rows[:kept]],
        "pictures": [coded.get(row[0], "") for row in rows[:kept]],
        "conditions": list(conditions),
    }
    data = json.dumps(content).replace("<", "\\u003c")
    templates = files("resight.report") / "templates"
    script = f"const sheet = {data};\n" + (templates / "label.js").read_text(encoding="utf-8").strip()
    keys = [
        (number, name, cause_name(name).en, say(f"ask_{name}").en) for number, name in enumerate(conditions, start=1)
    ]
    text = (
        environment()
        .get_template("label.html.j2")
        .render(title=title, script=Markup(script), digest=script_hash(script), conditions=keys, count=kept)
    )
    write_text(path, text)
    return kept
