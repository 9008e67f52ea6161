"""Settings without effect: what was set to something else than its default, and is not used beside the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from finetune.engine.config import LearnerConfig
from toolkit.dataset.splits.strategies import OF_STRATEGY

__all__ = ["unused_settings"]


def unused_settings(config: LearnerConfig) -> list[str]:
    """A note for each setting that was changed and has no effect.

    What a setting needs is said by `LearnerConfig.belongs`, and for those of `split` by its strategy. A setting that
    stands at its default was asked for by nobody.
    """
    return [
        f"{name}={_shown(value)} has no effect: {why}"
        for name, value in _changed(config)
        if (why := _unused(config, name)) is not None
    ]


def _changed(config: LearnerConfig) -> Iterator[tuple[str, object]]:
    """("group.key", value) of the settings that are not at their defaults."""
    for name, field in type(config).model_fields.items():
        value, default = getattr(config, name), field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel) and type(value) is type(default):
            pairs = ((inner, getattr(value, inner)) for inner in type(value).model_fields)
            yield from ((f"{name}.{inner}", one) for inner, one in pairs if one != getattr(default, inner))
        elif value != default:
            yield name, value


def _unused(config: LearnerConfig, name: str) -> str | None:
    """Why a setting has no effect; None where it has one."""
    told = _told(type(config))
    needs = told.get(name) or told.get(name.partition(".")[0])
    if needs is not None:
        return None if any(_holds(config, one) for one in needs.split(" or ")) else f"it is of {needs}"
    return _unused_of_split(config, name.removeprefix("split.")) if name.startswith("split.") else None


def _told(kind: type[LearnerConfig]) -> Mapping[str, str]:
    """What the settings need, those of the models that a model is made from too."""
    found: dict[str, str] = {}
    for model in reversed(kind.__mro__):
        found |= vars(model).get("belongs", {})
    return found


def _holds(config: LearnerConfig, condition: str) -> bool:
    """Whether "name=value" holds, "name!=value", or several of them with " and " between."""
    for one in condition.split(" and "):
        name, equals, value = one.partition("=")
        if (_shown(getattr(config, name.removesuffix("!"))) == value) == name.endswith("!") or not equals:
            return False
    return True


def _unused_of_split(config: LearnerConfig, name: str) -> str | None:
    split = getattr(config, "split", None)
    if name in ("file", "strategy") or split is None:
        return "split.file says which images are what" if name == "strategy" and split and split.file else None
    if split.file is not None:
        return "split.file says which images are what"
    if split.strategy == "native" and config.learns == "good" and name in ("test", "seed"):
        return None  # where good images are drawn for test
    strategies = ("stratified",) if split.strategy == "auto" else (split.strategy,)
    if any(name in OF_STRATEGY[one] for one in strategies):
        return None
    owners = [one for one, settings in OF_STRATEGY.items() if name in settings]
    return f"it is of split.strategy={' or '.join(owners)}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
