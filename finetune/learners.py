"""The learners by name. Each lives in a file of its own, which is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

from finetune.engine.config import nearest
from finetune.engine.learner import Learner
from toolkit.errors import ToolkitError

__all__ = ["LEARNERS", "find_learner"]


LEARNERS = {
    "classifier": "finetune.classifier.learner",
    "longtail": "finetune.longtail.learner",
    "sam": "finetune.sam.learner",
    "vae": "finetune.vae.learner",
    "yolo-world": "finetune.yolo_world.learner",
}
"""Name -> module, whose `LEARNER` is the learner."""


def find_learner(name: str) -> Learner:
    """The learner of this name.

    Raises:
        ToolkitError: there is none, or its packages are not installed.
    """
    if name not in LEARNERS:
        raise ToolkitError(name, "is no learner", nearest(name, list(LEARNERS)))
    try:
        found = import_module(LEARNERS[name]).LEARNER
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("finetune", "toolkit", "converters"):
            raise
        raise ToolkitError(name, f"needs the package {error.name}", "pip install 'defectkit[train]'") from error
    if not isinstance(found, Learner):
        raise TypeError(f"{LEARNERS[name]}.LEARNER is no Learner")
    return found
