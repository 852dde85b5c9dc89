"""How a command is told which data set it works on: the options that every such command shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from resight.commands.options import typed
from resight.data.reid_layouts import Columns
from resight.data.reid_sets import ReidSet, find_set, plain_pictures
from resight.data.reid_table import LAYOUTS
from resight.errors import BadFeatures, DatasetNotFound
from resight.evaluate.protocols import needs_cameras
from resight.types import Crop


@dataclass(frozen=True, kw_only=True, slots=True)
class SetOptions:
    """Options that help to read a data set; a known layout needs none."""

    layout: str | None = None
    """The data set's layout when it cannot be told from the folder."""
    camera_pattern: str | None = None
    """Own data: regular expression with one group that finds the camera in a picture's path, such as `_(c\\d+)_`."""
    path_column: str = "path"
    """CSV list: column of the picture files."""
    person_column: str = "person"
    """CSV list: column of the persons."""
    camera_column: str | None = None
    """CSV list: column of the cameras; left out, `camera` if there is one."""
    split_column: str | None = None
    """CSV list: column that says train, query, gallery or test; left out, `split` if there is one."""

    def reid_set(self, dataset: str) -> ReidSet:
        """Open a folder, a CSV list or the word `sample` with these options; raises DatasetNotFound."""
        columns = Columns(
            path=self.path_column, person=self.person_column, camera=self.camera_column, split=self.split_column
        )
        return find_set(dataset, layout=self.layout, columns=columns, camera_pattern=self.camera_pattern)

    def set_or_pictures(self, dataset: str) -> ReidSet | list[Path]:
        """Open a set, or list the pictures of a plain folder; raises DatasetNotFound where it is neither."""
        try:
            return self.reid_set(dataset)
        except DatasetNotFound as error:
            pictures = plain_pictures(dataset)
            if not pictures:
                raise
            if seen := typed(self, SET_OPTIONS):
                raise DatasetNotFound(f"{error} Leave {seen} out to take it as a plain folder.") from error
            return pictures


SET_OPTIONS: Final = tuple(field.name for field in fields(SetOptions))
"""What does not fit where no data set is read, such as beside a features file."""


def check_cameras(reid_set: ReidSet, crops: Sequence[Crop], protocol: str, *, instead: str) -> None:
    """Raise BadFeatures, before the long work, where a protocol needs cameras and no crop has one.

    `instead` is the command that counts every picture.
    """
    if not needs_cameras(protocol) or any(crop.camera is not None for crop in crops):
        return
    tell = "where paths tell the camera, say how (`--camera-pattern '_(c\\d+)_'`); else "
    raise BadFeatures(
        f"No picture of {reid_set.source} has a camera, and the protocol `{protocol}` ignores pictures of the query's "
        f"own camera; {tell if LAYOUTS[reid_set.name].own else ''}count every picture, which is easier: `{instead}`."
    )
