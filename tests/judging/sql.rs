//! Queries judged by the rows they return.

use serde_json::{Value, json};

use crate::{judge, only, refused};

const SHOP: &str = "
    CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, photo BLOB);
    INSERT INTO item VALUES (1, 'pen', 1.5, NULL), (2, 'ink', 3, x'00ff'), (3, 'cap', 1.5, NULL);
    CREATE TABLE digit (n INTEGER);
    INSERT INTO digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);";

fn case(query: &str, gold: &str, order: &str) -> Value {
    json!({
        "language": "sql", "code": query, "checker": {"kind": "sqlite", "order": order},
        "tests": [{"database": {"script": SHOP}, "query": gold}],
        "limits": {"cpu_ms": 1000},
    })
}

fn tried(query: &str, gold: &str, order: &str) -> (String, String) {
    let judged = judge(&case(query, gold, order));
    let (verdict, detail, _) = only(&judged);
    (verdict.to_owned(), detail.to_owned())
}

#[test]
fn row_20_of_the_survey_reordered_extra_and_duplicate_rows() {
    let gold = "SELECT name FROM item ORDER BY name";
    for (query, set, multiset, ordered) in [
        (gold, "accepted", "accepted", "accepted"),
        (
            "SELECT name FROM item ORDER BY name DESC",
            "accepted",
            "accepted",
            "wrong_answer",
        ),
        (
            "SELECT name FROM item UNION ALL SELECT 'pen' ORDER BY name",
            "accepted",
            "wrong_answer",
            "wrong_answer",
        ),
        (
            "SELECT name FROM item UNION ALL SELECT 'hat'",
            "wrong_answer",
            "wrong_answer",
            "wrong_answer",
        ),
        (
            "SELECT name, 1 FROM item",
            "wrong_answer",
            "wrong_answer",
            "wrong_answer",
        ),
    ] {
        let found = ["set", "multiset", "ordered"].map(|order| tried(query, gold, order).0);
        assert_eq!(found, [set, multiset, ordered], "{query}");
    }
}

#[test]
fn a_query_may_read_and_nothing_else() {
    for query in [
        "DELETE FROM item",
        "INSERT INTO item VALUES (4, 'x', 1, NULL) RETURNING id",
        "UPDATE item SET price = 0",
        "CREATE TABLE t AS SELECT 1",
        "DROP TABLE item",
        "ATTACH '/tmp/other.db' AS other",
        "PRAGMA query_only = OFF",
        "PRAGMA table_info(item)",
        "SELECT * FROM pragma_table_info('item')",
        "SELECT load_extension('/tmp/x')",
        "VACUUM INTO '/tmp/copy.db'",
        "BEGIN",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT readfile('/etc/passwd')",
    ] {
        let (verdict, detail) = tried(query, "SELECT 1", "set");
        assert_eq!(verdict, "run_time_error", "{query}: {detail}");
        let told = [
            "authoriz",
            "prohibited",
            "no such function",
            "no such table",
        ];
        assert!(told.iter().any(|t| detail.contains(t)), "{query}: {detail}");
    }
}

#[test]
fn one_statement_and_no_more() {
    for query in [
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM item",
        "",
        "-- nothing",
    ] {
        assert_eq!(
            tried(query, "SELECT 1", "set").0,
            "run_time_error",
            "{query}"
        );
    }
    for query in [
        "SELECT 1;",
        "SELECT 1; -- done",
        "WITH a AS (SELECT 1) SELECT * FROM a",
    ] {
        assert_eq!(
            tried(query, "SELECT 1", "set"),
            ("accepted".into(), String::new()),
            "{query}"
        );
    }
}

#[test]
fn a_query_without_end_is_stopped_by_its_limits() {
    let cross = "digit a, digit b, digit c, digit d, digit e, digit f, digit g";
    for (query, verdict) in [
        // 10^7 rows, printed.
        (format!("SELECT * FROM {cross}"), "output_limit_exceeded"),
        // Counted: longer than the limit.
        (
            format!("SELECT sum(a.n * b.n * c.n) FROM {cross}, digit h"),
            "time_limit_exceeded",
        ),
        (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
                .to_owned(),
            "time_limit_exceeded",
        ),
        (
            format!("SELECT a.n FROM {cross}, digit h ORDER BY random()"),
            "time_limit_exceeded",
        ),
    ] {
        let found = tried(&query, "SELECT 1", "set").0;
        let stopped = found == verdict || found == "memory_limit_exceeded";
        assert!(stopped, "{query}: {found}");
    }
}

