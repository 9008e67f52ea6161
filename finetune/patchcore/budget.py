"""What a memory bank will cost, before it is made; without torch."""

from __future__ import annotations

from dataclasses import dataclass

from finetune.patchcore.config import PatchcoreConfig

__all__ = ["Budget", "plan_budget"]

_MB = 1e6
_FLOAT = 4  # bytes
_PROJECTED = 64  # numbers of a patch in the projection that the coreset is chosen in


@dataclass(frozen=True)
class Budget:
    """Sizes that are known before the first image is looked at.

    Attributes:
        images: that are remembered; each view of one counts.
        patches: of one view of an image.
        dims: numbers of a patch.
        candidates: patches that the bank is chosen among.
        bank: patches that are remembered.
        drawn: patches drawn of each view of an image.
    """

    images: int
    patches: int
    dims: int
    candidates: int
    bank: int
    drawn: int

    @property
    def megabytes(self) -> float:
        """Of the bank."""
        return self.bank * self.dims * _FLOAT / _MB

    @property
    def most_megabytes(self) -> float:
        """Of the candidates and what chooses among them, while the bank is made."""
        return self.candidates * (self.dims + _PROJECTED + 4) * _FLOAT / _MB

    def seconds(self, scored: int, per_image: float, per_second: float) -> float:
        """Expected time of training and testing.

        Args:
            scored: images that are compared with the bank.
            per_image: seconds that the backbone takes for one.
            per_second: products and sums that the machine does in matrices.
        """
        comparing = 2.0 * scored * self.patches * self.bank * self.dims / per_second
        choosing = 4.0 * self.bank * self.candidates * _PROJECTED / per_second
        return (self.images + scored) * per_image + comparing + choosing

    def told(self) -> str:
        """In a line."""
        return (
            f"memory bank: {self.bank} of {self.images * self.patches} patches ({self.images} images x {self.patches}) "
            f"x {self.dims} numbers, {self.megabytes:.1f} MB; chosen among {self.candidates}, "
            f"which take {self.most_megabytes:.0f} MB meanwhile (max_patches and candidates bound both)"
        )


def plan_budget(config: PatchcoreConfig, images: int, side: int, dims: int) -> Budget:
    """What a bank will hold.

    Args:
        config: settings.
        images: that might be remembered, at least one; views count.
        side: patches to a side of an image.
        dims: numbers of a patch.
    """
    patches, images = side * side, min(images, config.candidates)
    drawn = min(patches, config.candidates // images)
    candidates = drawn * images
    share = max(1, round(config.coreset * images * patches))
    return Budget(images, patches, dims, candidates, min(share, config.max_patches, candidates), drawn)
