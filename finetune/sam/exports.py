"""A trained SAM as two graphs, as Meta cuts it: images to embeddings, and embeddings with prompts to masks."""

from __future__ import annotations

from typing import Any

import torch
from segment_anything.modeling import Sam
from segment_anything.utils.onnx import SamOnnxModel
from torch import nn
from torch.nn import functional

from finetune.engine.outputs.exports import Exportable, Graph, Port, deep_input, example_photos, noise
from finetune.engine.runs import Run
from finetune.sam.embeddings import read_padded
from finetune.sam.models import MEAN, STD, normalised
from toolkit.aliases import JsonObject

__all__ = ["export_sam"]

Tensors = tuple[torch.Tensor, ...]


class _Decoder(SamOnnxModel):  # type: ignore[misc]
    """Meta's graph with two changes.

    Sizes are those that are given, not those of the example that it is traced with; and the mask that is taken is what
    `finetune.sam.module.choose_masks` takes.
    """

    def forward(
        self,
        image_embeddings: torch.Tensor,
        point_coords: torch.Tensor,
        point_labels: torch.Tensor,
        mask_input: torch.Tensor,
        has_mask_input: torch.Tensor,
        orig_im_size: torch.Tensor,
    ) -> Tensors:
        masks, scores = self.mask_decoder.predict_masks(
            image_embeddings=image_embeddings,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=self._embed_points(point_coords, point_labels),
            dense_prompt_embeddings=self._embed_masks(mask_input, has_mask_input),
        )
        clicks, corners = ((point_labels >= low) & (point_labels <= low + 1) for low in (0, 2))
        single = (clicks.sum() == 1) & (corners.sum() == 0)
        surest = scores[:, 1:].argmax(dim=1) + 1
        best = torch.where(single, surest, torch.zeros_like(surest))
        one = torch.arange(masks.shape[0])
        chosen, sure = masks[one, best].unsqueeze(1), scores[one, best].unsqueeze(1)
        return self.mask_postprocessing(chosen, orig_im_size), sure, chosen

    def mask_postprocessing(self, masks: torch.Tensor, orig_im_size: torch.Tensor) -> torch.Tensor:
        side = (self.img_size, self.img_size)
        masks = functional.interpolate(masks, size=side, mode="bilinear", align_corners=False)
        scaled = self.resize_longest_image_size(orig_im_size, self.img_size)
        masks = masks[..., : scaled[0], : scaled[1]]
        size = orig_im_size.to(torch.int64)
        sides: Any = (size[0], size[1])  # tensors, so that a graph reads them
        return functional.interpolate(masks, size=sides, mode="bilinear", align_corners=False)


def export_sam(run: Run, sam: Sam, depth: int | None = None) -> Exportable:
    """An encoder and a decoder.

    Args:
        run: of the segmenter, whose data gives examples.
        sam: in evaluation mode; it is moved to the CPU.
        depth: bits of the range by which deep images are scaled.
    """
    sam = sam.cpu().requires_grad_(False)
    size = sam.image_encoder.img_size
    return Exportable((_encoder(run, sam.image_encoder, size, depth), _decoder(sam, size)), _about(size, depth))


def _encoder(run: Run, encoder: nn.Module, size: int, depth: int | None) -> Graph:
    items = [read_padded(path, size, depth) for path in example_photos(run)]
    photos = [normalised(item["image"][None], item["size"][None]) for item in items]
    grid = size // 16
    return Graph(
        "encoder",
        encoder,
        tuple((one,) for one in (*(4 * one - 2 for one in noise(size, size)), *photos)),
        (Port("images", ("batch", 3, size, size), "normalised, then padded with zeros to the right and below"),),
        (
            Port(
                "image_embeddings",
                ("batch", "channels", grid, grid),
                "what the decoder takes, that of one image at a time",
            ),
        ),
    )


def _decoder(sam: Sam, size: int) -> Graph:
    side, channels = sam.prompt_encoder.image_embedding_size[0], sam.prompt_encoder.embed_dim
    inputs = (
        Port("image_embeddings", (1, channels, side, side), "of one image, from the encoder"),
        Port("point_coords", (1, "points", 2), "x y in pixels of the scaled image; a box is two of them, its corners"),
        Port(
            "point_labels", (1, "points"), "1 on the object, 0 beside it; 2 and 3, the corners of a box; -1, no point"
        ),
        Port("mask_input", (1, 1, 4 * side, 4 * side), "low_res_masks of an earlier step, or zeros"),
        Port("has_mask_input", (1,), "1 where mask_input counts, else 0"),
        Port("orig_im_size", (2,), "height and width of the image before it was scaled"),
    )
    outputs = (
        Port("masks", (1, 1, "height", "width"), "logits at the size of the image"),
        Port("iou_predictions", (1, 1), "the IoU that the model expects"),
        Port("low_res_masks", (1, 1, 4 * side, 4 * side), "logits before they were enlarged"),
    )
    return Graph(
        "decoder", _Decoder(sam, return_single_mask=True).eval(), _asked(side, channels, size), inputs, outputs
    )


def _asked(side: int, channels: int, size: int) -> tuple[Tensors, ...]:
    """A box, a point, and three points after an earlier mask, on images of different sizes."""
    random = torch.Generator().manual_seed(0)
    asked = (
        (48, 64, [[8, 8], [40, 30]], [2, 3], 0),
        (90, 70, [[20, 20], [0, 0]], [1, -1], 0),
        (33, 80, [[20, 20], [50, 10], [3, 30]], [1, 0, 1], 1),
    )
    return tuple(
        (
            torch.randn(1, channels, side, side, generator=random),
            torch.tensor([points]) * (size / max(height, width)),
            torch.tensor([labels], dtype=torch.float32),
            torch.randn(1, 1, 4 * side, 4 * side, generator=random) * masked,
            torch.tensor([masked], dtype=torch.float32),
            torch.tensor([height, width], dtype=torch.float32),
        )
        for height, width, points, labels, masked in asked
    )


def _about(size: int, depth: int | None) -> JsonObject:
    return {
        "image_size": [size, size],
        "input": {
            "resize": f"the longer side to {size} pixels (Pillow's bilinear); normalise, then pad with zeros",
            "colours": "RGB",
            "range": [0, 1],
            "mean": [value / 255 for value in MEAN],
            "std": [value / 255 for value in STD],
            **deep_input(depth),
        },
        "classes": [],
        "threshold": 0.0,
        "result": (
            "encode an image once, then decode its embedding with the box or the points of each object; masks above "
            "`threshold` are the object. Points without a box take one more, at 0 0 with the label -1."
        ),
    }
