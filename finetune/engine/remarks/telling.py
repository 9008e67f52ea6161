"""Who is told at once, while a learner works: notes as they come, and a line for each epoch and run.

Nobody, unless somebody listens: a command does, and prints them to stderr.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from finetune.engine.distributed import is_leader

__all__ = ["Listener", "listened_to", "listening", "tell"]

Listener = Callable[[Literal["note", "progress"], str], None]
"""Is called with the kind of a line, and the line."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While the block runs, `listener` gets what is told; another one that listened does not."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def listened_to() -> bool:
    """Whether what is told reaches somebody; of several processes that work together, only the first one's does."""
    return _listener.get() is not None and is_leader()


def tell(kind: Literal["note", "progress"], text: str) -> None:
    """Tell whoever listens, if somebody does."""
    listener = _listener.get()
    if listener is not None and is_leader():
        listener(kind, text)
