"""Settings of a learner: one strict pydantic model each, from a YAML file and `--set key=value`."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from finetune.engine.distributed import Workers, auto_workers
from finetune.engine.outputs.loggers import LoggerName, logger_field
from finetune.engine.remarks.memory import halved
from toolkit.errors import BadInputError, Problem, ToolkitError
from toolkit.files.typed import parse_yaml, yaml_value

__all__ = [
    "IMAGENET",
    "AugmentConfig",
    "Depth",
    "Flips",
    "LearnerConfig",
    "Normalization",
    "SettingError",
    "TrainedConfig",
    "as_begun",
    "dump_config",
    "in_todays_words",
    "load_config",
    "nearest",
    "parse_config",
    "parse_settings",
    "read_settings",
]

_COMMAND_LINE = "--set"
_LEAST_BITS, _MOST_BITS = 8, 16
_OWN_FAULT = "own_fault"
_SCIENTIFIC = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")

Depth = int | Literal["auto", "each"]
"""By what images of more than 8 bits are scaled: bits of a range, "auto" where it is yet to be decided, or "each"."""


class SettingError(PydanticCustomError):
    """A fault that a validator finds in a group of settings, with its own way out."""

    def __new__(cls, problem: str, remedy: str, name: str) -> SettingError:
        """Say what is wrong with the setting `name` of the group, and what to do."""
        return super().__new__(cls, _OWN_FAULT, "{problem}", {"problem": problem, "remedy": remedy, "name": name})


class LearnerConfig(BaseModel):
    """What every learner can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Word of version 0.1.0 -> what it is called now. A "group.key" may be in a group that has the old word's name: the
    old word is then meant where a value stands instead of a group."""

    revalued: ClassVar[Mapping[str, Callable[[Any], object]]] = {}
    """Old word -> what its value is under the new one, where that is another."""

    learns: ClassVar[Literal["classes", "good", "instances"]] = "classes"
    """What of the labels is learnt: classes of images, what is good alone, or the objects in them."""

    belongs: ClassVar[Mapping[str, str]] = {}
    """Setting, or group of them -> what it needs, without which it has no effect: "model=feature", or several such
    conditions with " and " between, and " or " between those."""

    epochs: int = Field(default=50, ge=1, description="passes over the training images, at most.")
    batch_size: int = Field(default=16, ge=1, description="images in a step.")
    image_size: int = Field(default=224, ge=16, description="side of the square that images are resized to, in pixels.")
    lr: float = Field(default=1e-3, gt=0, description="learning rate.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of all that is random.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description='"auto" takes the first GPU if there is one, "cpu", "cuda", "cuda:1" or "mps".',
    )
    workers: int = Field(default=0, ge=0, description="processes that read images; 0 reads in the training process.")
    weights: str = Field(default="default", description="what to begin with; each learner says what it takes.")
    layout: str | dict[str, Any] | None = Field(
        default=None,
        description="how the data is laid out: a built-in layout, a file, or a description; null finds it by itself.",
    )
    categories: str | tuple[str, ...] = Field(
        default=(), description="products to learn from, a name or a list of names; none takes all that are there."
    )
    on_problem: Literal["fail", "skip"] = Field(
        default="fail", description='"fail" stops at faulty files, before anything is written; "skip" leaves them out.'
    )
    depth: Depth = Field(
        default="auto",
        description="bits, 8 to 16, of the range by which images of more than 8 bits are scaled to 8; what is brighter "
        'is white. "auto" takes what the train images need, once for the whole run; "each" scales each image by its '
        "own range.",
    )

    @property
    def bits(self) -> int | None:
        """The range of deep images as `toolkit.imaging.images.read_image` takes it; None for that of each."""
        return self.depth if isinstance(self.depth, int) else None

    @field_validator("depth", mode="before")
    @classmethod
    def _check_depth(cls, given: object) -> object:
        if given in ("auto", "each") or (type(given) is int and _LEAST_BITS <= given <= _MOST_BITS):
            return given
        raise ValueError(f'is neither "auto" nor "each", nor a number of bits from {_LEAST_BITS} to {_MOST_BITS}')

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, given: object) -> object:
        """Let a group that is told in part keep what this learner has set in the rest of it."""
        if not isinstance(given, dict):
            return given
        groups = {name: field.get_default(call_default_factory=True) for name, field in cls.model_fields.items()}
        merged = {
            name: {**default.model_dump(exclude_unset=True), **given[name]}
            for name, default in groups.items()
            if isinstance(default, BaseModel) and isinstance(given.get(name), Mapping)
        }
        return {**given, **merged}

    def scaled(self, width: int, height: int) -> tuple[float, float]:
        """Factors by which an image is made wider and higher before it is learnt from: a square is made of it."""
        return self.image_size / width, self.image_size / height

    def less_memory(self) -> list[str]:
        """What makes a training take less of a GPU's memory."""
        return [*halved(self, "batch_size"), "a smaller image_size", "--set device=cpu"]

    def less_memory_in_use(self) -> list[str]:
        """Lines of a run's config.yaml that make the finished run take less of a GPU's memory."""
        return [*([f"batch_size: {self.batch_size // 2}"] if self.batch_size > 1 else []), "device: cpu"]


