"""The page of a diagnosis: it sums, stays in one small file, says everything twice, and works from the keyboard."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from resight.report.diagnosis_charts import fills, loss_bar
from resight.report.diagnosis_facts import (
    NOTHING,
    Advice,
    CameraLoss,
    CauseRow,
    Change,
    DiagnosisInput,
    DifferenceInput,
    DoseCurve,
    Gallery,
    Look,
    Presence,
    Scatter,
    Segment,
    Shown,
    SliceRow,
    Suspected,
)
from resight.report.diagnosis_page import render_diagnosis, write_difference
from resight.report.facts import Strip, Tile
from resight.report.words import Both, cause_name, dictionary, say

EVIL = "x\"><script>alert(1)</script>&'</style>{}.jpg"


def strip(number, *, names="{}"):
    def tile(rank, *, right):
        return Tile(names.format(f"gallery/{number}-{rank}.jpg"), "7", "2", rank=rank, distance=rank / 9, right=right)

    query = Tile(names.format(f"query/{number}.jpg"), "7", "1")
    return Strip(query, 0.1, tuple(tile(rank, right=rank == 3) for rank in range(1, 11)), (tile(3, right=True),), 1, 3)


def shown(number, **more):
    return Shown(strip(number, **more), 0.004, (say("cause_low_light"),))


@pytest.fixture
def page():
    row = CauseRow("low_light", 0.3, Look(0.2), Look(-0.2, -0.3, -0.1), 0.1, Look(), Look(), "B", True)
    return DiagnosisInput(
        title="toy",
        mean_ap=0.49,
        segments=(Segment("low_light", 0.3, 0.2, 0.4), Segment("low_res", 0.01), Segment("unexplained", 0.2)),
        facts=((say("queries"), "40"),),
        notes=(say("no_parser"),),
        causes=(row, replace(row, cause="low_res", twins=Look(note=say("not_estimable")), detectable=NOTHING)),
        advice=(
            Advice(say("remedy_augment"), ("low_light", "color_cast"), (("low_light", Look(0.1)),), ("resight x",)),
        ),
        presence=(Presence("low_light", 10, 5, 30, 3),),
        top_cause="low_light",
        worst=tuple(shown(number) for number in range(3)),
        galleries=(Gallery("low_light", (shown(4),), (shown(5),)), Gallery("low_res", (shown(6),), ())),
        curves=(
            DoseCurve("low_light", "low_light", "stops", (0, 1), (0, -0.1), (0, -0.2), (0, -0.05), 0.9, (0.6, 0.4)),
        ),
        scatters=(
            Scatter(
                "low_light",
                Both("L (L*)", "L"),
                2.0,
                np.array([1.0, 3]),
                np.array([0.1, 1]),
                (False, True),
                ("query/0.jpg", "b"),
            ),
        ),
        cameras=CameraLoss(("1", "2"), np.full((2, 2), 0.1275), ("low_light",), np.full((2, 1), 0.15)),
        suspects=(Suspected("3", "4", (Tile("s.jpg", "3", "1"),), (Tile("t.jpg", "4", "1"),), 0.01, 0.5),),
        slices=(SliceRow(say("slice_camera", name="1"), 12, 0.5, 0.1),),
        method=(say("method_ledger"),),
        dose_command="resight dose",
        has_pictures=True,
    )


def pictures(page):
    rng = np.random.default_rng(0)
    files = {t.file for one in page.worst for t in (one.strip.query, *one.strip.top, *one.strip.matches)}
    return {file: rng.integers(0, 256, (64, 32, 3), dtype=np.uint8) for file in sorted(files)}


def plain(text):
    return re.sub(r"base64,[^)]*", "", text)


def test_the_bar_is_as_wide_as_the_loss_and_the_check_is_printed(page):
    bar = loss_bar(page.segments)
    widths = [float(one) for one in re.findall(r'<rect x="[\d.]+%" width="([\d.]+)%"', bar)]
    assert sum(widths) == pytest.approx(100, abs=1e-3)
    assert widths[0] == pytest.approx(100 * 0.3 / 0.51, abs=1e-3)
    text = render_diagnosis(page, {}, {})
    assert "the segments sum to 51.0000; 1 − mAP is 51.0000" in text


def test_segments_differ_without_colour(page):
    numbers = fills(page.segments)
    assert len(set(numbers.values())) == 3
    text = render_diagnosis(page, {}, {})
    patterns = re.findall(r'<pattern id="fill\d+".*?<g class="ink">(.*?)</g>', text)
    causes = {key for key in dictionary() if key.startswith("cause_")} - {"cause_sham", "cause_unexplained"}
    assert len(set(patterns)) == len(patterns) >= len(causes)
    assert 'class="miss"' in text
    assert 'class="hit"' in text


def test_nothing_points_outside_and_only_the_own_script_may_run(page):
    text = render_diagnosis(page, pictures(page), {})
    assert not re.findall(r"https?:|//[a-z]+\.|@import|<link|<iframe|javascript:", plain(text))
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert script.count("\n") <= 120
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= ids


def test_both_languages_say_everything():
    for name, entry in dictionary().items():
        assert entry.en, name
        assert entry.zh, name
        assert set(re.findall(r"{(\w+)}", entry.en)) == set(re.findall(r"{(\w+)}", entry.zh)), name


def test_both_languages_are_in_the_page_and_one_is_chosen(page):
    text = render_diagnosis(page, {}, {}, language="zh")
    assert '<html lang="zh">' in text
    assert "html[lang=zh] [lang=en]{display:none}" in text
    assert text.count('<span lang="en">') == text.count('<span lang="zh">') > 50
    assert 'data-say="aria-label"' in text


def test_the_keyboard_reaches_everything_that_a_mouse_does(page):
    text = render_diagnosis(page, {}, {})
    for control in ("data-choose", "data-sort", "data-language", 'id="save"', 'id="all"'):
        for tag in re.findall(rf"<(\w+)[^>]*\b{control}", text.split("<script>")[0]):
            assert tag == "button", control
    assert text.count("data-sort>") == text.count('<th scope="col" aria-sort="') == 11
    assert 'aria-pressed="false"' in text
    assert text.count('class="scroll" tabindex="0" role="region"') == 4
    assert '<input type="radio"' in text
    assert "Escape" in text
    assert ":focus-visible" in text


def test_what_a_cause_filters_names_its_cause(page):
    text = render_diagnosis(page, {}, {})
    for tag in ("tr", "div", "figure", "td"):
        assert f'<{tag} data-of="low_light"' in text or re.search(rf'<{tag} [^>]*data-of="low_light"', text), tag


def test_without_pictures_the_page_has_no_strips_and_says_why(page):
    bare = replace(
        page, worst=(), galleries=(), scatters=(), presence=(), notes=(say("no_pictures"),), has_pictures=False
    )
    text = render_diagnosis(bare, {}, {})
    assert "No pictures were found" in text
    assert 'class="brief' not in text.split("</style>")[1]
    assert "data:image/" not in text


def test_a_search_without_failures_shows_the_hardest(page):
    perfect = replace(page, mean_ap=1.0, segments=(Segment("unexplained", 0.0),), top_cause="", causes=())
    text = render_diagnosis(perfect, {}, {})
    assert "nothing was lost" in text
    assert "The hardest queries" in text
    assert 'class="piece"' not in text


def test_names_cannot_become_html(page):
    evil = EVIL.format("")
    bad = replace(
        page,
        title=evil,
        worst=(shown(0, names=EVIL),),
        suspects=(Suspected(evil, evil, (Tile(evil, evil, evil),), (), 0.1, 0.5),),
        scatters=(replace(page.scatters[0], axis=Both(evil, evil), files=(evil, evil)),),
        segments=(Segment(evil, 0.31), Segment("unexplained", 0.2)),
        cameras=replace(page.cameras, cameras=(evil, evil)),
        curves=(replace(page.curves[0], name=evil, unit=evil),),
    )
    text = render_diagnosis(bad, {}, {})
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    assert text.count("</style>") == 1


def test_a_page_that_would_grow_too_large_leaves_out_pictures_and_says_so(page):
    many = replace(page, worst=tuple(shown(number) for number in range(60)))
    text = render_diagnosis(many, pictures(many), {}, most_bytes=700_000)
    assert len(text.encode()) <= 700_000
    assert "to stay below 8 MB" in text


def test_body_parts_lie_over_pictures_on_demand(page):
    some = pictures(page)
    text = render_diagnosis(page, some, some)
    assert 'id="overlay"' in text
    assert len(re.findall(r"^\.overlaid \.p\d+\{", text, flags=re.MULTILINE)) == len(some)
    assert 'id="overlay"' not in render_diagnosis(page, some, {}).split("<script>")[0]


def test_two_diagnoses_differ_by_cause_with_what_is_mended_left_and_solid(tmp_path):
    out = tmp_path / "difference.html"
    rows = (Change("low_light", 0.3, 0.1, -0.25, -0.15), Change("unexplained", 0.2, 0.25, -0.01, 0.11))
    write_difference(out, DifferenceInput("<a>", "b", rows, Change("all", 0.5, 0.35, -0.2, -0.1)))
    text = out.read_text(encoding="utf-8")
    assert "mAP goes from 50.0% to 65.0% (+15.0, +10.0 … +20.0 points)" in text
    assert "&lt;a&gt;" in text
    mended, worse = re.findall(r'<tr>.*?<i class="(\w+)" style="width:([\d.]+)%".*?</tr>', text, flags=re.DOTALL)
    assert mended == ("less", "40.00")  # half the width stands for the farthest end, 0.25
    assert worse == ("more", "10.00")
    assert "−25.0 … −15.0" in text
    assert all(f'class="key {kind}"' in text for kind in ("less", "more"))


def test_a_cause_of_somebody_elses_thresholds_keeps_its_name():
    assert cause_name("my_rain").en == "my rain"
