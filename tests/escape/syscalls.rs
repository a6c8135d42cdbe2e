//! System calls: the whole table of probes, and what kills.

use std::collections::BTreeMap;

use assize_executor::{End, Layer};
use assize_tests::hostile::{hostile, linux, one_id, shared, show};
use assize_tests::{alone, executor, limited, out, python, run};

/// Probes of `programs/probe.c` that are refused, by the error they get.
/// ENOSYS is the filter's allow-list, EPERM its deny-list or the kernel.
const DENIED: [(&str, &str); 8] = [
    (
        "EPERM",
        "seccomp_nest seccomp_listener unshare_user userns_mount userns_net_raw userns_nftables timens mount umount remount unshare_ipc capset setgroups setuid0 setgid0 mknod mknod_disk rlim_up fifo chmodtmp mlock",
    ),
    (
        "ENOSYS",
        "kill1 kill1_9 sigqueue1 pidfd_signal1 madvise1 pidfd_ns1 prlimit1 setprio1 affinity1 setsched1 prio1 rlimit1 fcntl_lease flock_usr inotify_usr fsopen fsopen_config open_tree chroot pivot setns_self ptrace1 ptrace_child vmread1 vmwrite1 pidfd_getfd1 clone_newuser clone_newpid clone3_newuser timens_clone iouring keyctl addkey_user uffd bpf perf netlink netlink_pair vsock alg packet ax25 can xdp smc tipc kcm tiocsti tiocsti_high tioclinux personality namehandle clock syslog module kexec reboot swapon sethost iopl ldt acct quota quotactl_fd lookup_dcookie moveto fanotify mount_setattr statmount listmount lsm_attr cachestat memfd_secret process_mrelease kcmp vhangup migrate ioprio_rt uring_null io_setup inotify_init pidfd_getfd_self request_key byhandle rwhint_usr rwhint_get linger sockfilter multicast multicast6 recverr timestamping msg_more msg_more_vec splice_more cached evict fiemap fspath mergeable memory_merge",
    ),
    (
        "ENOENT",
        "setns proc1mem proc1env proc1root proc1maps corepat sysrq dropc kcore kallsyms kmsg devkvm devvda devmem devfuse wvar shadow root work sysfs cgroupfs cgroupfs_mk thp proc1cmd proc1status proccpuinfo procversion proc_hostname execexe uffd_dev devtun devtty devptmx",
    ),
    ("EACCES", "nice wpasswd box rootdir mq"),
    (
        "EROFS",
        "wroot wusr wdev wetc oomadj selfmem rmwork null_times",
    ),
    ("EXDEV", "hardlink_foreign renametmp"),
    ("ECONNREFUSED", "absconn"),
    ("ETXTBSY", "selfexe"),
    // One listener there is already: it tells the server of violations.
];

/// Probes that are ended by SIGSYS.
const KILLED: [&str; 3] = ["x32", "int80", "int80_socket"];

/// Probes that succeed, and why they may.
const ALLOWED: [(&str, &str); 13] = [
    ("memfd_exec", "a program may run what it made"),
    ("tmp_exec", "likewise"),
    ("shm", "the IPC namespace is the run's own"),
    ("bind_lo", "the loopback is the cell's own"),
    ("unix", "likewise"),
    (
        "landlock",
        "restricting oneself further is everybody's right",
    ),
    ("personality_get", "only asks"),
    ("mbind", "its own memory"),
    ("wdevshm", "part of the run's own scratch space"),
    ("setlk_own", "its own file; databases need it"),
    ("getlk_usr", "likewise; the filter sees no files"),
    ("ofdgetlk_usr", "likewise"),
    ("killppid", "the parent is the probe's own"),
];

/// Probes that other tests judge.
const ELSEWHERE: [&str; 9] = [
    "txstamp",
    "mptcp",
    "sctp",
    "dccp",
    "udplite",
    "sock_packet",
    "ping",
    "rawsock",
    "core_raise",
];

