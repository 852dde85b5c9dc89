"""Columns stand where they are told to, and a tight table is narrower."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from resight.commands.tables import plain_table


def printed(*, tight: bool) -> list[str]:
    table = plain_table("name", "score", "what", left=(0, 2), tight=tight)
    table.add_row("a", "1", "x")
    table.add_row("long name", "10.25", "much longer")
    text = StringIO()
    Console(file=text, width=200).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def test_columns_stand_left_or_right_and_nothing_wraps() -> None:
    rows = printed(tight=False)
    assert len(rows) == 4
    one, other = rows[2], rows[3]
    assert one.index("a") == other.index("long name")
    assert one.index("1") > other.index("10.25")  # to the right
    assert one.index("x") == other.index("much")
    assert max(map(len, printed(tight=True))) < max(map(len, rows))
