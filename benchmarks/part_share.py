"""How much of the distance should parts be? mAP at several shares, for a model that tells parts apart.

    python benchmarks/part_share.py runs/visible-parts-1 ~/market1501 --occluded occluded-validation/occluded-40
    python benchmarks/part_share.py one-pass PEOPLE

Vectors of parts are more alike than those of whole bodies: their cosine distances spread less, so that a half of either
is nearly the whole body's alone. A share is chosen where it costs nothing: on the 100 highest-numbered training persons
for a run that did not learn from them, on rendered people for one that is meant for them. Choosing for real people on
rendered ones misled: `one-pass` liked 0.98 there, and lost three points on Market-1501. The official test split is
refused. Writes results/part_share-NAME.json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring

SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)


def main() -> None:
    """Embed once, compare at every share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run folder or a shipped model's name")
    parser.add_argument("data", type=Path, help="Market-1501, or rendered people with queries and a gallery")
    parser.add_argument("--occluded", type=Path, help="one set of `resight occlude --split validation`")
    parser.add_argument("--keypoints", type=Path)
    parser.add_argument("--name", help="of the result; left out, the model's")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch
    from held_out import held_out_features, refuse_learned

    from resight.commands.embed import embed_set
    from resight.data.reid_sets import find_set
    from resight.evaluate.ranking import score_features
    from resight.evaluate.views import score_views
    from resight.model import load_model

    torch.set_num_threads(options.threads)
    model = load_model(options.model)
    sets: dict[str, Any] = {}
    if (options.data / "people.csv").is_file():
        sets["people"] = embed_set(find_set(options.data), model)
    else:
        refuse_learned(Path(options.model))
        sets["clean"] = held_out_features(options.data, model)
    if options.occluded:
        sets[options.occluded.name] = embed_set(find_set(options.occluded), model)
    rows: list[dict[str, Any]] = []
    for share in SHARES:
        row = {name: score_features(replace(one, part_share=share)).mean_ap for name, one in sets.items()}
        if options.keypoints and "clean" in sets:
            row["other-view"] = score_views(replace(sets["clean"], part_share=share), options.keypoints).other.mean_ap
        rows.append({"share": share, "mean_ap": row})
        print(share, *(f"{name} {value:.4f}" for name, value in row.items()), flush=True)
    name = options.name or Path(options.model).name
    source = {"model": name, "weights": model.settings.source, "said_by_model": model.settings.part_share}
    measuring.write_any(f"part_share-{name}", {**source, "rows": rows})


if __name__ == "__main__":
    main()
