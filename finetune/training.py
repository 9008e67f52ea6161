"""Training any learner: its settings from where they come, and the folder of its run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

from finetune.engine.config import LearnerConfig, load_config, parse_config
from finetune.engine.distributed import is_leader
from finetune.engine.remarks.memory import memory_told
from finetune.engine.runs import run_lock
from finetune.inference import TrainedRun
from finetune.learners import find_config, find_learner
from toolkit.aliases import Progress
from toolkit.errors import ToolkitError
from toolkit.files.locks import BusyError

__all__ = ["resolve_config", "train"]

_CHOSEN = "DEFECTKIT_RUN"  # tells the other processes of a training which folder the first one took


def train(
    learner: str,
    data: str | Path,
    out: str | Path | None = None,
    config: LearnerConfig | Mapping[str, object] | str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: object,
) -> TrainedRun:
    """Train a learner, evaluate it on the test images, and leave a run directory.

    Args:
        learner: "classifier", "longtail", "vae", "patchcore", "yolo", "yolo-world" or "sam".
        data: a dataset root, a category folder, or a label tree.
        out: run directory; by default runs/LEARNER-N, N the first that is free.
        config: settings: a YAML file, a mapping, or the learner's own config; those left out have defaults.
        resume: go on with a run that was interrupted.
        progress: called with (epochs done, epochs).
        settings: single settings, over those of `config`; a mapping changes some settings of a group.

    Raises:
        ToolkitError: settings, data, split, weights or device are at fault, `out` holds something, or training fails.
    """
    resolved = resolve_config(find_config(learner), config, settings)
    if resume and out is None:
        raise ToolkitError("--resume", "does not say which run to go on with", "name it with --out RUN")
    with ExitStack() as held:
        folder = Path(out) if out is not None else _free_folder(learner, held)
        found = find_learner(learner)
        with memory_told(folder, resolved.less_memory):
            run = found.train(Path(data), resolved, folder, resume, progress)
    return TrainedRun(run.root, run.learner)


def resolve_config(
    kind: type[LearnerConfig],
    config: LearnerConfig | Mapping[str, object] | str | Path | None,
    settings: Mapping[str, object],
) -> LearnerConfig:
    """A learner's config from any form of it, with single settings over it.

    Raises:
        ToolkitError: a file cannot be read, a key is unknown, a value does not fit, or the config is another learner's.
    """
    if isinstance(config, str | Path):
        config = load_config(kind, Path(config))
    if isinstance(config, LearnerConfig) and not isinstance(config, kind):
        raise ToolkitError("config", f"is a {type(config).__name__}, not a {kind.__name__}", "make one of those")
    if isinstance(config, LearnerConfig) and not settings:
        return config
    given = config.model_dump() if isinstance(config, LearnerConfig) else dict(config or {})
    sources = {name: f"{name}={value!r}" for name, value in settings.items()}
    return parse_config(kind, _merged(given, settings), sources)


def _merged(given: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """One mapping over another, groups within them too."""
    both = dict(given)
    for name, value in over.items():
        before = both.get(name)
        both[name] = _merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return both


def _free_folder(learner: str, held: ExitStack) -> Path:
    """The first folder that is not there, and that no other run is about to make; `held` keeps it until it ends.

    Lightning starts the other processes of a training by the same command: those take the folder of the first.
    """
    if not is_leader() and os.environ.get(_CHOSEN):
        return Path(os.environ[_CHOSEN])
    for number in count(1):
        folder = Path("runs") / f"{learner}-{number}"
        with suppress(BusyError):
            if not folder.exists():
                held.enter_context(run_lock(folder))
                break
    os.environ[_CHOSEN] = str(folder)
    held.callback(os.environ.pop, _CHOSEN, None)
    return folder
