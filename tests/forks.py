"""The server from which tests fork processes: one for each process of pytest, in which all that they need is loaded.

There is one server and one list of what it loads, whoever asks; a list of one's own would take another's away.
"""

from __future__ import annotations

import multiprocessing
import sys

__all__ = ["FORKS"]

FORKS = multiprocessing.get_context("forkserver")
_CLUSTERS = ["distributed", "converters.verification.verify", "converters.viewing.gallery_items", "toolkit.card.card"]
_LEARNERS = [
    "finetune.patchcore.learner",
    "finetune.sam.learner",
    "finetune.vae.learner",
    "tests.finetune.classifier.classifying",
    "tests.finetune.engine.tiny",
    "toolkit.cli.learning",
]
FORKS.set_forkserver_preload([*_CLUSTERS, *(_LEARNERS if "torch" in sys.modules else [])])