#[test]
fn every_probe_gets_the_answer_in_the_table() {
    let plan = limited(hostile("probe", &[]), |l| l.wall_ms = 20_000);
    let outcome = run(shared(), plan);
    assert_eq!(outcome.end, End::Exited(0), "{}", show(&outcome));
    let said = out(&outcome);
    let answers: BTreeMap<&str, &str> = said.lines().filter_map(|l| l.split_once('\t')).collect();
    let mut expected: BTreeMap<&str, String> = BTreeMap::new();
    for (errno, names) in DENIED {
        for name in names.split_whitespace() {
            expected.insert(name, format!("DENIED {errno}"));
        }
    }
    if one_id() {
        // Directories that one owns may be closed to oneself; what nobody may
        // write is refused for that reason first; there is no uid 0 to become.
        expected.insert("chmodtmp", "ALLOWED".to_owned());
        expected.insert("wpasswd", "DENIED EROFS".to_owned());
        expected.insert("setuid0", "DENIED EINVAL".to_owned());
        expected.insert("setgid0", "DENIED EINVAL".to_owned());
    }
    expected.extend(KILLED.map(|name| (name, "KILLED by signal 31".to_owned())));
    expected.extend(ALLOWED.map(|(name, _)| (name, "ALLOWED".to_owned())));
    let mut wrong = Vec::new();
    for (name, answer) in &answers {
        match expected.get(name) {
            None if ELSEWHERE.contains(name) => {}
            None => wrong.push(format!("{name}: {answer}, not in the table")),
            Some(e) if answer.starts_with(e.as_str()) => {}
            Some(e) => wrong.push(format!("{name}: {answer}, expected {e}")),
        }
    }
    let missing = expected.keys().filter(|n| !answers.contains_key(*n));
    wrong.extend(missing.map(|n| format!("{n}: did not run")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answers.len() > 130, "{} probes", answers.len());
}

#[test]
fn without_the_filter_the_kernel_would_have_obliged() {
    alone!({
        let executor = executor(2, &[Layer::Seccomp]);
        // listmount exists since 6.8; memfd_secret is on by default since 6.5.
        let recent = linux(6, 8);
        for probe in [
            "keyctl",
            "addkey_user",
            "uffd",
            "netlink",
            "vsock",
            "ptrace_child",
            "personality",
            "ldt",
            "listmount",
            "memfd_secret",
            "int80",
            "int80_socket",
        ] {
            if matches!(probe, "listmount" | "memfd_secret") && !recent {
                continue;
            }
            let outcome = run(&executor, hostile("probe", &[probe]));
            assert!(out(&outcome).contains("ALLOWED"), "{}", show(&outcome));
        }
        // ENOSPC: not the filter but the count of namespaces, set to 0.
        let outcome = run(&executor, hostile("probe", &["unshare_user"]));
        assert_eq!(out(&outcome), "unshare_user\tDENIED ENOSPC\n");
    });
}

#[test]
fn a_foreign_system_call_ends_the_program() {
    for probe in KILLED {
        let outcome = run(shared(), hostile("probe", &[probe]));
        assert_eq!(outcome.end, End::Violation, "{}", show(&outcome));
        assert_eq!(outcome.violations.len(), 1, "{}", show(&outcome));
        assert_eq!(out(&outcome), "");
    }
}

/// Were a socket that the server made to come into a cell, its "peer" would be
/// the server.
#[test]
fn a_socket_hands_out_no_descriptor_of_the_process_that_made_it() {
    alone!({
        let ask = "import socket\na, b = socket.socketpair()\n\
                   def tell(f):\n\
                   \x20 try: print('given' if f() is not None else 'set')\n\
                   \x20 except OSError as e: print('errno', e.errno)\n\
                   tell(lambda: a.getsockopt(socket.SOL_SOCKET, 77))\n\
                   tell(lambda: a.setsockopt(socket.SOL_SOCKET, 76, 1))";
        assert_eq!(out(&run(shared(), python(ask))), "errno 38\nerrno 38\n");
        // SO_PEERPIDFD and SO_PASSPIDFD exist since 6.5.
        if linux(6, 5) {
            let open = executor(2, &[Layer::Seccomp]);
            assert_eq!(out(&run(&open, python(ask))), "given\nset\n");
        }
    });
}
