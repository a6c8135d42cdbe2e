use super::*;
use crate::bpf::Program;
use crate::calls::Sockets;
use crate::limits::Limits;

const CHILD: &str = "description = \"x\"\nrequestable = true\ninherits = \"default\"\n";

fn load(text: &str) -> Result<Arc<Profile>, ProfileError> {
    let profiles = Profiles::load([("mine", format!("{CHILD}{text}"))])?;
    Ok(Arc::clone(profiles.get("mine").unwrap()))
}

fn refused(text: &str) -> String {
    chain(&load(text).unwrap_err())
}

/// An error with its causes, as a person would read it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        said = format!("{said}: {cause}");
        next = cause.source();
    }
    said
}

#[test]
fn every_shipped_profile_is_sound_and_within_its_parent() {
    let profiles = Profiles::shipped().unwrap();
    assert_eq!(profiles.iter().count(), SHIPPED.len());
    for profile in profiles.iter() {
        assert!(!profile.examples().is_empty(), "{}", profile.name);
        assert!(!profile.files.writes("/"), "{}", profile.name);
        let Some(parent) = &profile.inherits else {
            assert_eq!(profile.name, ROOT);
            continue;
        };
        let parent = profiles.get(parent).unwrap();
        assert!(profile.grant().within(&parent.grant()), "{}", profile.name);
    }
    let requestable: Vec<&str> = profiles
        .iter()
        .filter(|p| p.requestable)
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(requestable, ["agent", "default", "strict"]);
}

#[test]
fn what_a_run_installs_is_short() {
    // About 1.2 µs an instruction, at every start of a program.
    for profile in Profiles::shipped().unwrap().iter() {
        let length = Program::parse(&profile.filter).unwrap().len();
        println!("{}: {length} instructions a run", profile.name);
        let most = match (profile.name.as_str(), profile.calls.subprocesses) {
            // Installed once for a hundred thousand runs.
            ("worker", _) => 128,
            (_, true) => 16,
            (_, false) => 32,
        };
        assert!(length <= most, "{}: {length}", profile.name);
    }
}

#[test]
fn a_child_inherits_what_it_does_not_name() {
    let default = Arc::clone(Profiles::shipped().unwrap().get("default").unwrap());
    let mine = load("[limits]\ncpu_ms = 7\n[syscalls]\ndeny = [\"kill\"]\n").unwrap();
    assert_eq!(
        mine.limits,
        Limits {
            cpu_ms: 7,
            ..default.limits
        }
    );
    assert_eq!(mine.ceiling, default.ceiling);
    assert_eq!(mine.files, default.files);
    assert!(mine.calls.denied.is_superset(&default.calls.denied));
    assert!(mine.calls.denied.contains("kill"));
    // What a parent must deny, a child is held to as well.
    assert!(
        mine.examples()
            .iter()
            .any(|e| e.to_string().starts_with("io_uring_setup"))
    );
}

#[test]
fn an_inherited_default_gives_way_to_a_lower_ceiling() {
    let mine = load("[ceiling]\ncpu_ms = 100\n").unwrap();
    assert_eq!((mine.limits.cpu_ms, mine.ceiling.cpu_ms), (100, 100));
}

#[test]
fn widening_is_refused_by_name_in_every_dimension() {
    for name in Limits::NAMES {
        let said = refused(&format!("[ceiling]\n{name} = 9223372036854775807\n"));
        assert!(
            said.contains(&format!("mine: ceiling.{name} is wider than in default")),
            "{said}"
        );
    }
    for (text, key) in [
        (
            "[files]\nread_only = [\"/root\"]\n",
            "files.read_only (/root)",
        ),
        ("[files]\nread_only = [\"/\"]\n", "files.read_only (/)"),
        (
            "[files]\nread_write = [\"/work\", \"/usr/lib\"]\n",
            "files.read_write (/usr/lib)",
        ),
    ] {
        let said = refused(text);
        assert!(
            said.contains(&format!("{key} is wider than in default")),
            "{said}"
        );
    }
    let strict = CHILD.replace("default", "strict");
    for (line, key) in [
        ("sockets = \"unix\"", "sockets"),
        ("subprocesses = true", "subprocesses"),
    ] {
        let said = chain(&Profiles::load([("mine", format!("{strict}{line}\n"))]).unwrap_err());
        assert!(
            said.contains(&format!("{key} is wider than in strict")),
            "{said}"
        );
    }
}

#[test]
fn numbers_that_contradict_each_other_are_refused() {
    let said = refused("[limits]\ncpu_ms = 700000\n");
    assert!(
        said.contains("limits.cpu_ms is above ceiling.cpu_ms"),
        "{said}"
    );
    let said = refused("[limits]\nmemory_bytes = 5\n");
    assert!(
        said.contains("limits.memory_bytes is under the least"),
        "{said}"
    );
    // A ceiling below the least drags the default with it.
    let said = refused("[ceiling]\nmemory_bytes = 5\n");
    assert!(
        said.contains("limits.memory_bytes is under the least"),
        "{said}"
    );
}

