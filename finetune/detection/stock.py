"""ultralytics' own table of settings, read from its file without loading it: names, types, defaults, meanings.

Most settings of training pass through to it as they are; those that this program sets itself have words of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from finetune.engine.config import SettingError, nearest

__all__ = ["MASKS_ONLY", "StockSetting", "check_passed", "own_words", "passed_names", "stock_table"]

MASKS_ONLY = ("copy_paste", "copy_paste_mode", "mask_ratio", "overlap_mask")
"""Settings that change nothing where a model makes boxes alone."""

_LINE = re.compile(r"^(?P<name>\w+):[^#]*# \((?P<kinds>[^)]*)\) (?P<meaning>.*)$")
_HEADING = re.compile(r"^# (?P<heading>[A-Z][^-]*?)(?: -+)?$")
_TRAINING = ("Train settings", "Segmentation", "Hyperparameters")
_OTHER_TASKS = re.compile(r"\((pose|depth|obb) tasks\)|classification (auto|\()")  # in a meaning
_OTHERS = ("angle", "auto_augment", "dis", "erasing")  # of tasks that are not trained here, and of a second model

_OWN_WORDS: Mapping[str, str] = {
    "amp": "precision",
    "batch": "batch_size",
    "device": "device",
    "epochs": "epochs",
    "imgsz": "image_size",
    "lr0": "lr",
    "model": "model",
    "optimizer": "optimizer",
    "patience": "patience",
    "plots": "plots",
    "pretrained": "weights",
    "seed": "seed",
    "weight_decay": "weight_decay",
    "workers": "workers",
}
"""ultralytics' name -> what it is called here."""

_ELSEWHERE: Mapping[str, str] = {
    "data": "DATA says it",
    "distill_model": "a second model is not supported: leave it out",
    "exist_ok": "use --out and --resume",
    "fraction": "use a split (split.strategy=..., split.file=...)",
    "name": "use --out",
    "profile": "leave it out: it is of loggers",
    "project": "use --out",
    "resume": "use --resume",
    "save": "leave it out: the last and the best epoch are kept",
    "save_period": "leave it out: the last and the best epoch are kept",
    "single_cls": "use --set classes=binary",
    "time": "use --set epochs=...",
    "verbose": "leave it out: log.csv has each epoch",
}
_MODES = ("flip", "mixup")  # of copy_paste_mode
_CACHES = (False, True, "ram")  # "disk" would leave files beside the images


@dataclass(frozen=True)
class StockSetting:
    """A setting of ultralytics.

    Attributes:
        name: what it is called there.
        kinds: types that it takes, such as "float" and "list".
        optional: whether it may be null.
        default: value where nothing is told.
        meaning: in ultralytics' words.
        training: whether it is of training detectors.
    """

    name: str
    kinds: tuple[str, ...]
    optional: bool
    default: object
    meaning: str
    training: bool

    def takes(self, value: object) -> bool:
        """Whether a value is of a type that it takes."""
        if value is None:
            return self.optional
        known = {kind: _PYTHON[kind.partition("[")[0]] for kind in self.kinds}
        if isinstance(value, bool):
            return "bool" in known
        return any(isinstance(value, kind) for kind in known.values())


_PYTHON: Mapping[str, Any] = {
    "bool": bool,
    "float": (int, float),
    "int": int,
    "list": list | tuple,
    "str": str,
    "tuple": list | tuple,
}


@cache
def stock_table() -> Mapping[str, StockSetting]:
    """Name -> setting, in the order of ultralytics' file; empty where it is not installed."""
    try:
        package = find_spec("ultralytics")
    except ImportError:  # what keeps a package from being imported may say so
        package = None
    if package is None or not package.submodule_search_locations:
        return {}
    text = (Path(package.submodule_search_locations[0]) / "cfg/default.yaml").read_text(encoding="utf-8")
    defaults = yaml.safe_load(text)
    found: dict[str, StockSetting] = {}
    heading = ""
    for line in text.splitlines():
        if told := _HEADING.match(line):
            heading = told["heading"]
        elif (told := _LINE.match(line)) and told["name"] in defaults:
            kinds = [one.strip() for one in re.split(r"[|,]", told["kinds"])]
            name, meaning = told["name"], told["meaning"]
            training = heading in _TRAINING and name not in _OTHERS and not _OTHER_TASKS.search(meaning)
            types = tuple(kind for kind in kinds if kind.partition("[")[0] in _PYTHON)
            found[name] = StockSetting(name, types, "optional" in kinds, defaults[name], meaning, training)
    return found


def own_words() -> dict[str, str]:
    """Ultralytics' name -> what it is called here, where that is another word and the values mean the same."""
    return {theirs: ours for theirs, ours in _OWN_WORDS.items() if theirs not in (ours, "amp", "pretrained")}


def passed_names() -> list[str]:
    """The settings of ultralytics that pass through as they are."""
    own = {*_OWN_WORDS, *_ELSEWHERE}
    return [one.name for one in stock_table().values() if one.training and one.name not in own]


def check_passed(settings: Mapping[str, object]) -> None:
    """Refuse what ultralytics does not know, does not take, or is not told under this name. Ranges it checks itself.

    Args:
        settings: ultralytics' name -> value.

    Raises:
        SettingError: a setting is unknown, of another type, or has a word of its own here.
    """
    table = stock_table()
    for name, value in settings.items():
        if name in _OWN_WORDS:
            remedy = f"use --set {_OWN_WORDS[name]}=... instead"
            raise SettingError(f"is {_OWN_WORDS[name]} here", remedy, name)
        if name in _ELSEWHERE:
            raise SettingError("cannot be set here", _ELSEWHERE[name], name)
        if not table:
            continue  # training will say that ultralytics is missing
        if name not in table:
            raise SettingError("is no setting of ultralytics", nearest(name, passed_names()), name)
        if not table[name].training:
            raise SettingError("is no setting of training a detector", "leave it out", name)
        if not table[name].takes(value):
            wanted = " or ".join((*table[name].kinds, *(["null"] if table[name].optional else [])))
            raise SettingError(f"takes {wanted}, not {value!r:.60}", "correct the value", name)
        if name == "copy_paste_mode" and value not in _MODES:
            raise SettingError(f"is none of {', '.join(_MODES)}", "correct the value", name)
        if name == "cache" and value not in _CACHES:
            raise SettingError(f"takes true, false or ram, not {value!r:.60}", "use ram", name)
