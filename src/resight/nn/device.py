"""Where networks run when nobody says where.

Proof: tests/nn/test_device.py.
"""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
