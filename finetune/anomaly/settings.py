"""Settings of learners that tell anomalies from good images by a threshold; without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from finetune.engine.config import LearnerConfig
from finetune.metrics.promises import Promise, parse_rate

__all__ = ["ThresholdConfig"]


def _rate(value: object) -> object:
    return value if value == "auto" else parse_rate(value)


def _of_percentile(percentile: object) -> object:
    """What a percentile of version 0.1.0 is today. 99 was the default, and a share of 0 cannot be asked for."""
    if not isinstance(percentile, int | float):
        return percentile
    if percentile in (99, 100):
        return "auto"
    return round(1 - percentile / 100, 12)


class ThresholdConfig(LearnerConfig):
    """How the threshold is chosen among the scores of good images that were not trained on."""

    renamed: ClassVar[Mapping[str, str]] = {"percentile": "max_false_reject"}
    revalued: ClassVar[Mapping[str, Callable[[Any], object]]] = {"percentile": _of_percentile}

    max_false_reject: Annotated[float | Literal["auto"], BeforeValidator(_rate)] = Field(
        default="auto",
        description=(
            "the highest share of good parts that the threshold may reject, for instance 5 % or 0.05; what the good "
            'images cannot promise is refused. "auto" is 1 %, or the lowest that they can promise.'
        ),
    )
    promise: Promise = Field(
        default="expected",
        description='of that share: "expected" keeps it on average, "sure" with 95 % confidence.',
    )
