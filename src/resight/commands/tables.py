"""Tables and counts as commands print them: no frames, no wrapping. Scores carry %, differences of scores are points.

Proof: tests/commands/test_tables.py.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from resight.types import Side

if TYPE_CHECKING:
    from rich.table import Table


def gallery_words(gallery: Side) -> str:
    """Count a gallery; junk, which is never searched, apart."""
    junk = int(gallery.junk.sum())
    return f"{len(gallery.persons) - junk:,} gallery pictures{f' (and {junk:,} junk)' if junk else ''}"


def points(difference: float) -> str:
    """Write a difference of two scores in 0..1 as points, hundredths of the whole."""
    return f"{difference * 100:+.1f}"


def plain_table(*heads: str, left: Collection[int] = (0,), tight: bool = False) -> Table:
    """A table with these heads; columns stand right but those in `left`. `tight`: nine columns fit into 80 signs."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0 if tight else (0, 1))
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number in left else "right", no_wrap=True)
    return table
