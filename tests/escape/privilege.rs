//! Privilege and sight: what a program is, holds and can see.

use assize_executor::{End, Plan};
use assize_tests::hostile::{shared, show};
use assize_tests::{out, python, run, shell};

fn said(script: &str) -> String {
    let outcome = run(shared(), shell(script));
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    out(&outcome)
}

#[test]
fn a_program_has_no_capability_and_can_gain_none() {
    let status = said("cat /proc/self/status");
    let value = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name));
        line.and_then(|l| l.split_whitespace().nth(1))
            .map(str::to_owned)
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(value(set).as_deref(), Some("0000000000000000"), "{set}");
    }
    assert_eq!(value("NoNewPrivs:").as_deref(), Some("1"));
    assert_eq!(value("Seccomp:").as_deref(), Some("2"));
    assert_eq!(value("Uid:").as_deref(), Some("1000"));
    assert_eq!(value("Gid:").as_deref(), Some("1000"));
}

#[test]
fn a_setuid_program_gives_nothing() {
    let setuid = std::fs::metadata("/usr/bin/su").expect("a set-uid program to try");
    let mode = std::os::unix::fs::PermissionsExt::mode(&setuid.permissions());
    assert_ne!(mode & 0o4000, 0, "su is not set-uid on this host");
    let script = "/usr/bin/su -c id root </dev/null 2>&1; id -u; \
                  cp /usr/bin/id /tmp/id; chmod 6755 /tmp/id; /tmp/id -u";
    let said = said(script);
    assert!(said.ends_with("1000\n1000\n"), "{said}");
    assert!(!said.contains("uid=0"), "{said}");
}

#[test]
fn proc_shows_the_cells_own_processes_and_nothing_of_the_kernel() {
    let said = said("ls /proc");
    let (pids, names): (Vec<&str>, Vec<&str>) = said
        .lines()
        .partition(|l| l.chars().all(|c| c.is_ascii_digit()));
    // The shell and ls, which have small numbers: it is no host's list.
    assert!(!pids.contains(&"1"), "{said}");
    assert!(pids.len() <= 2, "{said}");
    let known = ["mounts", "net", "self", "thread-self"];
    assert!(names.iter().all(|n| known.contains(n)), "{said}");
}

#[test]
fn sys_and_the_hosts_own_files_are_absent() {
    for path in [
        "/sys/kernel",
        "/sys/fs/cgroup/memory",
        "/proc/sys/kernel",
        "/proc/kcore",
        "/proc/cpuinfo",
        "/proc/1/status",
        "/etc/shadow",
        "/etc/machine-id",
        "/etc/resolv.conf",
        "/root",
        "/home",
        "/var",
        "/run",
        "/boot",
        "/dev/kmsg",
        "/dev/mem",
        "/dev/tty",
        "/dev/pts",
        "/dev/vda",
    ] {
        let script = format!("[ -e {path} ] && echo there || echo absent");
        assert_eq!(said(&script), "absent\n", "{path}");
    }
}

#[test]
fn no_descriptor_is_open_beyond_the_streams() {
    // The fifth would be the directory being listed: gone when it is read.
    let list = "import os\nfor f in sorted(map(int, os.listdir('/proc/self/fd'))):\n  try: os.fstat(f); print(f)\n  except OSError: pass";
    let outcome = run(shared(), python(list));
    assert_eq!(out(&outcome), "0\n1\n2\n", "{}", show(&outcome));
    let plan = Plan {
        report_bytes: 100,
        ..python(list)
    };
    let outcome = run(shared(), plan);
    assert_eq!(out(&outcome), "0\n1\n2\n4\n", "{}", show(&outcome));
}

#[test]
fn the_working_directory_is_inside_the_root() {
    assert_eq!(said("pwd -P; readlink /proc/self/cwd"), "/work\n/work\n");
    assert_eq!(said("readlink /proc/self/root"), "/\n");
    // From there no number of steps up leads anywhere else.
    let up =
        "import os\nfor _ in range(50): os.chdir('..')\nprint(os.getcwd(), os.path.exists('root'))";
    assert_eq!(out(&run(shared(), python(up))), "/ False\n");
}

#[test]
fn the_environment_is_what_the_plan_says() {
    let plan = Plan {
        env: vec![("ONE".into(), "1".into())],
        ..assize_tests::plan(&["/usr/bin/env"])
    };
    assert_eq!(out(&run(shared(), plan)), "ONE=1\n");
}

#[test]
fn nothing_names_the_host() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let here = std::env::current_dir().expect("a working directory");
    let seen = said(
        "cat /proc/self/mountinfo /proc/self/mounts /proc/self/cgroup /proc/self/environ \
         /proc/self/net/unix /proc/self/net/tcp /etc/hosts; uname -n; env",
    );
    for name in [
        host.trim(),
        boot.trim(),
        "assize-jail",
        &here.to_string_lossy(),
    ] {
        assert!(!seen.contains(name), "{name:?} in {seen}");
    }
    assert_eq!(said("uname -n"), "assize\n");
    for line in said("cat /proc/self/cgroup").lines() {
        assert!(line.ends_with(":/"), "{line}");
    }
}

/// What a mount line does tell: the device and options of the file system
/// that /usr lies on, and the slot's host uid. Anything else is new.
#[test]
fn mounts_tell_of_the_host_only_what_is_listed() {
    let mounts = said("cat /proc/self/mountinfo");
    for line in mounts.lines() {
        let field: Vec<&str> = line.split(' ').collect();
        let (root, at) = (field[3], field[4]);
        let own = ["/", "/work", "/tmp", "/shm"].contains(&root);
        let shown = root == at || (at.starts_with("/dev/") && at.ends_with(root));
        assert!(own || shown, "{line}");
        assert!(
            !line.contains("shared:") && !line.contains("master:"),
            "{line}"
        );
        let writable = ["/box", "/work", "/tmp", "/dev/shm"].contains(&at);
        assert_eq!(field[5].starts_with("rw"), writable, "{line}");
        let device = line.contains(" devtmpfs ");
        assert!(field[5].contains("nosuid"), "{line}");
        assert!(field[5].contains("nodev") || device, "{line}");
    }
}

#[test]
fn a_crash_wakes_no_handler_of_the_host() {
    // A handler behind a pipe in core_pattern runs on the host and ignores a
    // limit of 0; 1 is the value that the kernel takes for "no dump at all"
    // (fs/coredump.c). The program must not be able to choose 0 again.
    let plan = python(
        "import resource as r\n\
         print([l.split()[4:6] for l in open('/proc/self/limits') if l.startswith('Max core')])\n\
         try: r.setrlimit(r.RLIMIT_CORE, (0, 0)); print('lowered')\n\
         except (OSError, ValueError): print('refused')",
    );
    assert_eq!(out(&run(shared(), plan)), "[['1', '1']]\nrefused\n");
}
