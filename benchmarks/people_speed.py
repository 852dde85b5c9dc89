"""Speed of drawing rendered people: CPU seconds a picture, the share of each stage, memory, and path tracing beside it.

    python benchmarks/people_speed.py

One thread, CPU seconds of the process: what one core takes whatever else the machine does. The traced pictures hold
the same figures over a bare ground, by mitsuba where it is installed (`pip install mitsuba`; resight does not need
it); their grain is the difference from 512 paths a pixel, in grey levels.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from measuring import RESULTS, status_mib

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
STAGES = {  # what is timed -> modules that call it by this name; a stage inside another counts for itself alone
    "make_figure": ("body and clothes", ("shoot",)),
    "rasterise": ("depth buffer", ("render",)),
    "shadows": ("height maps of shadows", ("render",)),
    "backdrop": ("place", ("render",)),
    "_shine": ("light on surfaces", ("render",)),
    "develop": ("sensor", ("shoot",)),
}
SEED, PERSONS, CAMERAS, PICTURES = 1, 4, 6, 2
TRACED = (8, 64)


@contextmanager
def timed_stages(found: dict[str, float]) -> Iterator[None]:
    """Inside the block, CPU seconds of each stage are added up, those of inner stages taken away."""
    import importlib

    kept, inner = [], [0.0]
    for name, (stage, modules) in STAGES.items():
        for module in (importlib.import_module(f"resight.people.{one}") for one in modules):
            before = getattr(module, name)

            def run(*args: Any, before: Any = before, stage: str = stage, **more: Any) -> Any:
                inner.append(0.0)
                start = time.process_time()
                result = before(*args, **more)
                took = time.process_time() - start
                found[stage] += took - inner.pop()
                inner[-1] += took
                return result

            kept.append((module, name, before))
            setattr(module, name, wraps(before)(run))
    try:
        yield
    finally:
        for module, name, before in kept:
            setattr(module, name, before)


def drawing(height: int) -> dict[str, Any]:
    """CPU seconds a picture, and shares of the stages, after the first person."""
    from resight.people.plan import Plan, shots
    from resight.people.shoot import shoot

    plan = Plan(persons=PERSONS + 1, cameras=CAMERAS, pictures=PICTURES, seed=SEED, height=height, width=height // 2)
    for shot in shots(plan, 1):  # builds the places, which all later persons share
        shoot(plan, shot)
    stages: dict[str, float] = defaultdict(float)
    count, start = 0, time.process_time()
    with timed_stages(stages):
        for person in range(2, PERSONS + 2):
            for shot in shots(plan, person):
                shoot(plan, shot)
                count += 1
    total = time.process_time() - start
    stages["the rest"] = total - sum(stages.values())
    shares = {name: round(seconds / total, 3) for name, seconds in stages.items()}
    return {"pictures": count, "cpu_seconds_a_picture": total / count, "pictures_a_cpu_second": count / total} | {
        "shares": shares
    }


def memory(pictures: int) -> dict[str, float]:
    """Resident memory after a third of many pictures of ever new persons, and after all of them, MiB."""
    from resight.people.plan import Plan, shots
    from resight.people.shoot import shoot

    plan = Plan(persons=pictures, cameras=CAMERAS, pictures=1, seed=SEED)
    third = 0.0
    for number in range(pictures):
        shoot(plan, list(shots(plan, number // 3 + 1))[number % CAMERAS])
        if number == pictures // 3:
            third = status_mib("VmRSS")
    return {"pictures": pictures, "mib_after_a_third": third, "mib_after_all": status_mib("VmRSS")}


def traced() -> dict[str, Any] | str:
    """CPU seconds and grain of path-traced pictures of the same figures."""
    try:
        import drjit
        import mitsuba
    except ImportError:
        return "not measured: mitsuba is not installed"
    import numpy as np

    from resight.data.degrade import to_grey_levels
    from resight.people.mesh import normals
    from resight.people.plan import Plan, shots
    from resight.people.render import sun_direction
    from resight.people.scene import view_of

    mitsuba.set_variant("scalar_rgb")
    drjit.set_thread_count(1)
    plan = Plan(persons=PERSONS, cameras=CAMERAS, pictures=PICTURES, seed=SEED)
    spent: dict[str, float] = defaultdict(float)
    grain: dict[int, list[float]] = defaultdict(list)
    for person in range(1, PERSONS + 1):
        scene = _scene(plan, next(iter(shots(plan, person))))
        view = view_of(scene, plan.height, plan.width)
        start = time.process_time()
        properties = mitsuba.Properties()
        paint = {"type": "diffuse", "reflectance": {"type": "mesh_attribute", "name": "vertex_color"}}
        properties["mesh_bsdf"] = mitsuba.load_dict({"type": "twosided", "paint": paint})
        sizes = len(scene.person.vertices), len(scene.person.faces)
        shape = mitsuba.Mesh("mesh", *sizes, props=properties, has_vertex_normals=True)
        shape.add_attribute("vertex_color", 3, scene.person.colours.ravel())
        values = mitsuba.traverse(shape)
        values["vertex_positions"] = scene.person.vertices.ravel()
        values["faces"] = scene.person.faces.astype(np.uint32).ravel()
        out = normals(scene.person.vertices.astype(float), scene.person.faces)
        values["vertex_normals"] = out.astype(np.float32).ravel()
        values.update()
        transform = mitsuba.ScalarTransform4f()
        world = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": 3},
            "sky": {"type": "constant", "radiance": 1.0},
            "sun": {"type": "directional", "direction": (-sun_direction(scene)).tolist(), "irradiance": 4.0},
            "person": shape,
            "ground": {"type": "rectangle", "to_world": transform.scale([30, 30, 1])},
            "sensor": {
                "type": "perspective",
                "fov": view.fov,
                "fov_axis": "y",
                "to_world": transform.look_at(view.eye.tolist(), view.target.tolist(), [0, 0, 1]),
                "film": {"type": "hdrfilm", "width": plan.width, "height": plan.height, "rfilter": {"type": "box"}},
            },
        }
        loaded = mitsuba.load_dict(world)
        spent["set_up"] += time.process_time() - start
        pictures = {}
        for samples in (*TRACED, 512):
            start = time.process_time()
            light = np.array(mitsuba.render(loaded, spp=samples, seed=1))[:, :, :3] / 2.5
            spent[f"{samples}_paths_a_pixel"] += time.process_time() - start
            pictures[samples] = to_grey_levels(light).astype(float)
        for samples in TRACED:
            grain[samples].append(float(np.sqrt(((pictures[samples] - pictures[512]) ** 2).mean())))
    found: dict[str, Any] = {name: seconds / PERSONS for name, seconds in spent.items()}
    return {"cpu_seconds": found, "grain_grey_levels": {str(key): float(np.mean(one)) for key, one in grain.items()}}


def _scene(plan: Any, shot: Any) -> Any:
    """The scene of one picture of the plan."""
    from resight.people.figure import make_figure
    from resight.people.identity import draw_pose
    from resight.people.plan import generator
    from resight.people.scene import make_scene
    from resight.people.shoot import camera_of, identity_of

    rng = generator(plan, 13, shot.person, shot.camera, shot.number)
    identity = identity_of(plan, shot.person)
    figure = make_figure(identity, draw_pose(identity, rng))
    return make_scene(camera_of(plan, shot.camera), figure, turn=0.5, rng=rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300, help="for the memory")
    args = parser.parse_args()
    from resight.train.resources import surroundings

    found = {
        "seed": SEED,
        "sizes": {"128x64": drawing(128), "256x128": drawing(256)},
        "memory": memory(args.pictures),
        "path_tracing_128x64": traced(),
        "load": os.getloadavg()[0],
        **surroundings(),
    }
    path = RESULTS / "people_speed.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: found[key] for key in ("sizes", "memory", "path_tracing_128x64")}, indent=1), path, sep="\n")


if __name__ == "__main__":
    main()
