"""The page: one file, offline, escaped, small, and readable by keyboard and by ear."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from resight.errors import CannotWrite
from resight.report.facts import CameraPairs, Histogram, ReportInput, Scores, Strip, Tile
from resight.report.pages import encode_all, render_page, tiles_of, write_page

VOID = {"meta", "br", "link", "img"}
EVIL = "x\"><script>alert(1)</script>&'</style>.jpg"


class Reader(HTMLParser):
    """Collects tags and text and complains of tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def strip(number: int, *, ap: float = 0.1, names: str = "{}") -> Strip:
    def tile(rank: int, *, right: bool) -> Tile:
        file = names.format(f"gallery/{number}-{rank}.jpg")
        return Tile(file, "7" if right else "8", "2", rank=rank, distance=rank / 9, right=right, tied=rank == 4)

    top = tuple(tile(rank, right=rank == 3) for rank in range(1, 11))
    query = Tile(names.format(f"query/{number}.jpg"), "7", "1")
    return Strip(query, ap, top, (tile(90, right=True), tile(3, right=True)), 2, 3)


@pytest.fixture
def report() -> ReportInput:
    return ReportInput(
        title="toy set",
        facts=(("protocol", "market"), ("model", "baseline-lite")),
        distance_name="cosine distance",
        scores=Scores(0.4931, 0.47, 0.2, np.linspace(0.7, 1, 50), 40, 3, (0.45, 0.54), (0.6, 0.8)),
        ap=np.linspace(0, 1, 40),
        strips=tuple(strip(number, ap=number / 50) for number in range(4)),
        histogram=Histogram(np.linspace(0, 2, 13), np.full(12, 1 / 12), np.full(12, 1 / 12), 40),
        cameras=CameraPairs(
            ("1", "2"),
            ("1", "2"),
            np.array([[np.nan, 0.5], [0.25, np.nan]]),
            np.array([[np.nan, 0.6], [0.3, np.nan]]),
            np.array([[0, 4], [1, 0]]),
        ),
        notes=("A note.",),
    )


@pytest.fixture
def pictures(report: ReportInput) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    files = {tile.file for one in report.strips for tile in tiles_of(one)}
    return {file: rng.integers(0, 256, (64, 32, 3), dtype=np.uint8) for file in sorted(files)}


def test_the_first_sentence_says_the_scores_their_intervals_and_who_was_left_out(report, pictures):
    text = Reader(render_page(report, pictures)[0]).text
    sentence = "mAP 49.3% [45.0–54.0%] and Rank-1 70.0% [60.0–80.0%] : 40 queries answered, 3 unanswerable"
    assert sentence in text
    for word in ("toy set", "protocol market", "model baseline-lite", "A note."):
        assert word in text


def test_the_order_is_sentence_curve_strips_worst_first(report, pictures):
    page, shown = render_page(report, pictures)
    assert shown == 4
    places = [page.index(word) for word in ('class="sentence"', 'class="chart"', 'id="q1"', 'id="q2"', 'id="cameras"')]
    assert places == sorted(places)
    assert re.findall(r"AP (0\.\d+)<", page) == ["0.000", "0.020", "0.040", "0.060"]


