"""Where a detector comes from: a name that is fetched once, a `.pt` file, or a `.yaml` architecture."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from finetune.detection.runtime import fetch_model, load_ultralytics, read_ultralytics
from finetune.engine.config import nearest
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = ["FoundModel", "ModelKind", "ModelSource", "find_source"]


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        model: a `.pt` file, or the `.yaml` file or name of an architecture.
        weights: a `.pt` file whose weights it begins with; None for those of `model`, or random ones.
        random: whether it begins with random weights.
        masks: whether it makes masks, and not boxes alone.
        stages: layers in the backbone, and layers before the head.
        sha256: hash of the file with the weights; None for random ones.
    """

    model: str
    weights: Path | None
    random: bool
    masks: bool
    stages: tuple[int, int]
    sha256: str | None


@dataclass(frozen=True)
class ModelKind:
    """What models a learner takes.

    Attributes:
        heads: name of the last layer -> whether it makes masks.
        described: in words, for what has another head.
        build: (layers, whether it makes masks) -> the model.
        published: whether ultralytics' model of this name is of the kind.
        example: how one might be named.
        elsewhere: name of another last layer -> what to do with such a model.
    """

    heads: Mapping[str, bool]
    described: str
    build: Callable[[Any, bool], nn.Module]
    published: Callable[[str], bool]
    example: str
    elsewhere: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class FoundModel:
    """A model that was looked at.

    Attributes:
        source: where it comes from.
        layers: its architecture, as ultralytics tells it.
        own: the model in the `.pt` file that `model` is; None of an architecture.
        given: the model in the file of weights, where one is named.
    """

    source: ModelSource
    layers: Mapping[str, Any]
    own: nn.Module | None
    given: nn.Module | None


def find_source(model: str, weights: str, kind: ModelKind) -> FoundModel:
    """Look at a model before anything is written.

    Args:
        model, weights: as in `DetectorConfig`.
        kind: what is taken.

    Raises:
        ToolkitError: there is no such model, it cannot be fetched or read, or is of another kind.
    """
    load_ultralytics()
    given = None if weights in ("default", "none") else Path(weights)
    file: Path | None = None
    own = other = None
    layers: Any
    if model.lower().endswith(".pt"):
        file = Path(model) if Path(model).is_file() else _fetched(model, kind)
        own, _ = read_ultralytics(file)
        layers = own.yaml
    elif model.lower().endswith((".yaml", ".yml")):
        layers = _read_layers(model, kind)
    else:
        raise ToolkitError(f"model {model}", "is neither a .pt nor a .yaml", f"for instance {kind.example}.pt")
    masks = _makes_masks(model, layers, kind)
    if given is not None:
        other, _ = read_ultralytics(given)
        if _makes_masks(str(given), other.yaml, kind) != masks:
            raise ToolkitError(given, f"holds weights of another kind of model than {model}", "use those of its kind")
    _check_builds(model, layers, kind, masks=masks)
    begins = given or (file if weights == "default" else None)
    stages = (len(layers["backbone"]), len(layers["backbone"]) + len(layers["head"]) - 1)
    place = file or Path(model)
    name = str(place.resolve()) if place.is_file() else model
    digest = None if begins is None else file_sha256(begins)
    return FoundModel(ModelSource(name, given, begins is None, masks, stages, digest), layers, own, other)


def _makes_masks(model: str, layers: Any, kind: ModelKind) -> bool:
    """Whether a model makes masks, by its head.

    Raises:
        ToolkitError: it is of another kind.
    """
    try:
        head = str(layers["head"][-1][2])
    except (KeyError, IndexError, TypeError) as error:
        remedy = f"use for instance {kind.example}.yaml"
        raise ToolkitError(f"model {model}", "describes no detector", remedy) from error
    if head not in kind.heads:
        problem = f"is {kind.described} (its head is {head})"
        remedy = kind.elsewhere.get(head, f"use for instance {kind.example}.pt")
        raise ToolkitError(f"model {model}", problem, remedy)
    return kind.heads[head]


def _check_builds(model: str, layers: Any, kind: ModelKind, *, masks: bool) -> None:
    """Build a model once: ultralytics runs no code of its description, but says so in errors of its own."""
    try:
        kind.build(copy.deepcopy(dict(layers)), masks)
    except Exception as error:  # whatever wrong layers lead to
        told = (str(error).splitlines() or [type(error).__name__])[0][:120]
        remedy = f"use for instance {kind.example}.yaml"
        raise ToolkitError(f"model {model}", f"cannot be built ({told})", remedy) from error


def _read_layers(model: str, kind: ModelKind) -> Mapping[str, Any]:
    from ultralytics.nn.tasks import yaml_model_load

    remedy = f"use for instance {kind.example}.yaml, or check the file"
    try:
        told = yaml_model_load(model)
    except Exception as error:  # a name that is unknown, a file that is no YAML or has no layers
        raise ToolkitError(f"model {model}", "is no architecture that ultralytics can read", remedy) from error
    if not isinstance(told, Mapping):
        raise ToolkitError(f"model {model}", "describes no detector", remedy)
    return told


def _fetched(model: str, kind: ModelKind) -> Path:
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

    known = sorted(name for name in GITHUB_ASSETS_NAMES if kind.published(name))
    if Path(model).name != model or model not in known:
        raise ToolkitError(f"model {model}", "no such file, and no such model of ultralytics", nearest(model, known))
    return fetch_model(model)
