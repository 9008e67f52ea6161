"""The process that a check runs in: `python -m tests.fuzz.worker CHECK SEED START STOP HOME KEPT LOG`.

It writes a line of JSON into LOG before each input, for each finding, and at the end.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2

from tests.fuzz.check import find_check
from tests.fuzz.judge import Judge


def main() -> None:
    name, seed, start, stop, home, kept, log = sys.argv[1:]
    folder = Path(home)
    with open(log, "a", encoding="utf-8") as lines:

        def tell(**facts: Any) -> None:
            lines.write(json.dumps(facts) + "\n")
            lines.flush()

        check = find_check(name)
        judge = Judge(int(seed), Path(kept), lambda finding: tell(finding=finding.as_json()))
        os.chdir(folder)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        warnings.simplefilter("error", RuntimeWarning)  # numpy's, of numbers that do not fit: nobody has looked at them
        world = check.prepare(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if check.memory:
            most = resource.getrlimit(resource.RLIMIT_AS)[1]
            limit = check.memory if most == resource.RLIM_INFINITY else min(check.memory, most)
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))
        for number in range(int(start), int(stop)):
            judge.number = number
            tell(at=number)
            check.attempt(world, judge, random.Random(f"{seed}/{number}"))
        tell(tried=judge.tried, outcomes=judge.outcomes, kinds=judge.kinds)
    os._exit(0)  # whatever a hostile file left behind in this process, it ends here


if __name__ == "__main__":
    main()
