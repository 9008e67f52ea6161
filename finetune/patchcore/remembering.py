"""How a memory bank is made: patches drawn of all images alike, a coreset of them, scores of images left out of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from finetune.anomaly.config import Augment
from finetune.anomaly.detector import image_loader, scored_image
from finetune.anomaly.maps import smooth
from finetune.engine.devices import mixed_seed
from finetune.engine.remarks.telling import listened_to, tell
from finetune.engine.runs import Run
from finetune.engine.splits import ImageRecord
from finetune.patchcore.budget import Budget
from finetune.patchcore.config import PatchcoreConfig
from finetune.patchcore.coreset import choose_coreset
from finetune.patchcore.features import PatchFeatures
from finetune.patchcore.memory import MemoryBank
from finetune.patchcore.models import PatchCore
from finetune.patchcore.predictor import load_model, save_model
from toolkit.aliases import Progress

__all__ = ["VIEWS", "Memorizer"]

_DIMS_OF_ONE = 32  # of the projection in which patches of one image are told apart
VIEWS: dict[Augment, int] = {"none": 1, "flip": 2, "turn": 8}
"""How many views of an image are remembered."""


@dataclass
class Memorizer:
    """Goes through good images, and makes a model that remembers them.

    Attributes:
        features: makes patches, on `device`.
        train: the images.
        config: settings.
        views: how each is varied.
        budget: sizes.
        device: where to compute.
        progress: called with (images gone through, images).
        done: images gone through.
    """

    features: PatchFeatures
    train: Sequence[ImageRecord]
    config: PatchcoreConfig
    views: Augment
    budget: Budget
    device: torch.device
    progress: Progress | None = None
    done: int = 0

    def say_cost(self, tested: int) -> None:
        """Tell what the bank will take, and how long it will be: some arithmetic is timed, where somebody listens.

        Args:
            tested: images that are scored at the end.
        """
        if not listened_to():
            return
        side, dims = self.config.image_size, self.budget.dims
        images = self._moved(torch.zeros(min(4, self.config.batch_size), 3, side, side))
        one, other = torch.ones(512, dims, device=self.device), torch.ones(dims, 4096, device=self.device)
        per_image = self._timed(lambda: self.features(images)) / len(images)
        per_second = 2.0 * 512 * dims * 4096 / self._timed(lambda: one @ other)
        scored = tested + len(self.train) * self.config.cross_fit
        tell("note", self.budget.told())
        tell("note", f"expected to take {self.budget.seconds(scored, per_image, per_second):.0f} s here, less reading")

    def _timed(self, work: Callable[[], torch.Tensor]) -> float:
        """Seconds of the second of two goes."""
        taken = 0.0
        for _ in range(2):
            started = time.monotonic()
            work().sum().item()  # waits for a GPU
            taken = time.monotonic() - started
        return max(taken, 1e-6)

    def remember(self, run: Run) -> PatchCore:
        """The model with its memory: that of a run which was interrupted later, or a new one, left in the run.

        Raises:
            ToolkitError: an image cannot be read, what the run has is damaged, or it cannot be written.
        """
        if (run.checkpoints / "last.ckpt").is_file():
            self._step(len(self._used()) * VIEWS[self.views])
            return load_model(run, self.config)
        started = time.monotonic()
        patches, origin = self._draw()
        kept = choose_coreset(patches, self.budget.bank, seed=mixed_seed(self.config.seed, 2))
        bank = MemoryBank(patches[kept].contiguous(), origin[kept].contiguous(), self.config.neighbours)
        model = PatchCore(self.features, bank).to(self.device).eval()
        run.log_epoch({"epoch": "0", "seconds": f"{time.monotonic() - started:.3f}"})
        save_model(run, model)
        return model

    def left_out_scores(self, model: PatchCore) -> list[float]:
        """What each image scores where the bank has nothing of itself, in their order.

        Raises:
            ToolkitError: an image cannot be read.
        """
        scores = []
        for batch in image_loader(self.train, self.config):
            maps = model(self._moved(batch["image"]), batch["index"])
            blurred = smooth(maps, self.config.smoothing * self.config.image_size).cpu().numpy()
            for index, one in zip(batch["index"].tolist(), blurred, strict=True):
                scores.append(scored_image(self.train[index], one, self.config).score)
            self._step(len(maps))
        return scores

    def _used(self) -> list[int]:
        """Numbers of the images that patches are drawn of: all, or some of very many, evenly spread."""
        most = max(1, self.budget.images // VIEWS[self.views])
        return (
            [place * len(self.train) // most for place in range(most)]
            if most < len(self.train)
            else list(range(len(self.train)))
        )

    def _draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches, float32 (N, D), as many of each image, and the number of the image of each, int32 (N,).

        Of each image those are taken that cover it: what it shows once, a draw by chance would miss. The best choice
        among what was chosen in parts is nearly that among all (Malkomes et al., "Fast Distributed k-Center Clustering
        with Outliers on Massive Data", 2015, section 3).
        """
        used, drawn = self._used(), self.budget.drawn
        patches, origin = [], []
        for batch in image_loader([self.train[number] for number in used], self.config):
            numbers = [used[index] for index in batch["index"].tolist()]
            for view in range(VIEWS[self.views]):
                found = self.features(self._moved(_turned(batch["image"], view)))
                for one, number in zip(found, numbers, strict=True):
                    seed = mixed_seed(self.config.seed, number, view)
                    patches.append(one[choose_coreset(one, drawn, seed=seed, dims=_DIMS_OF_ONE)])
                    origin.append(torch.full((drawn,), number, dtype=torch.int32, device=one.device))
                self._step(len(numbers))
        return torch.cat(patches), torch.cat(origin)

    def _moved(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)

    def _step(self, images: int) -> None:
        self.done += images
        if self.progress is not None:
            self.progress(self.done, len(self._used()) * VIEWS[self.views] + len(self.train) * self.config.cross_fit)


def _turned(images: torch.Tensor, view: int) -> torch.Tensor:
    """One of the eight views of square images (B, 3, side, side); 0 is as they are, 1 mirrored."""
    axes = [axis for axis, bit in ((3, 1), (2, 2)) if view & bit]
    images = images.flip(axes) if axes else images
    return images.transpose(2, 3) if view & 4 else images
