"""Files that torch opens: code in every pickle protocol, archives that grow, storages that lie; and sound ones."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from tests.fuzz.judge import TRAP

__all__ = ["code_behind_tensors", "hostile", "saved"]


class _Code:
    """Whoever unpickles it runs a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {TRAP}",)


def saved(value: Any, *, legacy: bool = False) -> bytes:
    """What `torch.save` writes."""
    store = io.BytesIO()
    torch.save(value, store, _use_new_zipfile_serialization=not legacy)
    return store.getvalue()


def _zipped(pickled: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    store = io.BytesIO()
    with zipfile.ZipFile(store, "w", method) as archive:
        for name, data in (("data.pkl", pickled), ("version", b"3\n"), ("byteorder", b"little")):
            archive.writestr(f"archive/{name}", data)
    return store.getvalue()


def code_behind_tensors() -> bytes:
    """Tensors, which may be read, and behind them code, which may not."""
    return saved({"a": torch.zeros(3)}, legacy=True) + pickle.dumps(_Code())


def hostile(home: Path) -> dict[str, bytes]:
    """Name -> content of files that no reader may accept."""
    code = _Code()
    inside = {"state_dict": {"a": code}, "model": code, "ema": None, "features": {"a": code}, "format": "x"}
    found = {
        "a pickle": pickle.dumps(code),
        "a pickle of a dict": pickle.dumps({**inside, "image_encoder.pos_embed": code}),
        "an archive": saved(code),
        "an archive of a dict": saved(inside),
        "a bomb": _zipped(bytes(300 << 20), zipfile.ZIP_DEFLATED),
        "nothing": b"",
        "a text": b"hello",
    }
    found |= {f"protocol {number}": pickle.dumps(code, number) for number in range(6)}
    # calls of what a list of allowed names may hold
    shell = f'__import__("os").system("touch {TRAP}")'
    calls = {
        "eval": f"cbuiltins\neval\n(S'{shell}'\ntR.",
        "getattr": "cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.",
        "torch.load": f"ctorch.serialization\nload\n(S'{home / 'a-pickle.pt'}'\ntR.",
        "Sequential": "ctorch.nn.modules.container\nSequential\n(tR.",
        "yaml_load": "cultralytics.utils\nyaml_load\n(S'/etc/passwd'\ntR.",
        "safe_download": "cultralytics.utils.downloads\nsafe_download\n(S'http://localhost:9/x'\ntR.",
    }
    for name, text in calls.items():
        found[f"a call of {name}"] = text.encode()
        found[f"a call of {name} in an archive"] = _zipped(text.encode())
    return found
