"""All settings of a learner as a YAML file with what each means, out of the docstrings of its config models."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from finetune.engine.config import LearnerConfig

__all__ = ["meanings", "settings_yaml"]

_WIDTH = 100
_ENTRY = re.compile(r"\n    (?=\w[\w, ]*: )")


def settings_yaml(kind: type[LearnerConfig]) -> str:
    """The defaults of a learner as YAML, each behind a comment that says what it means; `load_config` reads it.

    Args:
        kind: the learner's model.
    """
    return "\n".join(_lines(kind, None, "")) + "\n"


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Name of a setting -> what it means: the "Attributes" of the model and of those that it builds on."""
    found: dict[str, str] = {}
    for model in reversed(kind.__mro__):
        text = inspect.cleandoc(vars(model).get("__doc__") or "")
        for entry in _ENTRY.split(text.partition("Attributes:")[2]):
            names, colon, meaning = entry.partition(": ")
            if colon:
                found |= {name.strip(): " ".join(meaning.split()) for name in names.split(",")}
    return found


def _lines(kind: type[BaseModel], group: BaseModel | None, indent: str) -> Iterator[str]:
    """Lines of a model's defaults, or of the values that a group of settings has by default."""
    told = meanings(kind)
    for name, field in kind.model_fields.items():
        yield from textwrap.wrap(told[name], _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ")
        default = field.get_default(call_default_factory=True) if group is None else getattr(group, name)
        if isinstance(default, BaseModel):
            yield f"{indent}{name}:"
            yield from _lines(type(default), default, f"{indent}  ")
        else:
            yield f"{indent}{_pair(name, default)}"


def _pair(name: str, value: Any) -> str:
    told = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return f"{name}: {told.strip().removesuffix('...').strip()}"
