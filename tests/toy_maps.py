"""Part maps of a drawn person for tests of embedders."""

from __future__ import annotations

import torch

ROWS = {2: (0, 3), 5: (3, 8), 14: (5, 8), 9: (8, 13), 18: (13, 16)}
"""LIP class -> rows of 16; the left arm lies at the picture's right."""


def person_maps(count: int = 2, *, sure: float = 1.0) -> torch.Tensor:
    """B 20 16 8: hair, clothes, left arm, pants, left shoe; elsewhere background."""
    classes = torch.zeros(count, 16, 8, dtype=torch.long)
    for number, (first, last) in ROWS.items():
        classes[:, first:last, (5 if number == 14 else 2) : (6 if number == 14 else 5)] = number
    hard = torch.nn.functional.one_hot(classes, 20).permute(0, 3, 1, 2).float()
    return hard * sure + (1 - sure) / 20


def background_maps(count: int = 2) -> torch.Tensor:
    """B 20 16 8: nobody anywhere."""
    maps = torch.zeros(count, 20, 16, 8)
    maps[:, 0] = 1
    return maps
