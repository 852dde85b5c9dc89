"""Looks: garments are compared one by one, views told by the face, poses do not depend on place."""

from __future__ import annotations

import numpy as np
import pytest

from resight.data.labels import LIP20
from resight.diagnose.conditions import measure, root_histograms
from resight.diagnose.looks import garment_masks, poses, view_shares

NUMBER = {name: place for place, name in enumerate(LIP20.classes)}


def figure(face="front", left=20, arm=0):
    """A person of blocks: head of 12 columns, trunk, trousers and, where asked, an outstretched left arm."""
    labels = np.zeros((1, 128, 64), np.uint8)
    labels[:, 10:30, left + 4 : left + 16] = NUMBER["hair"]
    columns = {"front": slice(5, 15), "right": slice(11, 16), "left": slice(4, 9), "back": slice(0, 0)}[face]
    labels[:, 16:30, left : left + 20][:, :, columns] = NUMBER["face"]
    labels[:, 30:70, left : left + 20] = NUMBER["upper-clothes"]
    labels[:, 70:120, left : left + 20] = NUMBER["pants"]
    labels[:, 34:40, left + 20 : left + 20 + arm] = NUMBER["left arm"]
    return labels


def test_views_are_told_by_the_face():
    for place, view in enumerate(("front", "back", "right", "left")):
        shares = view_shares(figure(view), LIP20)[0]
        assert shares.sum() == pytest.approx(1)
        assert shares.argmax() == place
    assert view_shares(np.zeros((1, 8, 4), np.uint8), LIP20)[0].tolist() == [0.25] * 4


def test_a_pose_is_wholly_like_itself_anywhere_and_less_like_another():
    one, moved, turned, reaching = (
        poses(each, LIP20)[0] for each in (figure(), figure(left=8), figure("back"), figure(arm=16))
    )
    assert one @ one == pytest.approx(1)
    assert one @ moved == pytest.approx(1, abs=0.02)
    assert one @ turned < 0.7
    assert one @ reaching < one @ moved
    assert not poses(np.zeros((1, 8, 4), np.uint8), LIP20).any()


def test_the_same_trousers_do_not_make_up_for_another_shirt():
    labels = figure()
    person = labels > 0
    red, blue = np.zeros((2, 1, 128, 64, 3), np.uint8)
    for pixels, colour in ((red, (200, 30, 30)), (blue, (30, 30, 200))):
        pixels[labels == NUMBER["upper-clothes"]] = colour
    upper, lower = garment_masks(labels, LIP20, person)
    likeness = [float(root_histograms(red, mask)[0] @ root_histograms(blue, mask)[0]) for mask in (upper, lower)]
    assert likeness == pytest.approx([0, 1])
    labels[labels == NUMBER["pants"]] = 0
    assert (garment_masks(labels, LIP20, labels > 0)[1] == (labels > 0)).all()


def test_without_a_parser_nothing_is_said_of_poses(tmp_path):
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 64, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    found = measure([tmp_path / "a.png"])
    assert not found.pose.any()
    assert found.clothes[0] @ found.clothes[0] == pytest.approx(1, abs=1e-5)
