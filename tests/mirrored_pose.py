"""The mirror's oracle: what a person in a pose must look like from the other side."""

from __future__ import annotations

from dataclasses import replace

from resight.people.body import Pose


def mirrored_pose(pose: Pose) -> Pose:
    """The pose seen in a mirror: sides swapped, turns reversed, half a gait cycle later."""
    return replace(
        pose,
        phase=(pose.phase + 0.5) % 1,
        head_turn=-pose.head_turn,
        left_lift=pose.right_lift,
        right_lift=pose.left_lift,
        left_bend=pose.right_bend,
        right_bend=pose.left_bend,
        left_spread=pose.right_spread,
        right_spread=pose.left_spread,
    )
