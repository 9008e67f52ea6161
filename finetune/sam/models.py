"""SAM in parts: built, filled with weights, given low-rank updates, asked for masks in batches, saved in Meta's format.

The network is that of the package segment-anything, unchanged (Kirillov et al., "Segment Anything", arXiv 2304.02643).
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn
from torch.utils.checkpoint import checkpoint

from finetune.engine.checkpoints import read_tensors, wrapped_state
from finetune.engine.runs import file_sha256
from toolkit.errors import ToolkitError

__all__ = [
    "LICENCE",
    "MEAN",
    "PUBLISHED",
    "STD",
    "Prompts",
    "Published",
    "add_lora",
    "build_sam",
    "decode",
    "encode",
    "meta_state",
    "normalised",
    "read_sam_weights",
    "save_sam",
    "weights_hash",
]


@dataclass(frozen=True)
class Published:
    """A file that Meta gives out at https://github.com/facebookresearch/segment-anything.

    Attributes:
        url: its address.
        sha256: its hash; the one in its name is the beginning of its MD5.
    """

    url: str
    sha256: str


_META = "https://dl.fbaipublicfiles.com/segment_anything"
PUBLISHED = {
    "vit_b": Published(
        f"{_META}/sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
    ),
    "vit_l": Published(
        f"{_META}/sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
    ),
    "vit_h": Published(
        f"{_META}/sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
    ),
}
"""Model -> the file of its weights."""

LICENCE = "Apache-2.0"
"""Of Meta's weights."""

_TELLING = "image_encoder.pos_embed"  # whose last axis tells the models apart
_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h", 64: "tiny"}
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True, eq=False)
class Prompts:
    """What is asked for: N prompts, on any of B images, with K clicks each after the first box or point.

    Attributes:
        image: int64 (N,), which of the images each is about.
        boxed: bool (N,), whether it begins with a box; else with a point.
        boxes: float32 (N, 4), x0 y0 x1 y1 in pixels of the scaled image; read where `boxed`.
        points: float32 (N, 1 + K, 2), x y; the first is read where not `boxed`.
        labels: int64 (N, 1 + K), 1 for a click on the object and 0 for one beside it.
        masks: float32 (N, 1, L, L), logits of the masks so far, or None.
    """

    image: torch.Tensor
    boxed: torch.Tensor
    boxes: torch.Tensor
    points: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None = None


def build_sam(model: str, image_size: int, weights: str | Path = "none") -> Sam:
    """A SAM on the CPU, in evaluation mode.

    Args:
        model: "vit_b", "vit_l", "vit_h" or "tiny".
        image_size: of "tiny", in pixels.
        weights: Meta's checkpoint file; "none" for random ones, which come from torch's generator.

    Raises:
        ToolkitError: there are no such weights, or they are damaged, carry code or belong to another model.
    """
    state = None if str(weights) == "none" else read_sam_weights(model, Path(weights))
    sam = _tiny(image_size) if model == "tiny" else sam_model_registry[model]()
    if state is not None:
        try:
            sam.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).splitlines()[1:2]).strip() or str(error)
            raise ToolkitError(
                weights, f"does not fit {model} at {image_size} px ({reason[:120]})", "name a checkpoint of this model"
            ) from error
    return sam.eval()


def _tiny(image_size: int) -> Sam:
    side, width = image_size // 16, 64
    norm = partial(nn.LayerNorm, eps=1e-6)
    encoder = ImageEncoderViT(
        img_size=image_size,
        embed_dim=width,
        depth=2,
        num_heads=2,
        mlp_ratio=4,
        norm_layer=norm,
        use_rel_pos=True,
        window_size=7,
        out_chans=width,
    )
    prompts = PromptEncoder(
        embed_dim=width,
        image_embedding_size=(side, side),
        input_image_size=(image_size, image_size),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        transformer_dim=width,
        transformer=TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=256, num_heads=4),
        iou_head_depth=3,
        iou_head_hidden_dim=64,
    )
    return Sam(encoder, prompts, decoder, list(MEAN), list(STD))


