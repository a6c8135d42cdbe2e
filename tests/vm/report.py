"""Reads the console of the machine, prints a table, says whether all is well."""

import json
import re
import sys

STEP = re.compile(r"@@ (\d+) ([\d.]+) (\S+)$")
TEST = re.compile(r"test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")


def main(path):
    with open(path, encoding="utf-8", errors="replace") as console:
        text = console.read().replace("\r", "")
    lines = text.split("\n")
    steps, facts, said, tests, current = [], [], {}, {}, None
    for line in lines:
        if line.startswith("@@ begin "):
            current = line.removeprefix("@@ begin ")
            said[current], tests[current] = [], {}
        elif match := STEP.match(line):
            steps.append((match[3], int(match[1]), float(match[2])))
            current = None
        elif line.startswith("@@ ") and line != "@@ end":
            facts.append(line.removeprefix("@@ "))
        elif current:
            said[current].append(line)
            if match := TEST.search(line):
                tests[current][match[1]] = match[2]
    for fact in facts:
        print(fact)
    for line in said.get("doctor", []):
        show_doctor(line)
    print()
    bad = []
    for name, status, seconds in steps:
        passed = sum(v == "ok" for v in tests[name].values())
        failed = [t for t, v in tests[name].items() if v == "FAILED"]
        well = status == 0
        count = f"{passed} passed, {len(failed)} failed" if tests[name] else ""
        print(f"{'ok    ' if well else 'FAILED'} {name:<26} {seconds:>7.1f} s  {count}")
        for test in failed:
            print(f"         {test}")
        if not well:
            bad.append(name)
    for name in bad:
        print(f"\n--- {name}")
        print("\n".join(said[name][-400:]))
    if current:
        print(f"\n--- {current}: cut short\n" + "\n".join(said[current][-40:]))
    if "@@ end" not in lines or not steps:
        print("\nThe machine did not reach the end; its last lines:")
        print("\n".join(lines[-20:]))
        return 1
    print("\nEverything held." if not bad else f"\nNOT everything held: {', '.join(bad)}")
    return bool(bad)


def show_doctor(line):
    try:
        answer = json.loads(line)
    except ValueError:
        return
    if "capabilities" not in answer:
        print(answer.get("error", line))
        return
    print(f"cgroup backend in use: {answer['capabilities']['cgroup']}")
    for probe in answer["capabilities"]["probes"]:
        held = "held" if probe["enforced"] else "NOT "
        print(f"  {probe['name']:<18} {held}  {probe['seen']}")


sys.exit(main(sys.argv[1]))