class TrainedConfig(LearnerConfig):
    """What the learners that share the Lightning trainer can be told besides."""

    workers: Workers = auto_workers()
    logger: LoggerName = logger_field("tensorboard")
    precision: str = Field(
        default="auto",
        pattern=r"^(auto|32|16-mixed|bf16-mixed)$",
        description='of the arithmetic: "auto" is bf16 on a GPU that has it, fp16 with scaled losses on one that has '
        "not, and 32 bits on a CPU; 32 bits on a GPU are TF32 in products.",
    )
    deterministic: bool = Field(
        default=True,
        description="whether a run repeats to the bit on a GPU, as on a CPU. The price is speed: false lets the GPU "
        "choose its kernels by trial and add up in any order.",
    )
    devices: int = Field(
        default=1,
        ge=1,
        description="GPUs (or processes on a CPU) on each node; more than one needs `strategy`.",
    )
    nodes: int = Field(default=1, ge=1, description="machines that train together.")
    strategy: str = Field(
        default="auto",
        description='of Lightning, for more than one device: "auto", "ddp", "fsdp" and others.',
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="epochs without a better validation figure after which training ends; 0 never ends it early.",
    )


Flips = Literal["none", "horizontal", "both"]


@dataclass(frozen=True)
class Normalization:
    """What is taken from RGB values in [0, 1], and what they are divided by then, channel by channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Of ImageNet's images: what nearly all of torchvision's weights were trained with."""


class AugmentConfig(BaseModel):
    """How training images are varied. Mild by default: a scratch must stay a scratch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    horizontal_flip: bool = Field(default=True, description="mirror every second image left and right.")
    vertical_flip: bool = Field(default=False, description="mirror every second image upside down.")
    rotation: float = Field(
        default=5.0,
        ge=0,
        le=180,
        description="by at most this angle to either side, in degrees; the corners are filled by reflection.",
    )
    colour: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="brightness, contrast and saturation change by at most this part.",
    )
    crop: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="the smallest part of the image's area that is cut out and enlarged; 1 cuts nothing.",
    )


Config = TypeVar("Config", bound=LearnerConfig)


def load_config(kind: type[Config], file: Path | None = None, settings: Sequence[str] = ()) -> Config:
    """Settings out of a YAML file, and over them those of the command line.

    Args:
        kind: the learner's model.
        file: a YAML mapping of keys to values, or None.
        settings: "key=value", the value as YAML; "group.key=value" reaches into a group.

    Raises:
        ToolkitError: the file cannot be read; a key is unknown (the nearest one is named) or a value does not fit.
    """
    given: dict[str, object] = {} if file is None else read_settings(file)
    sources = dict.fromkeys(given, str(file))
    for setting in settings:
        sources[_put(given, setting)] = f"{_COMMAND_LINE} {setting}"
    return parse_config(kind, given, sources)


def as_begun(config: Config, run: Path) -> Config:
    """Settings of a run that may have begun: by what its deep images are scaled was decided then, and stays."""
    file = run / "config.yaml"
    if config.depth != "auto" or not file.is_file():
        return config
    return config.model_copy(update={"depth": read_settings(file).get("depth", "each")})


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """Settings of the command line as a mapping, groups within it.

    Args:
        settings: "key=value", as for `load_config`.

    Raises:
        ToolkitError: one is not of that form.
    """
    given: dict[str, object] = {}
    for setting in settings:
        _put(given, setting)
    return given


def parse_config(kind: type[Config], given: Mapping[str, object], sources: Mapping[str, str] | None = None) -> Config:
    """Settings out of a mapping.

    Args:
        kind: the learner's model.
        given: key -> value.
        sources: key -> where it was set, for messages.

    Raises:
        ToolkitError: as `load_config`; all faults at once.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        places = sources or {}
        raise BadInputError([_problem(kind, fault, places) for fault in error.errors()]) from error