def read_sam_weights(model: str, file: Path) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint under Meta's names, whatever stands before these or is beside them in the file.

    So those of MedSAM ("model"), lightning-sam ("model." before each name) and micro-sam ("model_state", "sam.") are
    taken too. Code in the file is refused, not run.

    Raises:
        ToolkitError: it cannot be read, is damaged or cut short, carries code, or is another model's.
    """
    if not file.is_file():
        raise ToolkitError(f"weights {file}", "there is no such file", "name Meta's checkpoint file, or use none")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        loaded = read_tensors(
            file,
            problem="is damaged or cut short",
            hostile="holds code or objects beside weights, and was not loaded",
            remedy="download the checkpoint again from its source, or save model.state_dict() alone, if it is your own",
        )
    state = wrapped_state(loaded) or {}
    before = [name.removesuffix(_TELLING) for name in state if f".{name}".endswith(f".{_TELLING}")]
    if len(before) != 1:
        own = Path(PUBLISHED[model].url).name if model in PUBLISHED else "one that we saved"
        raise ToolkitError(file, "is no checkpoint of SAM", f"name {own}")
    state = {name.removeprefix(before[0]): value for name, value in state.items() if name.startswith(before[0])}
    found = _WIDTHS.get(state[_TELLING].shape[-1], "another model")
    if found != model:
        remedy = f"use --set model={found}" if found in _WIDTHS.values() else "name a checkpoint of this model"
        raise ToolkitError(file, f"is a checkpoint of {found}, not of {model}", remedy)
    return state


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names, shapes and values of a module's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def encode(
    encoder: nn.Module, images: torch.Tensor, sizes: torch.Tensor, *, checkpointing: bool = False
) -> torch.Tensor:
    """Embeddings of images, (B, C, S / 16, S / 16).

    Args:
        encoder: a SAM's image encoder.
        images, sizes: as for `normalised`.
        checkpointing: keep what goes into each block alone, and compute the rest again for the gradients (Chen et al.,
            "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174).
    """
    given = normalised(images, sizes)
    found: torch.Tensor = _checkpointed(encoder, given) if checkpointing else encoder(given)
    return found


def _checkpointed(encoder: Any, images: torch.Tensor) -> Any:
    """As the encoder's own `forward`, block by block."""
    tokens = encoder.patch_embed(images)
    if encoder.pos_embed is not None:
        tokens = tokens + encoder.pos_embed
    for block in encoder.blocks:
        tokens = checkpoint(block, tokens, use_reentrant=False)
    return encoder.neck(tokens.permute(0, 3, 1, 2))


def normalised(images: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Images as Meta normalises them: first by mean and deviation, then padded with zeros.

    Args:
        images: uint8 (B, 3, S, S) RGB, in the top left corner.
        sizes: int64 (B, 2), height and width of what is image.

    Returns:
        float32 (B, 3, S, S).
    """
    mean, std = (torch.tensor(one, device=images.device).view(-1, 1, 1) for one in (MEAN, STD))
    place = torch.arange(images.shape[-1], device=images.device)
    inside = (place[None, :, None] < sizes[:, 0, None, None]) & (place[None, None, :] < sizes[:, 1, None, None])
    return (images - mean) / std * inside[:, None]


def decode(parts: Any, embeddings: torch.Tensor, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
    """All masks of all prompts, on any number of images at once.

    The decoder of the package repeats one image for all prompts. It adds the dense prompt embedding to it, so that
    zeros for the image, and each prompt's own image added to its dense embedding, give the same sum.

    Args:
        parts: what has a SAM's `prompt_encoder` and `mask_decoder`.
        embeddings: (B, C, h, w), of the images.
        prompts: N prompts.

    Returns:
        Logits (N, 4, L, L), the first for a whole prompt and the others the three readings of a single point; and the
        IoU that the model predicts of each, (N, 4).
    """
    encoder = parts.prompt_encoder
    # In 16 bits, the sines of positions would be off by pixels.
    with torch.autocast(embeddings.device.type, enabled=False):
        clicks = prompts.points.shape[1] - 1
        sparse = embeddings.new_zeros((len(prompts.image), clicks + 2, encoder.embed_dim), dtype=torch.float32)
        boxed, pointed = prompts.boxed.nonzero()[:, 0], (~prompts.boxed).nonzero()[:, 0]
        if len(boxed):
            after = (prompts.points[boxed, 1:], prompts.labels[boxed, 1:]) if clicks else None
            sparse = sparse.index_copy(0, boxed, encoder(points=after, boxes=prompts.boxes[boxed], masks=None)[0])
        if len(pointed):
            points = (prompts.points[pointed], prompts.labels[pointed])
            sparse = sparse.index_copy(0, pointed, encoder(points=points, boxes=None, masks=None)[0])
        dense = encoder(points=None, boxes=prompts.boxes, masks=prompts.masks)[1]
        own = embeddings.float().index_select(0, prompts.image)
        place = encoder.get_dense_pe()
    return parts.mask_decoder.predict_masks(  # type: ignore[no-any-return]
        image_embeddings=torch.zeros_like(own[:1]),
        image_pe=place,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense + own,
    )


class _LowRank(nn.Module):
    """A linear layer W x + b with W + B A in place of W (Hu et al., "LoRA", arXiv 2106.09685); B begins at zero."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.base(given) + (given @ self.down.T) @ self.up.T
        return changed

    def merged(self) -> torch.Tensor:
        """The weight of the one layer that does the same."""
        return (self.base.weight + self.up @ self.down).detach()


def add_lora(encoder: ImageEncoderViT, rank: int) -> None:
    """Freeze an image encoder, and give the qkv and proj layers of its attention updates of this rank."""
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        block.attn.qkv, block.attn.proj = _LowRank(block.attn.qkv, rank), _LowRank(block.attn.proj, rank)


def meta_state(sam: Sam) -> dict[str, torch.Tensor]:
    """The weights under Meta's names, on the CPU, updates put in; the model stays as it is."""
    merged = {f"{name}.weight": one.merged() for name, one in sam.named_modules() if isinstance(one, _LowRank)}
    found = {}
    for name, value in sam.state_dict().items():
        plain = name.replace(".base.", ".")
        if not name.endswith((".down", ".up")):
            found[plain] = merged.get(plain, value).detach().cpu()
    return found


def save_sam(sam: Sam, file: Path) -> str:
    """Write a checkpoint in Meta's format, whole or not at all.

    Returns:
        Its SHA-256.

    Raises:
        ToolkitError: it cannot be written.
    """
    partial_file = file.with_name(f".{file.name}.partial")
    try:
        torch.save(meta_state(sam), partial_file)
        os.replace(partial_file, file)
    except (OSError, RuntimeError, io.UnsupportedOperation) as error:  # torch tells of a full disk as RuntimeError
        with suppress(OSError):
            partial_file.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ToolkitError(file, f"cannot be written ({reason})", "free space; then --resume goes on") from error
    return file_sha256(file)
