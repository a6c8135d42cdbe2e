use super::number::{float_from_hex, float_to_hex};
use super::*;
use crate::checker::Tolerance;
use proptest::prelude::*;

fn plain(tagged: &str) -> PlainValue {
    PlainValue::from_slice(tagged.as_bytes()).unwrap()
}

fn differs(tagged: &str, want: &str, tolerance: Option<Tolerance>) -> Option<String> {
    let outcome = equals_json(&plain(tagged), &Json::parse(want).unwrap(), tolerance);
    outcome.err().map(|mismatch| mismatch.to_string())
}

fn equal(tagged: &str, want: &str) -> bool {
    differs(tagged, want, None).is_none()
}

fn decimal(text: &str) -> Int {
    Int::from_decimal(text).unwrap()
}

#[test]
fn every_tag_is_decoded() {
    use PlainValue::*;
    let one = || Int(super::Int::Small(1));
    for (tagged, want) in [
        ("null", Null),
        ("true", Bool(true)),
        ("1", one()),
        (r#""a\u0000""#, Str("a\0".into())),
        ("[1]", List(vec![one()])),
        (
            r#"{"i":"-0x8000000000000000"}"#,
            Int(super::Int::Small(i64::MIN)),
        ),
        (r#"{"f":"0x1.8000000000000p+1"}"#, Float(3.0)),
        (r#"{"t":[1]}"#, Tuple(vec![one()])),
        (r#"{"d":[[1,null]]}"#, Dict(vec![(one(), Null)])),
        (r#"{"s":[1]}"#, Set(vec![one()])),
        (r#"{"z":[]}"#, FrozenSet(vec![])),
        (r#"{"q":[1]}"#, Deque(vec![one()])),
        (r#"{"g":[]}"#, Iterator(vec![])),
        (r#"{"b":"00ff"}"#, Bytes(vec![0, 255])),
        (r#"{"y":""}"#, ByteArray(vec![])),
        (r#"{"m":"1.10"}"#, Decimal("1.10".into())),
        (r#"{"c":["0x0.0p+0","inf"]}"#, Complex(0.0, f64::INFINITY)),
        (r#"{"r":["0x1","0x2"]}"#, Fraction(1.into(), 2.into())),
        (r#"{"R":[0,9,2]}"#, Range(0.into(), 9.into(), 2.into())),
        (
            r#"{"T":["date","2020-01-01"]}"#,
            Moment("date".into(), "2020-01-01".into()),
        ),
        (r#"{"T":["timedelta",[-1,2,3]]}"#, TimeDelta(-1, 2, 3)),
        (
            r#"{"o":["A","<A>"]}"#,
            Opaque {
                type_name: "A".into(),
                repr: "<A>".into(),
            },
        ),
    ] {
        assert_eq!(plain(tagged), want, "{tagged}");
        assert_eq!(
            PlainValue::from_value(&serde_json::from_str(tagged).unwrap()).unwrap(),
            want
        );
    }
}

#[test]
fn what_no_honest_guest_sends_is_bad_data() {
    for tagged in [
        "",
        "nul",
        "1 2",
        "1.5",
        "9007199254740992",
        "-9007199254740992",
        "1e5",
        "{}",
        r#"{"x":1}"#,
        r#"{"t":[],"t":[]}"#,
        r#"{"t":[],"s":[]}"#,
        r#"{"t":1}"#,
        r#"{"d":[[1]]}"#,
        r#"{"d":[[1,2,3]]}"#,
        r#"{"d":{}}"#,
        r#"{"i":"12"}"#,
        r#"{"i":"0x"}"#,
        r#"{"i":"0xFF"}"#,
        r#"{"i":"0x_1"}"#,
        r#"{"i":"+0x1"}"#,
        r#"{"i":1}"#,
        r#"{"f":"1.5"}"#,
        r#"{"f":"-nan"}"#,
        r#"{"f":"0x1.0p+1"}"#,
        r#"{"f":"0x1.0000000000000p+1024"}"#,
        r#"{"f":"0x0.8000000000000p+0"}"#,
        r#"{"b":"0"}"#,
        r#"{"b":"zz"}"#,
        r#"{"c":["nan"]}"#,
        r#"{"r":["0x1","0x0"]}"#,
        r#"{"R":[1,2,0]}"#,
        r#"{"R":[1,2]}"#,
        r#"{"R":[1,2,"3"]}"#,
        r#"{"T":["date"]}"#,
        r#"{"T":["date","x","y"]}"#,
        r#"{"T":["zone","x"]}"#,
        r#"{"T":["timedelta",[1,2]]}"#,
        r#"{"o":["A"]}"#,
        r#""\ud800""#,
        "\"\u{1}\"",
    ] {
        assert!(
            PlainValue::from_slice(tagged.as_bytes()).is_err(),
            "{tagged}"
        );
    }
    assert!(PlainValue::from_slice(b"\"\xff\"").is_err());
}

#[test]
fn depth_is_bounded_at_two_hundred_levels_of_any_kind() {
    for (open, close) in [("[", "]"), (r#"{"t":["#, "]}"), (r#"{"d":[[1,"#, "]]}")] {
        let nest = |levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
        assert!(PlainValue::from_slice(nest(MAX_DEPTH).as_bytes()).is_ok());
        assert!(PlainValue::from_slice(nest(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(PlainValue::from_slice(open.repeat(1_000_000).as_bytes()).is_err());
    }
}

#[test]
fn deep_rubbish_where_no_value_belongs_does_not_overflow_the_stack() {
    for prefix in [
        r#"{"i":"#,
        r#"{"t":[],"#,
        r#"{"T":["date","x","#,
        r#"{"T":["timedelta","#,
        r#"{"o":["A","b","#,
    ] {
        for open in ["[", r#"{"a":"#] {
            let text = prefix.to_owned() + &open.repeat(1_000_000);
            assert!(PlainValue::from_slice(text.as_bytes()).is_err());
        }
    }
}

#[test]
fn count_is_bounded() {
    let text = format!("[{}1]", "1,".repeat(MAX_NODES));
    assert!(PlainValue::from_slice(text.as_bytes()).is_err());
}

#[test]
fn numbers_equal_by_exact_value() {
    for (tagged, want) in [
        ("3", "3"),
        (r#"{"f":"0x1.8000000000000p+1"}"#, "3"),
        ("3", "3.0"),
        ("100", "1e2"),
        (r#"{"f":"-0x0.0p+0"}"#, "0"),
        (r#"{"i":"0x10000000000000001"}"#, "18446744073709551617"),
        (r#"{"f":"0x1.0000000000000p+64"}"#, "18446744073709551616"),
        (r#"{"i":"0x10000000000000000"}"#, "18446744073709551616.0"),
        (r#"{"f":"0x1.999999999999ap-4"}"#, "0.1"),
    ] {
        assert!(equal(tagged, want), "{tagged} {want}");
    }
    for (tagged, want) in [
        ("3", "4"),
        ("1", "true"),
        ("true", "1"),
        ("0", "false"),
        ("0", "null"),
        ("null", "0"),
        ("1", "\"1\""),
        ("\"1\"", "1"),
        (r#"{"i":"0x20000000000001"}"#, "9007199254740992"),
        (r#"{"f":"0x1.0000000000000p+53"}"#, "9007199254740993"),
        (r#"{"i":"0x10000000000000001"}"#, "18446744073709551616"),
        (r#"{"f":"nan"}"#, "0"),
        (r#"{"f":"inf"}"#, "1e308"),
        (r#"{"i":"0x20000000000001"}"#, "9007199254740992.0"),
        ("\"a\"", "\"A\""),
    ] {
        assert!(!equal(tagged, want), "{tagged} {want}");
    }
}

#[test]
fn tolerance_applies_only_where_a_fraction_is_expected() {
    let loose = Tolerance::new(0.5, 0.0);
    let near = |tagged: &str, want: &str| differs(tagged, want, loose).is_none();
    assert!(near(r#"{"f":"0x1.8cccccccccccdp+1"}"#, "3.0"));
    assert!(near("3", "3.25") && near(r#"[{"f":"0x1.8cccccccccccdp+1"}]"#, "[3.0]"));
    assert!(!near(r#"{"f":"0x1.8cccccccccccdp+1"}"#, "3"));
    assert!(
        !near("3", "4")
            && !near("true", "1.0")
            && !near(r#"{"f":"nan"}"#, "1.0")
            && !near(r#"{"f":"inf"}"#, "1.0")
    );
    let relative = Tolerance::new(0.0, 1e-9);
    assert!(
        differs(
            r#"{"i":"0x10000000000000000"}"#,
            "1.8446744073709551e19",
            relative
        )
        .is_none()
    );
    assert!(
        differs(
            r#"{"i":"0x11000000000000000"}"#,
            "1.8446744073709551e19",
            relative
        )
        .is_some()
    );
}

#[test]
fn every_sequence_is_an_array_and_no_set_is() {
    for tagged in [
        "[0,2,4]",
        r#"{"t":[0,2,4]}"#,
        r#"{"q":[0,2,4]}"#,
        r#"{"g":[0,2,4]}"#,
        r#"{"R":[0,5,2]}"#,
    ] {
        assert!(
            equal(tagged, "[0,2,4]")
                && !equal(tagged, "[0,2]")
                && !equal(tagged, "[0,2,4,6]")
                && !equal(tagged, "[4,2,0]")
        );
    }
    assert!(equal(r#"{"R":[5,0,-2]}"#, "[5,3,1]") && equal(r#"{"R":[5,0,1]}"#, "[]"));
    for tagged in [
        r#"{"s":[1]}"#,
        r#"{"z":[1]}"#,
        r#"{"b":"01"}"#,
        r#"{"d":[[1,1]]}"#,
        "\"1\"",
        "1",
    ] {
        assert!(!equal(tagged, "[1]"), "{tagged}");
    }
}

#[test]
fn enormous_ranges_cost_nothing() {
    let max = format!(r#"{{"i":"{}"}}"#, Int::Small(i64::MAX).to_hex());
    let min = format!(r#"{{"i":"{}"}}"#, Int::Small(i64::MIN).to_hex());
    for tagged in [
        format!(r#"{{"R":[0,{max},1]}}"#),
        format!(r#"{{"R":[{min},{max},1]}}"#),
        format!(r#"{{"R":[{max},{min},{min}]}}"#),
        r#"{"R":[0,{"i":"0xffffffffffffffffffff"},1]}"#.to_owned(),
    ] {
        assert!(!equal(&tagged, "[0,1]"), "{tagged}");
    }
    assert!(equal(
        &format!(r#"{{"R":[{min},{max},{max}]}}"#),
        "[-9223372036854775808,-1,9223372036854775806]"
    ));
}

#[test]
fn dict_keys_are_compared_as_json_writes_them() {
    let dict = r#"{"d":[[1,"a"],[true,"b"],[null,"c"],["x",[]],[{"f":"0x1.8000000000000p+0"},1]]}"#;
    assert!(equal(
        dict,
        r#"{"x":[],"1":"a","true":"b","null":"c","1.5":1}"#
    ));
    for want in [
        r#"{"1":"a"}"#,
        "{}",
        r#"{"x":[],"1":"a","true":"b","null":"c","1.5":1,"y":1}"#,
    ] {
        assert!(!equal(dict, want));
    }
    assert!(
        !equal(r#"{"d":[[1,1],["1",1]]}"#, r#"{"1":1}"#),
        "two keys became one"
    );
    assert!(!equal(r#"{"d":[[{"t":[1]},1]]}"#, r#"{"[1]":1}"#));
    assert!(equal(r#"{"d":[]}"#, "{}") && !equal(r#"{"d":[]}"#, "[]") && !equal("[]", "{}"));
}

#[test]
fn what_json_cannot_say_equals_nothing() {
    for tagged in [
        r#"{"o":["int","5"]}"#,
        r#"{"m":"5"}"#,
        r#"{"r":["0x5","0x1"]}"#,
        r#"{"c":["0x1.4000000000000p+2","0x0.0p+0"]}"#,
    ] {
        assert!(!equal(tagged, "5") && !equal(tagged, "5.0") && !equal(tagged, "\"5\""));
    }
}

#[test]
fn mismatches_say_where_and_stay_bounded() {
    let got = differs(
        r#"[0,{"d":[["name",{"t":["x"]}]]}]"#,
        r#"[0,{"name":["y"]}]"#,
        None,
    );
    assert_eq!(got.unwrap(), r#"at [1].name[0]: want "y", got "x""#);
    assert_eq!(
        differs("[1]", "[1,2]", None).unwrap(),
        "want 2 items, got 1 items"
    );
    assert_eq!(
        differs(r#""\u001b[2J""#, "1", None).unwrap(),
        r#"want 1, got "\u{1b}[2J""#
    );
    let long = format!("\"{}\"", "x".repeat(1_000_000));
    let key = format!(r#"{{"{}":1}}"#, "k".repeat(1000));
    for text in [
        differs(&long, "1", None),
        differs(r#"{"d":[]}"#, &key, None),
    ] {
        assert!(text.unwrap().chars().count() < 400);
    }
}

#[test]
fn expected_json_is_exact_and_refuses_ambiguity() {
    assert_eq!(
        Json::parse(" 18446744073709551617 "),
        Ok(Json::Int(decimal("18446744073709551617")))
    );
    assert_eq!(Json::parse("1E2"), Ok(Json::Float(100.0)));
    assert_eq!(Json::parse("-0"), Ok(Json::Int(0.into())));
    assert_eq!(
        Json::parse(r#"{"a":1,"\u0061":2}"#),
        Err(JsonError::Duplicate("a".into()))
    );
    assert_eq!(Json::parse("1e999"), Err(JsonError::Number));
    assert_eq!(
        Json::parse(&("[".repeat(300) + &"]".repeat(300))),
        Err(JsonError::Depth)
    );
    assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
    assert!(matches!(Json::parse("[1,]"), Err(JsonError::Syntax(_))));
    let inside: Vec<Json> = serde_json::from_str("[123456789012345678901234567890]").unwrap();
    assert_eq!(
        inside,
        [Json::Int(decimal("123456789012345678901234567890"))]
    );
}

#[test]
fn expected_json_has_as_many_values_as_a_guest_takes() {
    let zeros = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(Json::parse(&zeros(super::MAX_NODES - 1)).is_ok());
    assert_eq!(Json::parse(&zeros(super::MAX_NODES)), Err(JsonError::Nodes));
}

proptest! {
    #[test]
    fn one_pass_reads_what_serde_reads(
        texts in prop::collection::vec(".{0,8}", 0..4),
        numbers in prop::collection::vec(any::<i64>(), 0..4),
        pretty: bool,
    ) {
        let keyed: serde_json::Map<_, _> = texts
            .iter()
            .map(|text| (text.clone(), serde_json::json!([text, null, true, {}, []])))
            .collect();
        let value = serde_json::json!([keyed, numbers, texts, {"k": {"\"\\": false, "f": 1.5}}]);
        let text = match pretty {
            true => serde_json::to_string_pretty(&value),
            false => serde_json::to_string(&value),
        };
        prop_assert_eq!(Json::parse(&text.unwrap()), Ok(Json::from(&value)));
    }
}

#[test]
fn arguments_are_tagged_for_python() {
    let json =
        Json::parse(r#"{"b":[1,2.5,9007199254740992,null,true,"x"],"a":-18446744073709551616}"#)
            .unwrap();
    let want = serde_json::json!({"d": [
        ["b", [1, {"f": "0x1.4000000000000p+1"}, {"i": "0x20000000000000"}, null, true, "x"]],
        ["a", {"i": "-0x10000000000000000"}],
    ]});
    assert_eq!(to_python_tagged(&json), want);
    assert_eq!(
        value_to_python_tagged(&serde_json::json!({"k": 1.0})),
        serde_json::json!({"d": [["k", {"f": "0x1.0000000000000p+0"}]]})
    );
}

#[test]
fn floats_are_written_as_python_writes_them() {
    for (float, text) in [
        (0.1, "0x1.999999999999ap-4"),
        (-0.0, "-0x0.0p+0"),
        (5e-324, "0x0.0000000000001p-1022"),
        (f64::MAX, "0x1.fffffffffffffp+1023"),
        (f64::NEG_INFINITY, "-inf"),
        (1.0, "0x1.0000000000000p+0"),
    ] {
        assert_eq!(float_to_hex(float), text);
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|n| Json::Int(n.into())),
        "-?[1-9][0-9]{18,60}".prop_map(|text| Json::Int(decimal(&text))),
        prop::num::f64::NORMAL.prop_map(Json::Float),
        any::<String>().prop_map(Json::Str),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_sent_comes_back_equal(json in json()) {
        let tagged = serde_json::to_vec(&to_python_tagged(&json)).unwrap();
        prop_assert_eq!(equals_json(&PlainValue::from_slice(&tagged).unwrap(), &json, None), Ok(()));
    }

    #[test]
    fn equality_is_never_between_different_json(a in json(), b in json()) {
        prop_assume!(a != b);
        let tagged = serde_json::to_vec(&to_python_tagged(&a)).unwrap();
        prop_assert!(equals_json(&PlainValue::from_slice(&tagged).unwrap(), &b, None).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), text in r#"[\[\]{}",:a-z0-9.\-]{0,60}"#) {
        let _ = PlainValue::from_slice(&bytes);
        let _ = PlainValue::from_slice(text.as_bytes());
        let _ = Json::parse(&text);
    }

    #[test]
    fn every_float_survives_its_text(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        let back = float_from_hex(&float_to_hex(float)).unwrap();
        prop_assert!(back == float && back.is_sign_negative() == float.is_sign_negative() || back.is_nan() && float.is_nan());
    }

    #[test]
    fn ints_agree_with_machine_arithmetic(n in any::<i128>()) {
        let int = decimal(&n.to_string());
        let hex = format!("{}0x{:x}", if n < 0 { "-" } else { "" }, n.unsigned_abs());
        prop_assert_eq!(Int::from_hex(&hex).unwrap(), int.clone());
        prop_assert_eq!(int.to_hex(), hex);
        let float = n as f64;
        // The largest i128 rounds up to 2**127, which does not come back.
        if float.abs() < 1.7e38 {
            prop_assert_eq!(Int::from_f64(float).unwrap(), decimal(&(float as i128).to_string()));
        }
    }
}
