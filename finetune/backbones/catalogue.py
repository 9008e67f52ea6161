"""What is known of the backbones without loading torch: a table that comes with the code."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["BackboneFacts", "backbone_facts"]


@dataclass(frozen=True)
class BackboneFacts:
    """A backbone that has a name here, and its published weights.

    Attributes:
        name: of the architecture.
        image_size: side of the images that the weights were tested with, in pixels; other sizes are taken too.
        features: numbers for each image that its head reads.
        parameters: numbers that are learnt, with a head of 1000 classes.
        megabytes: size of the file of weights, in 10**6 bytes.
        weights: the package that they come in, or the address that they are fetched from once.
        licence: of the weights, where their publisher names one; else "".
    """

    name: str
    image_size: int
    features: int
    parameters: int
    megabytes: float
    weights: str
    licence: str

    @property
    def origin(self) -> str:
        """Where the weights come from: the package, or the host of the address."""
        return self.weights.removeprefix("https://").partition("/")[0]


@cache
def backbone_facts() -> dict[str, BackboneFacts]:
    """Name -> what is known of a backbone, sorted by name."""
    lines = files("finetune.backbones").joinpath("backbones.csv").read_text(encoding="utf-8").splitlines()
    return {row["name"]: _facts(row) for row in csv.DictReader(lines)}


def _facts(row: dict[str, str]) -> BackboneFacts:
    size, features, parameters = (int(row[key]) for key in ("image_size", "features", "parameters"))
    return BackboneFacts(
        row["name"], size, features, parameters, float(row["megabytes"]), row["weights"], row["licence"]
    )
