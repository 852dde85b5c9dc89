"""What every test stands on: one torch thread, shapes checked at run time, research data only where it is."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("resight", "run_time_types.check")
torch.set_num_threads(1)
settings.register_profile("resight", deadline=None)  # a neighbour on the same cores is not a failure
settings.load_profile("resight")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that holds `market1501`; never part of the repository."""
    named = os.environ.get("RESIGHT_SHARED")
    place = Path(named) if named else REPOSITORY.parent / "shared"
    for folder in (place, place / "data"):
        if (folder / "market1501").is_dir():
            return folder
    pytest.skip(f"no research data: neither {place} nor {place / 'data'} holds market1501 (name one in RESIGHT_SHARED)")
