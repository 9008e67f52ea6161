"""Weights that are fetched once, and what is around them in other people's files."""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.engine.checkpoints import fetch_file, wrapped_state
from toolkit.errors import ToolkitError

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps a list of what was asked for."""

    asked: list[str]

    def log_message(self, *_: Any) -> None:
        self.asked.append(self.command)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served/a.pth").write_bytes(CONTENT)
    (tmp_path / f"served/b-{SHA256[:8]}.pth").write_bytes(CONTENT)
    Quiet.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as found:
        thread = threading.Thread(target=partial(found.serve_forever, 0.01))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub/checkpoints"


def url(server: ThreadingHTTPServer, name: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def test_a_file_is_fetched_once_and_then_kept(server: ThreadingHTTPServer, cache: Path) -> None:
    for _ in range(2):
        assert fetch_file("weights of x", url(server, "a.pth"), "", SHA256) == cache / "a.pth"
    assert (cache / "a.pth").read_bytes() == CONTENT
    assert fetch_file("weights of x", url(server, f"b-{SHA256[:8]}.pth"), "").read_bytes() == CONTENT
    assert Quiet.asked == ["HEAD", "GET", "HEAD", "GET"]


@pytest.mark.parametrize(
    ("name", "sha256", "reason"),
    [
        ("a.pth", "0" * 64, f'invalid hash value (expected "{"0" * 64}"'),
        ("b-00000000.pth", None, "invalid hash value"),
        ("missing.pth", None, "HTTP Error 404"),
    ],
)
def test_another_file_is_none(
    name: str, sha256: str | None, reason: str, server: ThreadingHTTPServer, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "served/b-00000000.pth").write_bytes(CONTENT)
    with pytest.raises(ToolkitError) as caught:
        fetch_file("weights of x", url(server, name), "or take none", sha256)
    told = str(caught.value)
    parts = ("weights of x: cannot be fetched from", url(server, name), reason[:40], str(cache), "or take none")
    assert all(part in told for part in parts), told
    assert "\n" not in told
    assert list(cache.glob("*")) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_without_an_answer_it_says_where_a_file_belongs(cache: Path, server: ThreadingHTTPServer) -> None:
    cache.mkdir(parents=True)
    (cache / "a.pth").write_bytes(b"cut")
    with pytest.raises(ToolkitError, match=r"a\.pth: is not what http.* gives out; remove it"):
        fetch_file("weights of x", url(server, "a.pth"), "", SHA256)
    with pytest.raises(ToolkitError, match=r"127\.0\.0\.1:9/z\.pth .*refused.*go online once"):
        fetch_file("weights of x", "http://127.0.0.1:9/z.pth", "", SHA256)
    assert Quiet.asked == []
    gc.collect()  # the system's own socket is closed here, where that is no fault


def test_weights_are_found_in_what_is_around_them() -> None:
    state = {"a": torch.ones(1)}
    for name in ("state_dict", "model_state", "model"):
        assert wrapped_state({name: state, "epoch": 3}) == state
    assert wrapped_state({"model": {"state_dict": state}}) == state
    assert wrapped_state(state) == state
    assert wrapped_state({"epoch": 3, "weights": state}) is None
    assert wrapped_state([state]) is None
