//! Controls of the probes: with the named layers off, and only then, the
//! kernel obliges. Grouped by the layers that stand in the way.

use assize_executor::Layer::{
    Capabilities, Landlock, NestedNamespaces, NetMemory, Proc, ProgramUid, ReadOnly, Rlimits,
    Seccomp,
};
use assize_tests::alone;
use assize_tests::attack::{answer, stopped_only_by, worked};
use assize_tests::executor;
use assize_tests::hostile::{linux, one_id};

#[test]
fn the_filter_alone_stops_kernel_surface_that_no_namespace_contains() {
    alone!({
        stopped_only_by(
            &[Seccomp],
            "keyctl addkey_user uffd netlink ptrace_child personality ldt io_setup \
             inotify_init inotify_usr flock_usr moveto pidfd_getfd_self rwhint_get",
        );
    });
}

#[test]
fn the_filter_alone_stops_what_of_a_socket_is_not_counted_or_outlives_its_run() {
    alone!({
        stopped_only_by(
            &[Seccomp],
            "linger sockfilter multicast6 recverr timestamping msg_more msg_more_vec splice_more",
        );
        stopped_only_by(&[Seccomp, NetMemory], "multicast");
    });
}

#[test]
fn the_filter_alone_stops_what_shared_files_and_equal_pages_tell_of_others() {
    alone!({
        stopped_only_by(&[Seccomp], "cached evict");
        // What file system /usr is on and which kernel this is decide whether
        // these exist at all; refused they are everywhere.
        let held = executor(2, &[]);
        for probe in ["fiemap", "fspath", "mergeable", "memory_merge"] {
            assert_eq!(answer(&held, probe), "DENIED ENOSYS", "{probe}");
        }
    });
}

/// A stamp that is asked for with a message is out of the filter's sight.
#[test]
fn the_network_alone_keeps_sent_messages_off_error_queues() {
    alone!({
        // A setting of the namespace since 6.18.
        if linux(6, 18) {
            stopped_only_by(&[NetMemory], "txstamp");
        }
    });
}

#[test]
fn the_filter_alone_stops_foreign_system_calls() {
    alone!({
        let held = executor(2, &[]);
        let open = executor(2, &[Seccomp]);
        for probe in ["int80", "int80_socket"] {
            assert!(answer(&held, probe).contains("Violation"), "{probe}");
            assert!(worked(&answer(&open, probe)), "{probe}");
        }
    });
}

#[test]
fn io_uring_is_stopped_by_the_filter_and_starved_by_the_limit_on_locked_memory() {
    alone!({
        let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        if setting.is_ok_and(|s| s.trim() != "0") {
            println!("this host has io_uring switched off: the control is left out");
            return;
        }
        let starved = answer(&executor(2, &[Seccomp]), "iouring");
        // Some kernels charge the rings to RLIMIT_MEMLOCK, which is 0, others
        // to the memory cgroup.
        assert!(worked(&starved) || starved == "DENIED ENOMEM", "{starved}");
        stopped_only_by(&[Seccomp, Rlimits], "iouring");
    });
}

#[test]
fn locking_memory_is_stopped_by_its_limit() {
    alone!({
        stopped_only_by(&[Rlimits], "mlock");
    });
}

#[test]
fn namespaces_inside_are_stopped_by_the_filter_and_by_their_count() {
    alone!({
        // ENOSPC is the count of namespaces, EPERM and ENOSYS the filter: each
        // is enough.
        let uncounted = executor(2, &[NestedNamespaces, Landlock]);
        assert_eq!(answer(&uncounted, "unshare_user"), "DENIED EPERM");
        assert_eq!(answer(&uncounted, "clone_newuser"), "DENIED ENOSYS");
        assert_eq!(answer(&uncounted, "clone3_newuser"), "DENIED ENOSYS");
        drop(uncounted);
        let unfiltered = executor(2, &[Seccomp, Landlock]);
        for probe in ["unshare_user", "clone_newuser", "clone3_newuser"] {
            assert_eq!(answer(&unfiltered, probe), "DENIED ENOSPC", "{probe}");
        }
        drop(unfiltered);
        stopped_only_by(
            &[Seccomp, NestedNamespaces, Landlock],
            "unshare_user clone_newuser clone3_newuser userns_mount userns_net_raw",
        );
    });
}

