#!/usr/bin/env python3
"""Posts a few programs that misbehave and prints what became of them.

    gallery.py http://127.0.0.1:8080

Exits 1 when a verdict is not the honest one.
"""

import json
import sys
import time
import urllib.request

TASK = [{"call": {"function": "add", "args": [19, 23]}, "returns": 42}]
ECHO = [{"stdin": "42\n", "stdout": "42\n"}]

# (what, language, code, tests, honest verdict)
GALLERY = [
    ("an honest function", "python", "def add(a, b):\n    return a + b\n", TASK, "accepted"),
    ("an honest C++ program", "cpp",
     "#include <iostream>\nint main() { int x; std::cin >> x; std::cout << x << '\\n'; }\n",
     ECHO, "accepted"),
    ("an honest JavaScript program", "javascript",
     "process.stdin.on('data', d => process.stdout.write(d))\n", ECHO, "accepted"),
    ("an infinite loop", "python", "while True:\n    pass\n", ECHO, "time_limit_exceeded"),
    ("a sleeper", "bash", "sleep 60\n", ECHO, "time_limit_exceeded"),
    ("a memory hog", "python", "x = []\nwhile True:\n    x.append(bytearray(1 << 20))\n", ECHO,
     "memory_limit_exceeded"),
    ("a fork bomb", "python",
     "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n",
     ECHO, "time_limit_exceeded"),
    ("endless output", "python", "while True:\n    print('x' * 1000)\n", ECHO,
     "output_limit_exceeded"),
    ("a socket to the world", "python",
     "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)\n", ECHO, "run_time_error"),
    ("reading /etc/shadow", "bash", "cat /etc/shadow\n", ECHO, "run_time_error"),
    ("sys.exit(0) before the tests", "python",
     "import sys\ndef add(a, b):\n    sys.exit(0)\n", TASK, "run_time_error"),
    ("os._exit(0) before the tests", "python", "import os\nos._exit(0)\n", TASK,
     "run_time_error"),
    ("an object equal to everything", "python",
     "class Yes:\n    def __eq__(self, other):\n        return True\n"
     "def add(a, b):\n    return Yes()\n", TASK, "wrong_answer"),
    ("an int that lies about ==", "python",
     "class Yes(int):\n    def __eq__(self, other):\n        return True\n"
     "def add(a, b):\n    return Yes(7)\n", TASK, "wrong_answer"),
    ("a C++ compile error", "cpp", "int main() { return answer; }\n", ECHO, "compile_error"),
    ("reading /dev/random while compiling", "c", "#include \"/dev/random\"\nint main(void) {}\n",
     ECHO, "compile_error"),
]


def post(url, case):
    request = urllib.request.Request(
        url + "/v1/judgements",
        data=json.dumps(case).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def main():
    url = sys.argv[1].rstrip("/")
    wrong = 0
    for what, language, code, tests, honest in GALLERY:
        start = time.monotonic()
        answer = post(url, {
            "language": language,
            "code": code,
            "tests": tests,
            "limits": {"cpu_ms": 1000, "wall_ms": 2000, "memory_bytes": 128 << 20},
        })
        took = (time.monotonic() - start) * 1000
        verdict = answer["verdict"]
        detail = answer["tests"][0]["detail"] if answer["tests"] else answer["compile"]["reason"]
        mark = " " if verdict == honest else "!"
        wrong += verdict != honest
        print(f"{mark} {what:<36} {verdict:<22} {took:8.1f} ms   {detail[:70]}")
    if wrong:
        sys.exit(f"{wrong} verdicts are not the honest ones")


if __name__ == "__main__":
    main()
