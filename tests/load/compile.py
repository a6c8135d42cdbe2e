#!/usr/bin/env python3
"""What compiling costs: cold, with the precompiled header, and not at all.

    tests/load/compile.py http://127.0.0.1:8080 [ROUNDS]

The three take turns; a comment with a number makes a program new.
"""
import http.client
import json
import statistics
import sys
import time
import urllib.parse

BITS = """#include <bits/stdc++.h>
using namespace std;
int main() {
    int n; cin >> n; vector<long long> a(n); for (auto& x : a) cin >> x;
    sort(a.begin(), a.end()); map<string, int> m; m["k"] = n; unordered_map<int, int> u; u[3] = 4;
    cout << a.back() << ' ' << m["k"] << u[3] << endl;
}
"""
SMALL = BITS.replace(
    "#include <bits/stdc++.h>",
    "#include <algorithm>\n#include <iostream>\n#include <map>\n#include <string>\n"
    "#include <unordered_map>\n#include <vector>",
)
C = '#include <stdio.h>\nint main(void) { int n; if (scanf("%d", &n) == 1) printf("%d\\n", n); return 0; }\n'
JAVA = """import java.util.*;
public class Solution {
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        int n = in.nextInt(); List<Long> a = new ArrayList<>();
        for (int i = 0; i < n; i++) a.add(in.nextLong());
        Collections.sort(a); Map<String, Integer> m = new HashMap<>(); m.put("k", n);
        System.out.println(a.get(n - 1) + " " + m.get("k"));
    }
}
"""
url = urllib.parse.urlparse(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
connection = http.client.HTTPConnection(url.hostname, url.port)


def run(language, code):
    body = json.dumps({"language": language, "backend": "native", "code": code, "stdin": "1 5\n"})
    start = time.perf_counter()
    connection.request("POST", "/v1/runs", body, {"content-type": "application/json"})
    answer = json.load(connection.getresponse())
    if answer.get("exit_code") != 0:
        sys.exit(f"it did not run: {answer}")
    return (time.perf_counter() - start) * 1e3, answer["compile"]["cached"], answer["compile"]["usage"]["cpu_ms"]


# An empty declaration before the include keeps the compiler from the
# precompiled header and changes nothing else.
PLAIN = ";\n"
kinds = {
    "bits/stdc++.h, read": ("cpp", PLAIN + BITS, True),
    "bits/stdc++.h, precompiled": ("cpp", BITS, True),
    "six headers one by one": ("cpp", SMALL, True),
    "C": ("c", C, True),
    "bits/stdc++.h, the same again": ("cpp", BITS, False),
    "C, the same again": ("c", C, False),
}
connection.request("GET", "/v1/runtimes")
if "java" in (r["language"] for r in json.load(connection.getresponse())["runtimes"]):
    kinds |= {"Java": ("java", JAVA, True), "Java, the same again": ("java", JAVA, False)}
stamp = time.time_ns()
seen = {name: [] for name in kinds}
for name, (language, code, new) in kinds.items():
    run(language, code)
for n in range(rounds):
    for name, (language, code, new) in kinds.items():
        took, cached, cpu = run(language, code + (f"// {stamp} {n}\n" if new else ""))
        if cached == new:
            sys.exit(f"{name}: cached is {cached}")
        seen[name].append((took, cpu))
print("| program | round trip p10 | p50 | CPU of the compiler |\n|---|---|---|---|")
for name, values in seen.items():
    took = sorted(t for t, _ in values)
    cpu = statistics.median(c for _, c in values) if kinds[name][2] else 0.0
    print(f"| {name} | {took[len(took) // 10]:.1f} | {statistics.median(took):.1f} | {cpu:.0f} |")
