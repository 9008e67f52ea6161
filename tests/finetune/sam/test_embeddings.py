"""Embeddings are made once, checked whenever they are read, and made anew where they are damaged."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.engine.runs import file_sha256
from finetune.sam.embeddings import EmbeddingCache, Encoder, embed_images, entry_name, open_cache, read_padded
from finetune.sam.models import build_sam
from tests.finetune.sam.segmenting import write_blobs
from toolkit.errors import ToolkitError

SIZE = 64


def make_encoder(seed: int = 0, size: int = SIZE) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(build_sam("tiny", size).image_encoder, torch.device("cpu"), size)


class Counting(torch.nn.Module):
    """An encoder that counts the images it has seen."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.seen = inner, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        found: torch.Tensor = self.inner(images)
        return found


def counting() -> tuple[Encoder, Counting]:
    encoder = make_encoder()
    counter = Counting(encoder.module)
    return replace(encoder, module=counter), counter


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted((write_blobs(tmp_path_factory.mktemp("data"), images=3) / "test").glob("b*/*.png"))


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return open_cache(tmp_path, make_encoder())


def test_a_cached_embedding_is_the_fresh_one_in_half_precision(images: list[Path], cache: EmbeddingCache) -> None:
    encoder = make_encoder()
    digests, notes = embed_images(images, encoder, cache)
    assert notes == []
    for path in images:
        item = read_padded(path, SIZE)
        fresh = encoder.run(item["image"][None], item["size"][None])[0]
        kept = cache.read(digests[path])
        assert kept.dtype == torch.float16
        assert torch.equal(kept, fresh.half())


def test_images_are_encoded_once(images: list[Path], tmp_path: Path) -> None:
    encoder, counter = counting()
    cache = open_cache(tmp_path, encoder)
    embed_images(images[:2], encoder, cache)
    assert counter.seen == 2
    embed_images(images, encoder, cache)
    assert counter.seen == len(images)
    embed_images(images, encoder, cache)
    assert counter.seen == len(images)


def test_views_have_entries_of_their_own_and_are_those_of_the_turned_picture(
    images: list[Path], tmp_path: Path
) -> None:
    encoder, counter = counting()
    cache = open_cache(tmp_path, encoder)
    embed_images(images[:2], encoder, cache)
    digests, _ = embed_images(images[:2], encoder, cache, views={images[0]: 4})
    assert counter.seen == 2 + 3
    item = read_padded(images[0], SIZE, view=3)
    assert torch.equal(item["image"][:, :48], read_padded(images[0], SIZE)["image"][:, :48].flip(1, 2))
    fresh = encoder.run(item["image"][None], item["size"][None])[0]
    assert torch.equal(cache.read(entry_name(digests[images[0]], 3)), fresh.half())
    assert cache.state(entry_name(digests[images[0]], 4)) == "missing"


def test_the_same_pixels_under_another_name_have_one_entry(images: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(images[0].read_bytes())
    encoder, counter = counting()
    embed_images([images[0], copy], encoder, open_cache(tmp_path, encoder))
    assert counter.seen == 1


@pytest.mark.parametrize("change", ["weights", "size"])
def test_another_encoder_has_entries_of_its_own(change: str, images: list[Path], tmp_path: Path) -> None:
    first = make_encoder()
    other = make_encoder(seed=1) if change == "weights" else make_encoder(size=128)
    one, two = open_cache(tmp_path, first), open_cache(tmp_path, other)
    digests, _ = embed_images(images[:1], first, one)
    assert one.folder != two.folder
    assert two.state(digests[images[0]]) == "missing"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: b"",
        lambda data: b"{}\n" + data,
        lambda data: data.replace(b'"size": "64"', b'"size": "65"'),
        lambda data: data.replace(b'"shape": [64, 4, 4]', b'"shape": [64, 4, 5]'),
        lambda data: b"\xff\xfe" + data,
    ],
    ids=["cut", "bit", "empty", "head", "other", "shape", "binary"],
)
def test_a_damaged_entry_is_made_anew_and_said(damage: object, images: list[Path], tmp_path: Path) -> None:
    encoder, counter = counting()
    cache = open_cache(tmp_path, encoder)
    digests, _ = embed_images(images, encoder, cache)
    file = cache.file(digests[images[1]])
    sound = file.read_bytes()
    file.write_bytes(damage(sound))  # type: ignore[operator]
    assert cache.state(digests[images[1]]) == "damaged"
    with pytest.raises(ToolkitError, match=r"is no sound embedding .*resume=True"):
        cache.read(digests[images[1]])
    _, notes = embed_images(images, encoder, cache)
    assert counter.seen == len(images) + 1
    assert [file.name in note and "made anew" in note for note in notes] == [True]
    assert file.read_bytes() == sound


def test_many_damaged_entries_are_counted(images: list[Path], cache: EmbeddingCache) -> None:
    encoder = make_encoder()
    digests, _ = embed_images(images, encoder, cache)
    for digest in digests.values():
        cache.file(digest).write_bytes(b"")
    _, notes = embed_images(images, encoder, cache)
    assert len(notes) == 4
    assert notes[3].startswith("3 more")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_ends_it_and_leaves_the_rest_valid(images: list[Path], cache: EmbeddingCache) -> None:
    encoder = make_encoder()
    embed_images(images[:2], encoder, cache)
    third = file_sha256(images[2])
    (cache.folder / f".{third}.{platform.node()}.{os.getpid()}.partial").symlink_to("/dev/full")
    with pytest.raises(ToolkitError, match=r"No space left on device.*stays valid: free space and resume=True"):
        embed_images(images, encoder, cache)
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted(
        f"{file_sha256(path)}.emb" for path in images[:2]
    )
    digests, notes = embed_images(images, encoder, cache)
    assert notes == []
    assert all(cache.state(digest) == "sound" for digest in digests.values())


def test_what_a_killed_run_left_is_removed_in_time(images: list[Path], cache: EmbeddingCache) -> None:
    cache.folder.mkdir(parents=True)
    old, new = cache.folder / ".a.partial", cache.folder / ".b.partial"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    embed_images(images[:1], make_encoder(), cache)
    assert (old.exists(), new.exists()) == (False, True)


def test_numbers_beyond_half_precision_are_refused(cache: EmbeddingCache) -> None:
    with pytest.raises(ToolkitError, match=r'beyond fp16; use cache="none"'):
        cache.write("0" * 64, torch.full((1, 2, 2), 1e6))
    assert not cache.folder.exists()


def test_processes_share_the_work(images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, counter = counting()
    cache = open_cache(tmp_path, encoder)
    embed_images(images[::2], encoder, cache)  # as another process would
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    seen: list[tuple[int, int]] = []
    embed_images(images, encoder, cache, lambda *told: seen.append(told))
    assert counter.seen == len(images)
    assert seen[0][1] < len(images[1::2]) + 1


def test_an_image_is_scaled_and_padded_as_meta_does(images: list[Path]) -> None:
    item = read_padded(images[0], 128)  # 48 x 64
    assert item["size"].tolist() == [96, 128]
    assert item["image"].shape == (3, 128, 128)
    assert not item["image"][:, 96:].any()
