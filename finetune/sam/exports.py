"""A trained SAM as two graphs, as Meta cuts it: images to embeddings, and embeddings with prompts to masks."""

from __future__ import annotations

import torch
from segment_anything.modeling import Sam
from segment_anything.utils.onnx import SamOnnxModel
from torch import nn
from torch.nn import functional

from finetune.engine.outputs.exports import Exportable, Graph, Port, example_photos
from finetune.engine.runs import Run
from finetune.sam.embeddings import read_padded
from finetune.sam.models import MEAN, STD, normalised

__all__ = ["export_sam"]


class _Decoder(SamOnnxModel):  # type: ignore[misc]
    """Meta's own, but that the padding is cut off by the size that is given, and not by that of the example."""

    def mask_postprocessing(self, masks: torch.Tensor, orig_im_size: torch.Tensor) -> torch.Tensor:
        side = (self.img_size, self.img_size)
        masks = functional.interpolate(masks, size=side, mode="bilinear", align_corners=False)
        scaled = self.resize_longest_image_size(orig_im_size, self.img_size)
        masks = masks[..., : scaled[0], : scaled[1]]
        height, width = orig_im_size.to(torch.int64)
        return functional.interpolate(masks, size=(height, width), mode="bilinear", align_corners=False)


def export_sam(run: Run, sam: Sam) -> Exportable:
    """An encoder and a decoder.

    Args:
        run: of the segmenter, whose data gives examples.
        sam: on the CPU, in evaluation mode.
    """
    size = sam.image_encoder.img_size
    return Exportable((_encoder(run, sam.image_encoder, size), _decoder(sam, size)), _about(size))


def _encoder(run: Run, encoder: nn.Module, size: int) -> Graph:
    noise = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0)) * 4 - 2
    items = [read_padded(path, size) for path in example_photos(run)]
    photos = [normalised(item["image"][None], item["size"][None]) for item in items]
    return Graph(
        "encoder",
        encoder,
        tuple((one,) for one in (noise[:1], noise[1:], *photos)),
        (Port("images", ("batch", 3, size, size), "normalised, then padded with zeros to the right and below"),),
        (Port("image_embeddings", ("batch", "channels", size // 16, size // 16), "what the decoder takes, one at a time"),),
    )


def _decoder(sam: Sam, size: int) -> Graph:
    side, channels = sam.prompt_encoder.image_embedding_size[0], sam.prompt_encoder.embed_dim
    random = torch.Generator().manual_seed(0)

    def example(height: int, width: int, points: list[list[float]], labels: list[int], masked: float) -> tuple[torch.Tensor, ...]:
        scale = size / max(height, width)
        return (
            torch.randn(1, channels, side, side, generator=random),
            torch.tensor([points]) * scale,
            torch.tensor([labels], dtype=torch.float32),
            torch.randn(1, 1, 4 * side, 4 * side, generator=random) * masked,
            torch.tensor([masked]),
            torch.tensor([height, width], dtype=torch.float32),
        )

    examples = (
        example(48, 64, [[8, 8], [40, 30]], [2, 3], 0.0),
        example(90, 70, [[20, 20], [0, 0]], [1, -1], 0.0),
        example(33, 80, [[20, 20], [50, 10], [3, 30]], [1, 0, 1], 1.0),
    )
    inputs = (
        Port("image_embeddings", (1, channels, side, side), "of one image, from the encoder"),
        Port("point_coords", (1, "points", 2), "x y in pixels of the scaled image; a box is two: its corners"),
        Port("point_labels", (1, "points"), "1 on the object, 0 beside it, 2 and 3 corners of a box, -1 of no meaning"),
        Port("mask_input", (1, 1, 4 * side, 4 * side), "low_res_masks of an earlier step, or zeros"),
        Port("has_mask_input", (1,), "1 where mask_input counts, else 0"),
        Port("orig_im_size", (2,), "height and width of the image before it was scaled"),
    )
    outputs = (
        Port("masks", (1, 1, "height", "width"), "logits at the size of the image; above 0 is the object"),
        Port("iou_predictions", (1, 1), "the IoU that the model expects"),
        Port("low_res_masks", (1, 1, 4 * side, 4 * side), "logits before they were enlarged"),
    )
    return Graph("decoder", _Decoder(sam, return_single_mask=True).eval(), examples, inputs, outputs)


def _about(size: int) -> dict[str, object]:
    return {
        "image_size": size,
        "input": {
            "resize": f"so that the longer side has {size} pixels (Pillow's bilinear); pad with zeros once it is normalised",
            "colours": "RGB",
            "range": [0, 1],
            "mean": [value / 255 for value in MEAN],
            "std": [value / 255 for value in STD],
        },
        "classes": [],
        "threshold": 0.0,
        "result": "encode an image once; for each object, decode its embedding with a box or points; masks above "
        "`threshold` are the object. A single point takes a second one with label -1 beside it.",
    }
