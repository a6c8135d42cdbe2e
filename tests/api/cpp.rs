//! C++ on the WASI backend. Needs clang with libc++ for wasm, which
//! deploy/setup.sh installs; without it these tests fail, and say so.

use serde_json::{Value, json};

use crate::server;

fn run(code: &str, stdin: &str) -> Value {
    let request = json!({"language": "cpp", "backend": "wasi", "code": code, "stdin": stdin});
    let answer = server().post("/v1/runs", &request);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[test]
fn a_program_as_contests_have_them_compiles_and_runs() {
    let code = "#include <bits/stdc++.h>\n\
        using namespace std;\n\
        int deep(int n) { volatile char pad[64]; pad[0] = 1; return n == 0 ? 0 : pad[0] + deep(n - 1); }\n\
        int main() {\n\
            ios::sync_with_stdio(false); cin.tie(nullptr);\n\
            int n; cin >> n; vector<long long> a(n); for (auto& x : a) cin >> x;\n\
            sort(a.begin(), a.end()); map<string, int> m{{\"k\", 1}}; __int128 big = (__int128)1 << 100;\n\
            int local[500000]; iota(local, local + 500000, 0);\n\
            cout << a.back() << ' ' << m[\"k\"] << ' ' << (int)(big >> 98) << ' ' << local[499999] << ' ' << deep(50000)\n\
                 << ' ' << regex_search(\"baa\", regex(\"a+\")) << ' ' << (clock() >= 0) << endl;\n\
        }";
    let body = run(code, "3\n5 9000000000 7\n");
    assert_eq!(
        body["stdout"]["text"], "9000000000 1 4 499999 50000 1 1\n",
        "{body}"
    );
}

#[test]
fn exceptions_are_an_error_of_the_compiler() {
    let body = run("int main() { try { throw 1; } catch (int) {} }", "");
    let text = body["compile"]["stderr"]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(text.contains("with exceptions disabled"), "{body}");
}
