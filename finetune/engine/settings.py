"""All settings of a learner as a YAML file with what each means, out of the descriptions of their fields."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import yaml
from pydantic import BaseModel

from finetune.engine.config import LearnerConfig

__all__ = ["meanings", "settings_yaml"]

_WIDTH = 100


def settings_yaml(kind: type[LearnerConfig]) -> str:
    """The defaults of a learner as YAML, each behind a comment that says what it means; `load_config` reads it.

    Args:
        kind: the learner's model.
    """
    return "\n".join(_lines(kind, None, "")) + "\n"


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Name of a setting -> what it means: its field's description, or that of the model which it is inherited from."""
    found: dict[str, str] = {}
    for model in reversed(kind.__mro__):
        if issubclass(model, BaseModel):
            fields = model.model_fields.items()
            found |= {name: field.description for name, field in fields if field.description is not None}
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


def _pair(name: str, value: object) -> str:
    told = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return f"{name}: {told.strip().removesuffix('...').strip()}"