#[test]
fn values_keep_their_kind_and_compare_by_value() {
    let all = "SELECT 1, 1.5, 'text', NULL, x'00ff', 9e999, 9223372036854775807";
    assert_eq!(tried(all, all, "ordered").0, "accepted");
    assert_eq!(tried("SELECT 1.0", "SELECT 1", "ordered").0, "accepted");
    for (query, gold) in [
        ("SELECT '1'", "SELECT 1"),
        ("SELECT NULL", "SELECT 0"),
        ("SELECT x'31'", "SELECT '1'"),
        ("SELECT 0.1 + 0.2", "SELECT 0.3"),
        ("SELECT 'Pen'", "SELECT 'pen'"),
    ] {
        assert_eq!(tried(query, gold, "set").0, "wrong_answer", "{query}");
    }
}

#[test]
fn rows_may_stand_in_the_test_itself() {
    let mut request = case("SELECT name, price, photo FROM item", "", "multiset");
    request["tests"] = json!([{"database": {"script": SHOP}, "rows": [
        ["ink", 3, {"blob": "00ff"}], ["pen", 1.5, null], ["cap", 1.5, null],
    ]}]);
    assert_eq!(only(&judge(&request)), ("accepted", "", None));
    request["tests"][0]["rows"][1][1] = json!(1.25);
    let judged = judge(&request);
    let (verdict, detail, _) = only(&judged);
    assert_eq!(verdict, "wrong_answer");
    assert!(detail.contains("\"pen\", 1.25"), "{detail}");
}

#[test]
fn what_is_wrong_with_the_database_or_the_gold_is_not_the_candidates() {
    let mut request = case("SELECT 1", "SELECT nothing FROM nowhere", "set");
    let judged = judge(&request);
    assert_eq!((only(&judged).0, judged.reward), ("judge_error", None));
    assert!(
        only(&judged).1.contains("gold query"),
        "{:?}",
        only(&judged)
    );
    request["tests"][0]["database"]["script"] = json!("CREATE TABEL x");
    let judged = judge(&request);
    assert_eq!(only(&judged).0, "judge_error");
    assert!(
        only(&judged).1.starts_with("the database"),
        "{:?}",
        only(&judged)
    );
    assert_eq!(
        tried("SELECT x FROM nowhere", "SELECT 1", "set").0,
        "run_time_error"
    );
}

#[test]
fn files_are_judged_without_anything_running() {
    let request = |checker: Value| {
        json!({
            "language": "output", "checker": checker,
            "files": {"1.out": {"text": "4 6\n"}, "sub/2.out": {"text": "8\n"}},
            "tests": [
                {"file": "1.out", "stdout": "4\n6\n"},
                {"file": "sub/2.out", "stdout": "9\n"},
                {"file": "3.out", "stdout": "1\n"},
            ],
        })
    };
    let verdicts = |request: &Value| -> Vec<&'static str> {
        let judged = judge(request);
        judged.tests.iter().map(|t| t.verdict.name()).collect()
    };
    let wanted = ["accepted", "wrong_answer", "wrong_answer"];
    assert_eq!(verdicts(&request(json!({"kind": "tokens"}))), wanted);
    let sum = "import sys\n\
        want = sum(map(int, open(sys.argv[2]).read().split()))\n\
        sys.exit(42 if sum(map(int, sys.stdin.read().split())) == want else 43)";
    let program = json!({"kind": "program", "program": {"language": "python", "code": sum}});
    assert_eq!(verdicts(&request(program)), wanted);
}

#[test]
fn refusals_name_the_field() {
    let with = |change: fn(&mut Value)| {
        let mut request = case("SELECT 1", "SELECT 1", "set");
        change(&mut request);
        refused(&request)
    };
    for (change, field) in [
        (
            (|r| r["checker"]["order"] = json!("bag")) as fn(&mut Value),
            "checker.order",
        ),
        (
            |r| r["checker"] = json!({"kind": "tokens"}),
            "tests[0].database",
        ),
        (|r| r["tests"][0]["rows"] = json!([[1]]), "tests[0].query"),
        (|r| r["tests"][0]["stdin"] = json!("x"), "tests[0].stdin"),
        (|r| r["language"] = json!("python"), "tests[0].database"),
        (
            |r| r["tests"] = json!([{"database": {"script": ""}, "rows": [[1], [[2]]]}]),
            "tests[0].rows[1]",
        ),
        (
            |r| *r = json!({"language": "output", "code": "x", "tests": [{"stdout": "x"}]}),
            "tests[0].file",
        ),
        (
            |r| {
                *r = json!({"language": "bash", "code": "x", "tests": [{"file": "a", "stdout": "x"}]})
            },
            "tests[0].file",
        ),
    ] {
        assert_eq!(with(change), field);
    }
}
