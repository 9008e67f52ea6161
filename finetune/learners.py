"""The learners by name. Each lives in a folder of its own, which is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

from finetune.engine.config import LearnerConfig, nearest
from finetune.engine.learner import Learner
from toolkit.errors import ToolkitError

__all__ = ["LEARNERS", "find_config", "find_learner"]


_LONGEST = 40  # characters of a name that is none, in a message
LEARNERS = {
    "classifier": ("finetune.classifier", "ClassifierConfig"),
    "longtail": ("finetune.longtail", "LongtailConfig"),
    "patchcore": ("finetune.patchcore", "PatchcoreConfig"),
    "sam": ("finetune.sam", "SamConfig"),
    "vae": ("finetune.vae", "VaeConfig"),
    "yolo": ("finetune.yolo", "YoloConfig"),
    "yolo-world": ("finetune.yolo_world", "YoloWorldConfig"),
}
"""Name -> its folder, and the class of its settings. FOLDER.config has that class, FOLDER.learner the `LEARNER`."""


def find_config(name: str) -> type[LearnerConfig]:
    """The settings of the learner of this name; they load without torch, so that they can be shown anywhere.

    Raises:
        ToolkitError: there is none.
    """
    folder, kind = _place(name)
    found = getattr(import_module(f"{folder}.config"), kind)
    if not (isinstance(found, type) and issubclass(found, LearnerConfig)):
        raise TypeError(f"{folder}.config.{kind} is no LearnerConfig")
    return found


def find_learner(name: str) -> Learner:
    """The learner of this name.

    Raises:
        ToolkitError: there is none, or its packages are not installed.
    """
    folder, _ = _place(name)
    try:
        found = import_module(f"{folder}.learner").LEARNER
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("finetune", "toolkit", "converters"):
            raise
        raise ToolkitError(name, f"needs the package {error.name}", "pip install 'defectkit[train]'") from error
    if not isinstance(found, Learner):
        raise TypeError(f"{folder}.learner.LEARNER is no Learner")
    return found


def _place(name: str) -> tuple[str, str]:
    if name not in LEARNERS:
        shown = name if 0 < len(name) <= _LONGEST else repr(name[:_LONGEST])
        raise ToolkitError(shown, "is no learner", nearest(name, list(LEARNERS)))
    return LEARNERS[name]