#[test]
fn an_example_that_does_not_hold_is_refused_with_what_it_got() {
    for (text, expected) in [
        (
            "must_deny = [{ syscall = \"kill\", args = [2, 9], why = \"x\" }]",
            "profile mine: example kill([2, 9, 0, 0, 0, 0]): must be denied, got: allowed",
        ),
        (
            "must_allow = [{ syscall = \"mount\", why = \"x\" }]",
            "profile mine: example mount([0, 0, 0, 0, 0, 0]): must be allowed, got: EPERM",
        ),
        (
            "must_allow = [{ syscall = \"bpf\", why = \"x\" }]",
            "must be allowed, got: ENOSYS, and counted",
        ),
        (
            "must_allow = [{ write = \"/usr/x\", why = \"x\" }]",
            "profile mine: example writing /usr/x: must be allowed, got: in no granted tree",
        ),
        (
            "must_deny = [{ read = \"/usr/x\", why = \"x\" }]",
            "profile mine: example reading /usr/x: must be denied, got: granted",
        ),
        (
            "must_deny = [{ syscall = \"mownt\", why = \"x\" }]",
            "there is no system call mownt",
        ),
        (
            "must_deny = [{ syscall = \"bpf\", why = \" \" }]",
            "example 1: give exactly one of",
        ),
        (
            "must_deny = [{ why = \"x\" }]",
            "example 1: give exactly one of",
        ),
        (
            "must_deny = [{ read = \"/a/../b\", why = \"x\" }]",
            "example 1: give exactly one of",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn slips_of_the_pen_are_refused_by_name() {
    for (text, expected) in [
        (
            "[syscalls]\ndeny = [\"mownt\"]\n",
            "mownt is not on the cell's list",
        ),
        (
            "[syscalls]\ndeny = [\"ptrace\"]\n",
            "ptrace is not on the cell's list",
        ),
        (
            "[files]\nread_only = [\"usr\"]\n",
            "files.read_only: \"usr\" is not an absolute plain path",
        ),
        ("sockets = \"internet\"\n", "profile mine does not parse"),
        ("colour = 1\n", "profile mine does not parse"),
        ("[limits]\ncpu = 1\n", "profile mine does not parse"),
    ] {
        let said = refused(text);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn parents_must_exist_lead_upwards_and_not_be_replaced() {
    let text = |parent: &str| CHILD.replace("default", parent);
    let said = |texts: &[(&str, String)]| {
        let texts = texts.iter().map(|(n, t)| (*n, t.as_str()));
        chain(&Profiles::load(texts).unwrap_err())
    };
    assert!(
        said(&[("a", text("nobody"))]).contains("profile a: inherits: there is no profile nobody")
    );
    assert!(said(&[("a", text("a"))]).contains("inherits: goes round in a circle"));
    let round = [("a", text("b")), ("b", text("c")), ("c", text("a"))];
    assert!(said(&round).contains("inherits: goes round in a circle"));
    assert!(said(&[("default", text("base"))]).contains("profile default: the name is taken"));
    assert!(said(&[("base", text("strict"))]).contains("profile base: the name is taken"));
    assert!(said(&[("A b", text("base"))]).contains("\"A b\" is not a name"));
    let rootless = "description = \"x\"\nrequestable = true\n".to_owned();
    assert!(said(&[("a", rootless)]).contains("profile a: inherits: name the profile"));
    // Order of loading does not matter.
    let both = [("a", text("b")), ("b", text("strict"))];
    let profiles = Profiles::load(both).unwrap();
    assert_eq!(profiles.get("a").unwrap().calls.sockets, Sockets::None);
}

#[test]
fn a_hosts_ceiling_narrows_every_profile_and_its_defaults() {
    let host = LimitsRequest {
        cpu_ms: Some(1000),
        ..LimitsRequest::default()
    };
    let profiles = Profiles::shipped().unwrap();
    for profile in profiles.under(&host).unwrap().iter() {
        assert!(profile.ceiling.cpu_ms <= 1000 && profile.limits.cpu_ms <= 1000);
        let before = profiles.get(&profile.name).unwrap();
        assert!(profile.grant().within(&before.grant()));
        assert_eq!(profile.limits.memory_bytes, before.limits.memory_bytes);
    }
    let nothing = LimitsRequest {
        memory_bytes: Some(1),
        ..LimitsRequest::default()
    };
    assert!(chain(&profiles.under(&nothing).unwrap_err()).contains("under 4194304"));
}

/// The page that teaches how to write one may not teach what is refused.
#[test]
fn the_documented_example_loads() {
    let page = include_str!("../../../docs/profiles.md");
    let example = page.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let profiles = Profiles::load([("mine", example)]).unwrap();
    assert!(!profiles.get("mine").unwrap().files.writes("/work/x"));
    for profile in profiles.iter().filter(|p| p.name != "mine") {
        assert!(
            page.contains(&format!("`{}`", profile.name)),
            "{}",
            profile.name
        );
    }
}
