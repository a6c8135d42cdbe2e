//! Headers that are compiled ahead: that they are used, and that nobody can
//! tell by what a program does.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assize_judge::case::RunResult;
use assize_judge::engine::Engine;
use assize_policies::LimitsRequest;
use assize_runtimes::{Compiling, open_directory};
use assize_tests::server::engine_compiling;
use serde_json::json;
use tokio::runtime::Runtime;

/// Compiles nothing twice, so that what is seen was compiled now.
fn engine(runtime: &Runtime, headers: Option<PathBuf>) -> Arc<Engine> {
    let how = Compiling {
        cache_bytes: 0,
        headers,
    };
    runtime.block_on(engine_compiling(&how, &LimitsRequest::default()))
}

fn run(runtime: &Runtime, engine: &Engine, code: &str) -> RunResult {
    let request = json!({"language": "cpp", "code": code, "stdin": "3 1 2\n"});
    let request = serde_json::from_value(request).unwrap();
    let run = assize_api::admit_run(engine, &request).unwrap();
    runtime.block_on(engine.run(&run)).unwrap()
}

/// What its compiler said, with the lines that name who included a header.
fn said(result: &RunResult) -> String {
    let stderr = &result.compile.as_ref().unwrap().outcome.stderr.data;
    String::from_utf8_lossy(stderr).into_owned()
}

/// The same without those lines.
fn errors(result: &RunResult) -> Vec<String> {
    let included = |l: &&str| l.contains("In file included from") || l.starts_with("      ");
    said(result)
        .lines()
        .filter(|l| !included(l))
        .map(str::to_owned)
        .collect()
}

/// Says what it is: a program that is another byte by byte says something else.
const ITSELF: &str = "
using namespace std;
int main() {
    ifstream self(\"/proc/self/exe\", ios::binary);
    string bytes((istreambuf_iterator<char>(self)), {});
    vector<int> a((istream_iterator<int>(cin)), {});
    sort(a.begin(), a.end());
    map<string, int> m{{\"k\", a.back()}};
    unsigned sum = 0;
    for (unsigned char c : bytes) sum = sum * 31 + c;
    cout << bytes.size() << ' ' << sum << ' ' << m[\"k\"] << endl;
}
";

/// Fails inside the header, so that the compiler says how it came there.
const WRONG: &str = "#include <bits/stdc++.h>\nstruct S {};\nint main() { std::vector<S> v; std::sort(v.begin(), v.end()); }\n";

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("assize-{name}-{}", std::process::id()));
        let owner = rustix::process::geteuid().as_raw();
        Self(open_directory(&dir, &[owner]).unwrap())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The precompiled header, wherever it lies.
fn header(dir: &Path) -> PathBuf {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => walk(&path, found),
                path => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, &mut found);
    found.retain(|path| path.extension().is_some_and(|e| e == "gch"));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_precompiled_header_is_used_and_changes_no_byte_of_what_is_compiled() {
    let dir = Dir::new("precompiled");
    let runtime = Runtime::new().unwrap();
    let plain = engine(&runtime, None);
    let quick = engine(&runtime, Some(dir.0.clone()));
    let precompile = |engine: &Engine| {
        let all = runtime.block_on(engine.compiler().precompile(engine.registry()));
        let of = |language: &str| all.iter().find(|p| p.language == language);
        let one = of("cpp").unwrap_or_else(|| panic!("{all:?}"));
        // Where there is a JDK, its classes fare as headers do.
        if let Some(java) = of("java") {
            assert_eq!(java.made.is_ok(), one.made.is_ok(), "{java:?}");
        }
        assert_eq!(
            (one.language.as_str(), one.header.as_str()),
            ("cpp", "bits/stdc++.h")
        );
        one.made.clone()
    };
    // Until it is there, programs compile without.
    assert_eq!(
        said(&run(&runtime, &quick, WRONG)),
        said(&run(&runtime, &plain, WRONG))
    );
    assert_eq!(precompile(&quick), Ok(true));

    let programs = [
        format!("#include <bits/stdc++.h>{ITSELF}"),
        // Each of these makes the compiler read the header itself.
        format!("#define N 5\n#include <bits/stdc++.h>{ITSELF}"),
        format!("#pragma GCC optimize(\"O3\")\n#include <bits/stdc++.h>{ITSELF}"),
        format!("#include <vector>\n#include <bits/stdc++.h>{ITSELF}"),
        format!("static int before;\n#include <bits/stdc++.h>{ITSELF}"),
    ];
    for code in &programs {
        let (a, b) = (run(&runtime, &plain, code), run(&runtime, &quick, code));
        let outcomes = [a, b].map(|r| r.outcome.unwrap());
        let shown = String::from_utf8_lossy(&outcomes[0].stdout.data).into_owned();
        assert!(shown.ends_with(" 3\n"), "{shown}");
        assert_eq!(outcomes[0].stdout, outcomes[1].stdout, "{code}");
    }

    // The one difference: how the compiler came to the header is not told by
    // one that never went there, which is also the proof of it.
    let (a, b) = (run(&runtime, &plain, WRONG), run(&runtime, &quick, WRONG));
    let end = |r: &RunResult| r.compile.as_ref().unwrap().outcome.end.clone();
    assert_eq!(end(&a), end(&b));
    assert!(said(&a).contains("from main.cpp:1") && !said(&b).contains("from main.cpp:1"));
    assert_eq!(errors(&a), errors(&b));

    // What root made is taken as it is; what others may have made is not.
    let file = header(&dir.0);
    let root = rustix::process::geteuid().is_root();
    let next = engine(&runtime, Some(dir.0.clone()));
    assert!(next.compiler().stale(next.registry()));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(precompile(&next), Ok(true));
    assert!(!next.compiler().stale(next.registry()));
    let last = engine(&runtime, Some(dir.0.clone()));
    assert_eq!(precompile(&last), Ok(!root));
    // This process made it, and knows.
    assert_eq!(precompile(&next), Ok(false));

    // Without the file the compiler reads the header, and nobody is the worse.
    std::fs::remove_file(&file).unwrap();
    let code = &programs[0];
    let (a, b) = (run(&runtime, &plain, code), run(&runtime, &quick, code));
    assert_eq!(a.outcome.unwrap().stdout, b.outcome.unwrap().stdout);
    assert_eq!(
        said(&run(&runtime, &quick, WRONG)),
        said(&run(&runtime, &plain, WRONG))
    );
}

#[test]
fn programs_cannot_write_where_precompiled_headers_are() {
    let dir = Dir::new("readonly");
    // As open as a directory can be: the cell's own walls must hold.
    std::fs::set_permissions(&dir.0, std::fs::Permissions::from_mode(0o777)).unwrap();
    let runtime = Runtime::new().unwrap();
    let engine = engine(&runtime, Some(dir.0.clone()));
    let code = "#include <fstream>\n#include <iostream>\nint main() { std::cout << !!std::ofstream(\"/assize/headers/x\") << std::system(\"ls -d /assize/headers\"); }";
    let outcome = run(&runtime, &engine, code).outcome.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&outcome.stdout.data),
        "/assize/headers\n00"
    );
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
}
