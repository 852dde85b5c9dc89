"""What conditions of pictures are called in code, files and options; words for readers stand in report/words.

Proof: tests/data/test_condition_names.py.
"""

from __future__ import annotations

from typing import Final

CONDITIONS: Final = (
    *("low_light", "low_res", "multi_person", "occlusion", "truncation", "motion_blur", "color_cast"),
    "carried_object",
)
_OTHERWISE: Final = {"second_person": "multi_person", "colour_cast": "color_cast"}
"""Other names, which older sets of rendered people hold."""


def condition_name(given: str) -> str:
    """The one name of a condition that may be written with hyphens, in capitals or by another name."""
    name = given.strip().lower().replace("-", "_")
    return _OTHERWISE.get(name, name)
