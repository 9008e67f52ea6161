"""The form of a VAE, which its settings name; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.errors import ToolkitError

__all__ = ["VaeShape"]


@dataclass(frozen=True)
class VaeShape:
    """The form of the network.

    Attributes:
        image_size: side of the images in pixels, a multiple of 2 ** `num_downsamples`.
        patch_size: side of the squares of pixels that the first layer strides over and the last one writes, a power of
            2.
        num_downsamples: the latent map has image_size / 2 ** num_downsamples to a side.
        base_channels: channels behind the first layer, a multiple of 8; they double with each further halving, up to
            `max_channels`.
        max_channels: most channels.
        latent: channels of the latent map.
    """

    image_size: int
    patch_size: int = 2
    num_downsamples: int = 4
    base_channels: int = 32
    max_channels: int = 128
    latent: int = 32

    @property
    def channels(self) -> list[int]:
        """Channels behind the first layer and behind each further halving."""
        further = self.num_downsamples - int(math.log2(self.patch_size))
        return [min(self.base_channels * 2**step, self.max_channels) for step in range(further + 1)]

    def check(self) -> None:
        """Raise where the images do not fit.

        Raises:
            ToolkitError: `image_size` is no multiple, or `patch_size` alone halves them more often.
        """
        grid = 2**self.num_downsamples
        if self.patch_size > grid:
            least = int(math.log2(self.patch_size))
            raise ToolkitError(
                f"num_downsamples {self.num_downsamples}",
                f"are fewer than patch_size={self.patch_size} makes",
                f"use num_downsamples={least} or more",
            )
        if self.image_size % grid or self.image_size < 2 * grid:
            near = max(2, round(self.image_size / grid)) * grid
            raise ToolkitError(
                f"image_size {self.image_size}", f"is no multiple of {grid}, at least twice", f"use image_size={near}"
            )