def in_todays_words(kind: type[LearnerConfig], given: Mapping[str, object]) -> dict[str, object]:
    """Settings that version 0.1.0 wrote under the names that they have now; those of today stay as they are."""
    told = dict(given)
    for old, new in kind.renamed.items():
        if old in told and not (_is_group(old, new) and isinstance(told[old], Mapping)):
            _put_at(told, new.split("."), _todays_value(kind, old, told.pop(old)))
    return told


def dump_config(config: LearnerConfig) -> str:
    """All settings as YAML, in the order in which the model names them."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint that names the most similar of the known names, or all of them where none is like it."""
    like = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if like:
        return "did you mean " + " or ".join(like) + "?"
    return "use one of " + ", ".join(known)


def read_settings(file: Path) -> dict[str, object]:
    """What a YAML file of settings says, whatever it is.

    Raises:
        ToolkitError: it cannot be read, or is no mapping.
    """
    value = parse_yaml(file, "correct it")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ToolkitError(file, "holds no settings", "write lines such as 'lr: 0.001'")
    return value


def _value(setting: str, text: str) -> object:
    place = f"{_COMMAND_LINE} {setting}"
    try:
        value = yaml_value(text, place, "")
    except ToolkitError as error:
        raise ToolkitError(place, "the value is not valid YAML", "put it in quotes") from error
    # YAML 1.1 takes 1e-3 for text, which nobody means.
    return float(value) if isinstance(value, str) and _SCIENTIFIC.fullmatch(value) else value


def _put(given: dict[str, object], setting: str) -> str:
    """Put "group.key=value" into a mapping, groups within it; the first name of its path."""
    name, equals, text = setting.partition("=")
    if not equals or not name.strip():
        raise ToolkitError(f"{_COMMAND_LINE} {setting}", "is no setting", f"write it as {_COMMAND_LINE} lr=0.01")
    path = name.strip().split(".")
    _put_at(given, path, _value(setting, text))
    return path[0]


def _put_at(given: dict[str, object], path: Sequence[str], value: object) -> None:
    for part in path[:-1]:
        inner = given.get(part)
        group: dict[str, object] = dict(inner) if isinstance(inner, dict) else {}
        given[part] = group
        given = group
    given[path[-1]] = value


def _is_group(old: str, new: str) -> bool:
    """Whether a setting became a key of a group of its own name."""
    return new.startswith(f"{old}.")


def _problem(kind: type[LearnerConfig], fault: ErrorDetails, sources: Mapping[str, str]) -> Problem:
    """One fault that pydantic found, in our words."""
    path = [str(part) for part in fault["loc"]]
    name = ".".join(path)
    place = sources.get(path[0] if path else "", "config")
    if name in kind.renamed and fault["type"] in ("extra_forbidden", "model_type"):
        return _renamed(name, kind.renamed[name], _todays_value(kind, name, fault["input"]), place)
    if fault["type"] == "extra_forbidden":
        model = _model_at(kind, path[:-1])
        known = list(model.model_fields) if model is not None else []
        return Problem(place, f"unknown key {name!r}", nearest(path[-1], known) if known else "leave it out")
    if fault["type"] == _OWN_FAULT:
        told = fault["ctx"]
        return Problem(place, f"{name}.{told['name']}: {told['problem']}", str(told["remedy"]))
    message = str(fault["msg"]).removeprefix("Value error, ")
    told = fault.get("input")
    shown = f" (it is {reprlib.repr(told)})" if not isinstance(told, dict) else ""
    return Problem(place, f"{name or 'config'}: {message[:1].lower()}{message[1:]}{shown}", "correct the value")


def _todays_value(kind: type[LearnerConfig], old: str, value: object) -> object:
    return kind.revalued[old](value) if old in kind.revalued else value


def _renamed(old: str, new: str, value: object, place: str) -> Problem:
    """A setting under a name that it no longer has."""
    told = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).removesuffix("\n").removesuffix("\n...")
    if place.startswith((_COMMAND_LINE, f"{old}=")):  # the latter is an argument of Python, and is told as one
        return Problem(old, f"is called {new} now", f"use {_COMMAND_LINE} {new}={told}")
    *groups, last = new.split(".")
    line = f"{last}: {told}"
    for group in reversed(groups):
        line = f"{group}: {{{line}}}"
    return Problem(place, f"{old} is called {new} now", f"write {line}")


def _model_at(kind: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """The model of a group of settings."""
    for name in path:
        field = kind.model_fields.get(name)
        if field is None:
            return None
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
        if not models:
            return None
        kind = models[0]
    return kind
