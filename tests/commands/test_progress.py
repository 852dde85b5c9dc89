from __future__ import annotations

import time

import pytest

from resight.commands.progress import bar


def test_a_pipe_gets_a_last_line_with_count_and_note(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("embedding", total=3) as told:
        told(1)
        told(2, note="done")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("embedding: 3 of 3")
    assert lines[0].endswith("done")


def test_a_resumed_job_counts_from_where_it_was_and_takes_its_speed_from_what_it_did_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with bar("training", total=None) as told:
        told(80, total=100)
        now = 60.0
        told(5, note="validation persons: mAP 50.0%", keep=True)
    assert capsys.readouterr().err == "training: 85 of 100, 3.0 min left validation persons: mAP 50.0%\n"


def test_only_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RANK", "1")
    with bar("training", total=1) as told:
        told(1)
    assert capsys.readouterr().err == ""