#[test]
fn the_cells_own_root_could_mount_and_rename_the_cell() {
    alone!({
        stopped_only_by(
            &[
                Seccomp,
                Landlock,
                ProgramUid,
                Capabilities,
                NestedNamespaces,
            ],
            "mount fsopen open_tree chroot pivot sethost unshare_ipc setuid0 setgid0 capset timens \
             clone_newpid packet rawsock",
        );
    });
}

#[test]
fn the_inits_own_uid_could_signal_and_limit_it() {
    alone!({
        stopped_only_by(&[ProgramUid, Landlock], "setuid0");
        // Signals go and limits are asked for by pid: the filter refuses pid 1,
        // the kernel a process of another uid, Landlock signals out of the
        // program's own domain. Each is enough.
        let signals = "kill1 sigqueue1 pidfd_signal1 prlimit1 rlimit1";
        stopped_only_by(&[ProgramUid, Landlock, Seccomp], signals);
        let (by_uid, by_filter) = (executor(1, &[Seccomp]), executor(1, &[ProgramUid]));
        let alone = one_id();
        for probe in ["prlimit1", "rlimit1", "prio1", "setsched1", "affinity1"] {
            if !alone {
                assert_eq!(answer(&by_uid, probe), "DENIED EPERM", "{probe}");
            }
            assert_eq!(answer(&by_filter, probe), "DENIED ENOSYS", "{probe}");
        }
    });
}

#[test]
fn the_inits_own_uid_could_slow_it_down() {
    alone!({
        // Between them stand the filter, the uid and, for a program of the
        // same uid, the capabilities that the init has more.
        stopped_only_by(
            &[ProgramUid, Landlock, Capabilities, Seccomp],
            "prio1 setprio1 setsched1",
        );
    });
}

#[test]
fn only_the_private_procfs_hides_the_init_and_the_host() {
    alone!({
        stopped_only_by(
            &[Proc],
            "proc1cmd proc1status proccpuinfo procversion proc_hostname",
        );
        // What can be seen there still cannot be written or opened: the init
        // is not dumpable, and the host's root is nobody here.
        let open = executor(2, &[Proc]);
        for probe in [
            "proc1mem",
            "proc1env",
            "proc1root",
            "proc1maps",
            "corepat",
            "dropc",
        ] {
            assert_eq!(answer(&open, probe), "DENIED EACCES", "{probe}");
        }
    });
}

#[test]
fn landlock_alone_stops_message_queues_and_the_list_of_the_root() {
    alone!({
        stopped_only_by(&[Landlock], "mq rootdir");
    });
}

#[test]
fn a_read_only_mount_alone_keeps_the_times_of_the_hosts_devices() {
    alone!({
        stopped_only_by(&[ReadOnly], "null_times");
    });
}

#[test]
fn what_recent_kernels_add_is_stopped_by_the_filter() {
    alone!({
        // listmount exists since 6.8; memfd_secret is on by default since 6.5.
        if linux(6, 8) {
            stopped_only_by(&[Seccomp], "listmount memfd_secret");
        }
    });
}

#[test]
fn a_write_hint_left_on_a_file_of_the_host_is_stopped_by_the_filter() {
    alone!({
        assert_eq!(answer(&executor(2, &[]), "rwhint_usr"), "DENIED ENOSYS");
        // Since 6.9 the kernel asks for the owner of the file; before, anybody
        // could leave one of six values on each inode of /usr.
        let open = answer(&executor(2, &[Seccomp]), "rwhint_usr");
        assert!(worked(&open) || open == "DENIED EPERM", "{open}");
    });
}

#[test]
fn the_user_namespace_refuses_what_only_the_hosts_root_may() {
    alone!({
        // The last line: with every layer off that can be switched off, and
        // as root of the cell, the kernel still asks for the host's root.
        let open = executor(
            2,
            &[
                Seccomp,
                Landlock,
                ProgramUid,
                Capabilities,
                NestedNamespaces,
                ReadOnly,
            ],
        );
        for probe in [
            "mknod",
            "mknod_disk",
            "clock",
            "swapon",
            "acct",
            "syslog",
            "nice",
            "fifo",
            "ioprio_rt",
            "vhangup",
        ] {
            let got = answer(&open, probe);
            let refused = ["DENIED EPERM", "DENIED EACCES", "DENIED ENOSYS"];
            assert!(refused.contains(&got.as_str()), "{probe}: {got}");
        }
    });
}
