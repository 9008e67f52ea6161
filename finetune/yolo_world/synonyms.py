"""Several phrases for a class: where a model scores each of them, the best is the score of the class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

__all__ = ["best_of_each", "gather_phrases"]


def best_of_each(scores: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Scores (B, phrases, ...) as those of classes (B, classes, ...), the first of which have so many phrases."""
    return torch.cat([part.amax(1, keepdim=True) for part in scores.split(list(sizes), 1)], 1)


def gather_phrases(head: Any, sizes: Sequence[int]) -> None:
    """Have the head of a model that predicts tell of classes, each by the best of its phrases.

    It is the logits that are gathered, and not the detections: boxes, losses and files that are exported are those of a
    model of so many classes.

    Args:
        head: of YOLO-World or YOLOE, which scores each phrase; or one that was changed so before.
        sizes: number of phrases of each class, in their order; of a class that has one alone nothing changes.
    """
    vars(head).pop("forward_head", None)
    plain = all(size == 1 for size in sizes)
    if hasattr(head, "reprta"):  # YOLOE, whose own code counts phrases in between
        if not plain:
            head.forward_head = partial(_gathered_head, head, tuple(sizes))
        return
    for contrast in head.cv4:
        contrast._forward_hooks.clear()
        if not plain:
            contrast.register_forward_hook(partial(_gathered, tuple(sizes)))


def _gathered(sizes: Sequence[int], module: Any, given: Any, found: torch.Tensor) -> torch.Tensor:
    return best_of_each(found, sizes)


def _gathered_head(head: Any, sizes: Sequence[int], *given: Any, **told: Any) -> Any:
    found = type(head).forward_head(head, *given, **told)
    if found:
        found["scores"] = best_of_each(found["scores"], sizes)
        head.nc, head.no = len(sizes), len(sizes) + 4 * head.reg_max
    return found
