"""How a command is told which data set it works on: the options that every such command shares."""

from __future__ import annotations

from dataclasses import dataclass

from resight.data.reid_layouts import Columns
from resight.data.reid_sets import ReidSet, find_set


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
