"""`python -m tests.fuzz CHECK|all`: exits with 1 where there are findings."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import campaign
from tests.fuzz.check import CHECKS
from tests.fuzz.judge import Finding


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Hostile input through the public face.")
    parser.add_argument("check", nargs="+", choices=["all", *CHECKS], metavar="CHECK", help=f"all, {', '.join(CHECKS)}")
    parser.add_argument("--seed", type=int, help="of the random numbers; a new one by default, which is printed")
    parser.add_argument("--count", type=int, help="inputs of each check; its own number by default")
    parser.add_argument("--only", type=int, metavar="N", help="the one input of this number")
    told = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if told.seed is None else told.seed
    names = list(CHECKS) if "all" in told.check else told.check
    start = 0 if told.only is None else told.only
    stop = told.count if told.only is None else told.only + 1
    named = os.environ.get("FUZZ_TMP")
    kept = (Path(named) if named else Path(tempfile.mkdtemp(prefix="fuzz-kept-"))).resolve() / "findings"
    print(f"fuzz: seed {seed}; the same again: python -m tests.fuzz {' '.join(told.check)} --seed {seed}", flush=True)

    def show(name: str, finding: Finding) -> None:
        place = f"\n    input: {finding.kept}" if finding.kept else ""
        again = f"\n    again: python -m tests.fuzz {name} --seed {seed} --only {finding.number}"
        print(f"FINDING {name}: {finding.kind}\n    {finding.detail}{place}{again}", flush=True)

    results = []
    for name in names:

        def report(finding: Finding, name: str = name) -> None:
            show(name, finding)

        results.append(campaign(name, seed, start=start, stop=stop, kept=kept / name, report=report))
        print(results[-1], flush=True)
    sys.exit(1 if any(result.findings for result in results) else 0)


if __name__ == "__main__":
    main()
