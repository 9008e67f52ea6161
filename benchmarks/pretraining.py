"""What pretraining is worth: EfficientNet-Lite0 with its weights and without, beside ResNet18 from noise.

    python -m benchmarks.pretraining DATA --out DIR [--set KEY=VALUE ...] [--seeds 1]

Takes the attempts of examples/attempts/coursework.yaml that a CPU can make: those of as many epochs as the baseline.
Prints the table of `defectkit attempts` with seconds of the processor. Needs no network.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from finetune.engine.config import parse_settings
from finetune.experiments.analysis import analyse_attempts
from finetune.experiments.attempts import read_attempts, run_attempts
from finetune.experiments.report import attempts_rows, write_report

COURSEWORK = Path(__file__).resolve().parents[1] / "examples" / "attempts" / "coursework.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    found = read_attempts(COURSEWORK, given.data, parse_settings(given.settings))
    epochs = found.attempts[0].config.model_dump()["epochs"]
    kept = tuple(one for one in found.attempts if one.config.model_dump()["epochs"] == epochs and one.name[:3] != "300")
    chosen = replace(found, attempts=kept, seeds=tuple(range(given.seeds)))
    began = time.process_time()
    judgement = analyse_attempts(chosen.attempts, run_attempts(chosen, given.out))
    write_report(chosen, judgement, given.out)
    header, rows = attempts_rows(chosen, judgement)
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(judgement.conclusion)
    print(f"{time.process_time() - began:.0f} s of the processor")


if __name__ == "__main__":
    main()
