"""Whether thresholds keep their word: simulated draws of good images' scores, and what was left of each promise.

Run: python -m benchmarks.thresholds [--draws 2000]

Scores are drawn from a skewed distribution (lognormal); the promise holds for any, since only ranks count.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from finetune.metrics.promises import Promise, percent, promise_false_reject
from toolkit.errors import ToolkitError

__all__ = ["main"]

_IMAGES = (5, 10, 32, 100, 300)
_ASKED: tuple[tuple[Promise, float], ...] = (("expected", 0.05), ("sure", 0.1), ("sure", 0.035), ("sure", 0.01))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args(arguments).draws
    print("| good images | asked | promised: mean | promised: sure | mean rate | rate kept in |")
    print("|---|---|---|---|---|---|")
    for images in _IMAGES:
        for promise, rate in _ASKED:
            print(_row(images, promise, rate, draws))


def _row(images: int, promise: Promise, rate: float, draws: int) -> str:
    scores = np.random.default_rng(images).lognormal(size=(draws, images))
    head = f"| {images} | {percent(rate)} {promise} |"
    try:
        chosen = [promise_false_reject(one, rate, promise) for one in scores]
    except ToolkitError as error:
        return f"{head} refused: {error.problems[0].remedy.partition(': ')[2].partition(';')[0]} | | | |"
    rates = np.array([norm.sf(math.log(one.value)) for one in chosen])  # of good parts to come, exactly
    told, kept = chosen[0], float((rates <= rate).mean())
    return f"{head} {percent(told.expected)} | {percent(told.sure)} | {100 * rates.mean():.2f} % | {100 * kept:.1f} % |"


if __name__ == "__main__":
    main()
