use super::*;
use proptest::prelude::*;

fn float() -> Checker {
    Checker::Float(Tolerance::new(1e-6, 1e-6).unwrap())
}

fn same(checker: Checker, want: &str, got: &str) -> bool {
    checker.check(want.as_bytes(), got.as_bytes()).is_ok()
}

#[test]
fn tokens_ignore_only_whitespace() {
    for got in [
        "1 2\n3",
        "1  2\n\n3\n",
        "1\t2 \r\n3 \r\n",
        "\n1 2 3",
        "1\x0b2\x0c3",
    ] {
        assert!(same(Checker::Tokens, "1 2\n3\n", got), "{got:?}");
    }
    for (want, got) in [
        ("YES", "yes"),
        ("abc", "ABC"),
        ("1.0", "1.00"),
        ("5", "+5"),
        ("7", "007"),
        ("300000", "3e5"),
        ("nan", "NaN"),
        ("12", "1 2"),
        ("1 2", "12"),
        ("a", "a\0"),
        ("a b", "a\u{a0}b"),
    ] {
        assert!(!same(Checker::Tokens, want, got), "{want:?} {got:?}");
    }
}

#[test]
fn a_prefix_and_extra_output_never_pass() {
    for checker in [Checker::Tokens, Checker::Exact, Checker::Lines, float()] {
        for (want, got) in [
            ("3\n4\n5\n", "3\n"),
            ("3\n", "3\n4\n5\n"),
            ("3\n", ""),
            ("", "3\n"),
            ("0.5 1", "0.5"),
        ] {
            assert!(!same(checker, want, got), "{checker:?} {want:?} {got:?}");
        }
        assert!(same(checker, "", ""));
    }
}

#[test]
fn wrong_integers_are_wrong_under_every_checker() {
    for checker in [Checker::Tokens, Checker::Exact, Checker::Lines, float()] {
        for (want, got) in [
            ("1000000007", "1000000008"),
            ("9007199254740993", "9007199254740992"),
            ("-1000000007", "-1000000008"),
            ("1000000", "999991"),
            ("0.5 1000000007", "0.5 1000000008"),
            ("3", "3.0"),
            ("3", "3.0000000001"),
            ("7", "1e400"),
        ] {
            assert!(!same(checker, want, got), "{checker:?} {want:?} {got:?}");
        }
    }
}

#[test]
fn exact_is_byte_equality() {
    assert!(same(Checker::Exact, "a \n", "a \n"));
    assert!(!same(Checker::Exact, "a\n", "a"));
    assert!(!same(Checker::Exact, "a\n", "a\r\n"));
}

#[test]
fn lines_ignore_only_what_trails() {
    for got in ["a b\nc", "a b  \nc\t\n\n\n", "a b\r\nc\r\n"] {
        assert!(same(Checker::Lines, "a b\nc\n", got), "{got:?}");
    }
    for got in [" a b\nc", "a  b\nc", "a b\n\nc", "a b c", "\na b\nc"] {
        assert!(!same(Checker::Lines, "a b\nc\n", got), "{got:?}");
    }
}

