"""Every error that resight raises on purpose.

Each message says what was wrong, what was seen, and what to do next. The command line prints it as one sentence on
stderr and exits with 2.

    ResightError
    ├── DatasetNotFound    a folder is missing or its layout is not known
    ├── BadPicture         a file that cannot be read as a picture
    ├── BadLabels          a label map with unknown classes, another size or colours
    ├── BadFeatures        a features file or array with NaN, wrong width or unequal lengths
    ├── BadRecipe          a recipe, option or settings file that makes no sense
    ├── BadWeights         weights that are missing or belong to another model
    ├── MissingExtra       an optional part of resight is not installed
    ├── CannotWrite        the disk is full or a place cannot be written
    ├── UnknownName        a name that is in no table
    └── TrainingStopped    training cannot go on (NaN loss, too few persons)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ResightError(Exception):
    """Something that the user can mend; the message says how."""


class DatasetNotFound(ResightError):
    """A folder is missing, empty, or its layout is not one that resight knows."""


class BadPicture(ResightError):
    """A file that cannot be read as a picture."""


class BadLabels(ResightError):
    """A label map that cannot be used."""


class BadFeatures(ResightError):
    """A features file or array that cannot be scored."""


class BadRecipe(ResightError):
    """A recipe or an option that makes no sense."""


class BadWeights(ResightError):
    """Weights that are missing, damaged, or belong to another model."""


class MissingExtra(ResightError):
    """Something that needs packages which only an extra brings; the message says how to install it."""

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f"{what}. Install the extra, in your clone of resight: `pip install '.[{extra}]'`.")


class CannotWrite(ResightError):
    """A file or folder could not be written; what was there before is untouched."""


class UnknownName(ResightError):
    """A name that is in no table; the message offers the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"There is no {kind} called `{name}`.{nearest(name, names)} Known: {', '.join(names)}.")


class TrainingStopped(ResightError):
    """Training cannot go on; what was reached has been saved."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask whether the nearest known name was meant: a spelling or an ending away; nothing where none is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.7) or [one for one in names if one.startswith(name)]
    return f" Did you mean `{near[0]}`?" if near and len(name) > 2 else ""
