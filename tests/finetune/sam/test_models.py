"""SAM in parts: batches across images, Meta's format, low-rank updates, and checkpoints that are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from finetune.sam.embeddings import Encoder
from finetune.sam.models import (
    Prompts,
    add_lora,
    build_sam,
    decode,
    encode,
    meta_state,
    read_sam_weights,
    save_sam,
    weights_hash,
)
from finetune.sam.predictor import Segmenter
from tests.finetune.sam.segmenting import write_blobs
from toolkit.errors import ToolkitError
from toolkit.imaging.images import read_image

SIZE = 64


def tiny(seed: int = 0, size: int = SIZE) -> Any:
    torch.manual_seed(seed)
    sam = build_sam("tiny", size)
    for parameter in sam.parameters():  # positions begin at zero, and would hide a mistake
        parameter.data += 0.02 * torch.randn_like(parameter)
    return sam


def prompts(clicks: int, number: int = 6, images: int = 3, *, masks: bool = False) -> Prompts:
    torch.manual_seed(1)
    low = torch.rand(number, 2) * SIZE / 2
    return Prompts(
        image=torch.arange(number) % images,
        boxed=torch.arange(number) % 2 == 0,
        boxes=torch.cat([low, low + 10], dim=1),
        points=torch.rand(number, 1 + clicks, 2) * SIZE,
        labels=torch.randint(2, (number, 1 + clicks)),
        masks=torch.randn(number, 1, SIZE // 4, SIZE // 4) if masks else None,
    )


def one_by_one(sam: Any, embeddings: torch.Tensor, asked: Prompts, place: int) -> tuple[torch.Tensor, torch.Tensor]:
    """As segment-anything does it: one image, its own prompts."""
    boxed = bool(asked.boxed[place])
    first = 1 if boxed else 0
    points = (asked.points[place : place + 1, first:], asked.labels[place : place + 1, first:])
    sparse, dense = sam.prompt_encoder(
        points=points if points[0].shape[1] else None,
        boxes=asked.boxes[place : place + 1] if boxed else None,
        masks=None if asked.masks is None else asked.masks[place : place + 1],
    )
    image = int(asked.image[place])
    found: tuple[torch.Tensor, torch.Tensor] = sam.mask_decoder.predict_masks(
        image_embeddings=embeddings[image : image + 1],
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
    )
    return found


@pytest.mark.parametrize(("clicks", "masks"), [(0, False), (1, True), (3, True)])
def test_a_batch_across_images_gives_the_logits_of_one_by_one(clicks: int, masks: bool) -> None:
    sam, embeddings, asked = tiny(), torch.randn(3, 64, 4, 4), prompts(clicks, masks=masks)
    with torch.no_grad():
        logits, quality = decode(sam, embeddings, asked)
        for place in range(len(asked.image)):
            alone, alone_quality = one_by_one(sam, embeddings, asked, place)
            torch.testing.assert_close(logits[place], alone[0], rtol=0, atol=1e-5)
            torch.testing.assert_close(quality[place], alone_quality[0], rtol=0, atol=1e-5)


def test_positions_keep_their_precision_under_autocast() -> None:
    sam, embeddings, asked = tiny(), torch.zeros(3, 64, 4, 4), prompts(0)
    seen: list[torch.dtype] = []
    sam.prompt_encoder.pe_layer.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        decode(sam, embeddings, asked)
    assert set(seen) == {torch.float32}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("data"), images=1) / "test/blob/000.png"


def segmenter(sam: Any) -> Segmenter:
    return Segmenter(sam, Encoder(sam.image_encoder, torch.device("cpu"), sam.image_encoder.img_size))


def test_masks_of_boxes_are_those_of_sam_predictor(image: Path, tmp_path: Path) -> None:
    sam = tiny()
    save_sam(sam, tmp_path / "sam.pth")
    boxes = np.array([[3.0, 5.0, 30.0, 40.0], [0.0, 0.0, 64.0, 48.0], [20.0, 10.0, 33.0, 29.0]])
    masks, quality = segmenter(sam).segment(image, boxes)
    predictor = SamPredictor(build_sam("tiny", SIZE, tmp_path / "sam.pth"))
    predictor.set_image(np.ascontiguousarray(read_image(image)[:, :, ::-1]))
    assert masks.shape == (3, 48, 64)
    assert 0 < masks.mean() < 1
    for box, mask, expected in zip(boxes, masks, quality, strict=True):
        theirs, their_quality, _ = predictor.predict(box=box, multimask_output=False)
        assert np.array_equal(theirs[0], mask)
        assert float(their_quality[0]) == pytest.approx(expected, abs=1e-5)


def test_no_boxes_give_no_masks(image: Path) -> None:
    masks, quality = segmenter(tiny()).segment(image, np.zeros((0, 4)))
    assert (masks.shape, quality.shape) == ((0, 48, 64), (0,))


def test_a_point_is_asked_as_by_sam_predictor(image: Path) -> None:
    sam = tiny()
    ours = segmenter(sam)
    logits, quality = ours.ask(ours.embed(image), (48, 64), points=np.array([[[20.0, 30.0]]]))
    predictor = SamPredictor(sam)
    predictor.set_image(np.ascontiguousarray(read_image(image)[:, :, ::-1]))
    _, theirs, low = predictor.predict(np.array([[20.0, 30.0]]), np.array([1]), multimask_output=True)
    best = int(theirs.argmax())
    np.testing.assert_allclose(logits[0].numpy(), low[best], atol=1e-5)
    assert float(quality[0]) == pytest.approx(float(theirs[best]), abs=1e-5)


def test_a_checkpoint_loads_in_metas_registry_and_gives_the_same_masks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sam = build_sam("vit_b", 1024)
    save_sam(sam, tmp_path / "sam.pth")
    theirs = SamPredictor(sam_model_registry["vit_b"](checkpoint=tmp_path / "sam.pth"))
    assert weights_hash(theirs.model) == weights_hash(sam)
    # An embedding in place of an image: encoding one takes a processor half a minute.
    embedding = torch.randn(1, 256, 64, 64)
    theirs.features, theirs.is_image_set = embedding, True
    theirs.original_size, theirs.input_size = (600, 800), (768, 1024)
    box = np.array([100.0, 120.0, 500.0, 420.0])
    expected, _, _ = theirs.predict(box=box, multimask_output=False)
    ours = segmenter(sam)
    logits, _ = ours.ask(embedding, (600, 800), boxes=box[None])
    assert np.array_equal(next(ours.enlarge(logits, (600, 800))), expected)
    assert 0 < expected.mean() < 1


def test_low_rank_updates_are_put_into_the_weights() -> None:
    sam, images = tiny(), torch.randn(1, 3, SIZE, SIZE)
    names, before = set(sam.state_dict()), sam.image_encoder(images).detach()
    add_lora(sam.image_encoder, 2)
    trained = [name for name, one in sam.image_encoder.named_parameters() if one.requires_grad]
    assert {name.rpartition(".")[2] for name in trained} == {"down", "up"}
    assert len(trained) == 2 * 2 * 2
    torch.testing.assert_close(sam.image_encoder(images), before)
    for name, one in sam.image_encoder.named_parameters():
        if name.endswith("up"):
            one.data.normal_()
    changed = sam.image_encoder(images).detach()
    assert not torch.allclose(changed, before, atol=1e-2)
    state = meta_state(sam)
    assert set(state) == names
    other = build_sam("tiny", SIZE)
    other.load_state_dict(state)
    torch.testing.assert_close(other.image_encoder(images), changed, rtol=1e-4, atol=1e-4)


def test_checkpointed_activations_give_the_same_gradients_and_keep_less() -> None:
    torch.manual_seed(2)
    images, sizes = torch.randint(256, (2, 3, SIZE, SIZE), dtype=torch.uint8), torch.tensor([[SIZE, SIZE]] * 2)
    gradients, kept = [], []
    for checkpointing in (False, True):
        encoder, held = tiny().image_encoder, 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal held
            held += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            found = encode(encoder, images, sizes, checkpointing=checkpointing)
        kept.append(held)
        found.square().mean().backward()
        gradients.append([one.grad for one in encoder.parameters()])
    assert all(torch.allclose(one, two, atol=1e-7) for one, two in zip(*gradients, strict=True))
    assert kept[1] < 0.5 * kept[0]


class Hostile:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def broken(tmp_path: Path, kind: str) -> Path:
    """A file that is no checkpoint of tiny SAM."""
    file = tmp_path / "sam.pth"
    state = tiny().state_dict()
    if kind in ("cut", "end"):
        save_sam(tiny(), file)
        file.write_bytes(file.read_bytes()[: -1000 if kind == "cut" else -20])
    elif kind == "code":
        torch.save({**state, "extra": Hostile(tmp_path / "made")}, file)
    elif kind == "larger":
        torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 1024)}, file)
    elif kind == "other":
        torch.save({"conv1.weight": torch.zeros(3)}, file)
    elif kind == "size":
        save_sam(tiny(size=128), file)
    elif kind == "text":
        file.write_text("hello")
    elif kind == "folder":
        file.mkdir()
    elif kind == "width":
        torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 7)}, file)
    return file


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", "is damaged or cut short; download the checkpoint again"),
        ("end", "is damaged or cut short; download the checkpoint again"),
        ("code", "holds code or objects beside weights, and was not loaded"),
        ("larger", 'is a checkpoint of vit_l, not of tiny; use model="vit_l"'),
        ("width", "is a checkpoint of another model, not of tiny"),
        ("other", "is no checkpoint of SAM"),
        ("size", "does not fit tiny at 64 px"),
        ("text", "is damaged or cut short"),
        ("folder", "there is no such file"),
        ("none", "there is no such file"),
    ],
)
def test_weights_that_are_refused(kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=message):
        build_sam("tiny", SIZE, broken(tmp_path, kind))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("around", "before"),
    [
        ({"model": ..., "optimizer": {"lr": 0.1}, "epoch": 3}, ""),  # MedSAM
        ({"model_state": ..., "decoder_state": {"a": torch.ones(1)}, "epoch": 3}, "sam."),  # micro-sam
        (None, "model."),  # lightning-sam
        ({"state_dict": ..., "global_step": 7}, "module.model."),
    ],
    ids=["medsam", "micro-sam", "lightning-sam", "lightning"],
)
def test_checkpoints_of_other_programs_are_taken(around: dict[str, Any] | None, before: str, tmp_path: Path) -> None:
    sam = tiny()
    state = {before + name: value for name, value in sam.state_dict().items()}
    if before:
        state["loss.weight"] = torch.ones(2)
    told = state if around is None else {name: state if one is ... else one for name, one in around.items()}
    torch.save(told, tmp_path / "sam.ckpt")
    assert weights_hash(build_sam("tiny", SIZE, tmp_path / "sam.ckpt")) == weights_hash(sam)


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    sam = tiny()
    save_sam(sam, tmp_path / "sam.pth")
    assert weights_hash(build_sam("tiny", SIZE, tmp_path / "sam.pth")) == weights_hash(sam)
    assert set(read_sam_weights("tiny", tmp_path / "sam.pth")) == set(sam.state_dict())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_leaves_no_half_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".sam.pth.partial").symlink_to("/dev/full")
    with pytest.raises(ToolkitError, match=r"sam\.pth: cannot be written .*resume=True"):
        save_sam(tiny(), tmp_path / "sam.pth")
    assert list(tmp_path.iterdir()) == []