def test_nothing_points_outside_the_file(report, pictures):
    page, _ = render_page(report, pictures)
    assert not re.findall(
        r"https?:|//[a-z]|@import|<script|<link|<iframe|javascript:", re.sub(r"base64,[^)]*", "", page)
    )
    assert all(address.startswith("data:image/") for address in re.findall(r"url\(([^)]*)\)", page))
    for _, attributes in Reader(page).tags:
        for name in ("href", "src"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "default-src 'none'" in page


def test_every_link_inside_the_page_has_its_target_and_tags_close(report, pictures):
    reader = Reader(render_page(report, pictures)[0])
    assert reader.open == []
    ids = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = {attributes["href"] for _, attributes in reader.tags if attributes.get("href")}
    assert {f"#{one}" for one in ids} >= links
    assert {f"#q{number}" for number in range(1, 5)} <= links  # tab goes from strip to strip


def test_each_picture_is_stored_once_and_said_in_words(report, pictures):
    twice = replace(report, strips=(*report.strips, *report.strips))
    page, _ = render_page(twice, pictures)
    assert page.count("data:image/") == len(pictures)
    said = [a["title"] or "" for _, a in Reader(page).tags if (a.get("class") or "").startswith("pic")]
    assert len(said) == 8 * 13
    assert "wrong, rank 4, tied, distance 0.444, person 8, camera 2, gallery/0-4.jpg" in said
    assert sum(words.startswith("right") for words in said) == 8 * 3


def test_no_rule_of_the_style_sheet_hides_the_pictures(report, pictures):
    page, _ = render_page(report, pictures)
    rules = re.findall(r"\.pic\{[^}]*\}", page)
    assert rules
    assert not any("background:" in rule or "background-image" in rule for rule in rules)


def test_right_and_wrong_are_told_by_marks_too(report, pictures):
    page, _ = render_page(report, pictures)
    shapes = re.findall(r"^\.(right|wrong)\{.*--glyph:(polygon\([^;}]+)", page, flags=re.MULTILINE)
    assert [name for name, _ in shapes] == ["right", "wrong"]
    assert shapes[0][1] != shapes[1][1]
    assert page.count('class="tile right"') == 4 * 3
    assert page.count('class="tile wrong"') == 4 * 9


def test_a_rank_of_any_length_and_its_distance_are_never_cut(report):
    far = Tile("far.jpg", "7", "2", rank=1_234_567, distance=0.5, right=True, tied=True)
    page, _ = render_page(replace(report, strips=(replace(report.strips[0], matches=(far,)),)), {})
    cutting = [
        selector.strip()
        for selectors, rule in re.findall(r"([^{}]+)\{([^{}]*)\}", page[: page.index("</style>")])
        for selector in selectors.split(",")
        if "overflow:hidden" in rule
    ]
    assert ".cut" in cutting
    assert {one.split()[-1] for one in cutting} <= {".cut", ".tile>.pic"}
    tile = page[page.index("far.jpg") :]
    assert '<span class="line"><b>1234567=</b></span>' in tile
    assert '<span class="distance">0.500</span>' in tile


def test_file_names_and_titles_cannot_become_html(report):
    evil = replace(report, title=EVIL, strips=(strip(0, names=EVIL + "{}"),), facts=((EVIL, EVIL),), notes=(EVIL,))
    pixels = {tile.file: np.zeros((4, 2, 3), np.uint8) for tile in tiles_of(evil.strips[0])[:3]}
    for pictures in ({}, pixels):
        page, _ = render_page(evil, pictures)
        assert "<script" not in page
        assert page.count("</style>") == 1
        assert EVIL in Reader(page).text


def test_without_pictures_the_page_says_so_and_names_the_files(report):
    page, _ = render_page(report, {})
    text = Reader(page).text
    assert "No picture was found" in text
    assert "gallery/2-5.jpg" in text
    assert "data:image/" not in page


def test_missing_pictures_are_counted(report, pictures):
    some = dict(list(pictures.items())[2:])
    text = Reader(render_page(report, some)[0]).text
    assert f"2 of {len(pictures)} pictures could not be read" in text


def test_pictures_are_stored_in_the_order_of_their_first_use():
    groups = [["b", "a", "b"], ["c", "a", "lost"], ["z", "d"]]
    pictures = {name: np.zeros((4, 2, 3), np.uint8) for name in "abcdz"}
    coded, kept = encode_all(groups, pictures, 1_000_000)
    assert (list(coded), kept) == (["b", "a", "c", "z", "d"], 3)


def test_a_page_that_would_grow_too_large_drops_its_last_strips_and_says_so(report):
    many = replace(report, strips=tuple(strip(number) for number in range(60)))
    rng = np.random.default_rng(0)
    files = {tile.file for one in many.strips for tile in tiles_of(one)}
    pictures = {file: rng.integers(0, 256, (96, 48, 3), dtype=np.uint8) for file in files}
    page, shown = render_page(many, pictures, most_bytes=600_000)
    assert len(page.encode()) <= 600_000
    assert 3 < shown < 60
    assert page.count('class="strip"') == shown
    assert f"holds {shown} of 60 strips" in page


def test_no_strips_no_histogram_and_no_cameras_are_fine(report):
    page, shown = render_page(replace(report, strips=(), histogram=None, cameras=None), {})
    assert shown == 0
    assert "No strips to show" in page
    assert "Camera pairs" not in page


def test_the_same_report_makes_the_same_bytes_and_an_old_page_survives_a_bad_place(report, pictures, tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "deep" / "b.html"
    assert write_page(first, report, pictures) == write_page(second, report, pictures) == 4
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(CannotWrite, match="deep"):
        write_page(tmp_path / "deep", report, pictures)
    assert second.exists()