#[test]
fn float_takes_absolute_or_relative_nearness() {
    for (want, got) in [
        ("0.5", "0.5000001"),
        ("1000000.0", "1000000.9"),
        ("0.0", "1e-7"),
        ("1.0", "1"),
        ("3.0", "+3"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("1e20", "100000000000000000000"),
        ("x 0.5", "x 0.5"),
        ("0.1 0.2", "0.1\n0.2"),
    ] {
        assert!(same(float(), want, got), "{want:?} {got:?}");
    }
    for (want, got) in [
        ("0.5", "0.50001"),
        ("0.0", "1e-5"),
        ("1e20", "1.00001e20"),
        ("x", "y"),
    ] {
        assert!(!same(float(), want, got), "{want:?} {got:?}");
    }
}

#[test]
fn float_takes_no_strange_numbers() {
    for got in [
        "nan",
        "NaN",
        "inf",
        "-inf",
        "infinity",
        "1e9999",
        "0x1",
        "1_0.0",
        "1.0.0",
        "1e",
        "e1",
        ".",
        "",
        "--1.0",
        "1.0f",
        "1,0",
        "\u{0661}.0",
        "1.0\0",
    ] {
        assert!(!same(float(), "1.0", got), "{got:?}");
        let huge = Checker::Float(Tolerance::new(1e300, 1e300).unwrap());
        assert!(!same(huge, "1.0", got), "{got:?}");
    }
}

#[test]
fn expected_nan_and_infinity_ask_for_the_same_text() {
    for token in ["nan", "inf", "-inf", "1e9999"] {
        assert!(same(float(), token, token));
    }
    assert!(!same(float(), "nan", "NaN"));
    assert!(!same(float(), "inf", "1e9999"));
    assert!(!same(float(), "inf", "-inf"));
}

#[test]
fn senseless_tolerances_do_not_exist() {
    for (abs, rel) in [(-1.0, 0.0), (0.0, f64::NAN), (f64::INFINITY, 0.0)] {
        assert_eq!(Tolerance::new(abs, rel), None);
    }
}

#[test]
fn outputs_that_are_not_text_are_compared_as_bytes() {
    for checker in [Checker::Tokens, Checker::Exact, Checker::Lines, float()] {
        assert!(checker.check(b"\xff\x00\xfe", b"\xff\x00\xfe").is_ok());
        assert!(checker.check(b"\xff\x00", b"\xfe\x00").is_err());
        assert!(checker.check(b"a\x00b", b"a").is_err());
    }
}

#[test]
fn the_first_difference_is_named_escaped_and_bounded() {
    let report =
        |want: &[u8], got: &[u8]| Checker::Tokens.check(want, got).unwrap_err().to_string();
    assert_eq!(
        report(b"1\n2\n3", b"1\n2\n4"),
        r#"line 3: want "3", got "4""#
    );
    assert_eq!(
        report(b"1\n2", b"1\n"),
        r#"line 2: want "2", got end of output"#
    );
    assert_eq!(
        report(b"1", b"1 x\x1b[2J\xff"),
        r#"line 1: want end of output, got "x\u{1b}[2J\xff""#
    );
    for bytes in [
        vec![b'x'; 100_000],
        vec![0xff; 100_000],
        "\u{202e}".repeat(9999).into_bytes(),
    ] {
        let text = report(&bytes, b"y");
        assert!(
            text.chars().count() <= 200 && text.ends_with(r#"…", got "y""#),
            "{text}"
        );
    }
    let exact = Checker::Exact
        .check(b"a\nbc", b"a\nbd\n")
        .unwrap_err()
        .to_string();
    assert_eq!(exact, r#"line 2, byte 3: want "c", got "d\n""#);
}

proptest! {
    #[test]
    fn every_output_equals_itself(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for checker in [Checker::Tokens, Checker::Exact, Checker::Lines, float()] {
            prop_assert!(checker.check(&bytes, &bytes).is_ok());
        }
    }

    #[test]
    fn stricter_checkers_accept_less(want in "[a1 .\n\r]{0,12}", got in "[a1 .\n\r]{0,12}") {
        let exact = same(Checker::Exact, &want, &got);
        let lines = same(Checker::Lines, &want, &got);
        let tokens = same(Checker::Tokens, &want, &got);
        prop_assert!((!exact || lines) && (!lines || tokens) && (!tokens || same(float(), &want, &got)));
    }

    #[test]
    fn reports_never_hold_control_characters(want in any::<Vec<u8>>(), got in any::<Vec<u8>>()) {
        if let Err(difference) = Checker::Exact.check(&want, &got) {
            let text = difference.to_string();
            prop_assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control));
        }
    }
}

#[test]
fn integers_are_near_only_where_a_problem_says_so() {
    let strict = Tolerance::new(1e-6, 0.0).unwrap();
    let loose = Checker::Float(strict.with_integers());
    assert!(Checker::Float(strict).check(b"1000", b"1e3").is_err());
    assert!(loose.check(b"1000", b"1.000000000000000e+03").is_ok());
    assert!(loose.check(b"1000", b"1001").is_err());
    assert!(loose.check(b"1000", b"0x3e8").is_err());
    assert!(loose.check(b"1000", b"nan").is_err());
}

#[test]
fn unordered_lines_are_a_multiset() {
    let same = |want: &[u8], got: &[u8]| Checker::Unordered.check(want, got).is_ok();
    assert!(same(b"b\na\na\n", b"a\nb \na"));
    assert!(!same(b"a\na\nb\n", b"a\nb\nb\n"));
    assert!(!same(b"a\nb\n", b"a\n"));
    assert!(!same(b"a\n", b"a\nb\n"));
}

#[test]
fn json_is_compared_by_value_and_kind() {
    let same = |want: &[u8], got: &[u8]| Checker::Json.check(want, got).is_ok();
    assert!(same(
        br#"{"a": [1, 2.0], "b": null}"#,
        br#"{"b":null,"a":[1,2.0]}"#
    ));
    assert!(!same(b"[1, 2]", b"[2, 1]"));
    assert!(!same(b"1", b"1.0"));
    assert!(!same(b"1", b"true"));
    assert!(!same(b"{}", b"{} {}"));
    assert!(!same(b"null", b""));
    // What the problem's author got wrong is nobody's pass.
    assert!(!same(b"{", b"{"));
    assert!(!same(br#"{"a": 1}"#, br#"{"a": 1, "a": 1}"#));
}
