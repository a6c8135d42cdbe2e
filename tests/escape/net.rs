//! Network: a loopback of its own and nothing else.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use assize_executor::{Executor, Layer, Plan};
use assize_tests::hostile::{hostile, linux, shared, show};
use assize_tests::{alone, executor, out, python, run, shell};

fn connects(port: u16) -> Plan {
    python(&format!(
        "import socket, errno\ns = socket.socket(); s.settimeout(3)\n\
         e = s.connect_ex(('127.0.0.1', {port}))\nprint(errno.errorcode.get(e, e))"
    ))
}

fn connects_abstract(name: &str) -> Plan {
    python(&format!(
        "import socket, errno\ns = socket.socket(socket.AF_UNIX); s.settimeout(3)\n\
         e = s.connect_ex('\\0{name}')\nprint(errno.errorcode.get(e, e))"
    ))
}

#[test]
fn services_on_the_hosts_loopback_are_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket option");
    let port = listener.local_addr().expect("an address").port();
    let outcome = run(shared(), connects(port));
    assert_eq!(out(&outcome), "ECONNREFUSED\n", "{}", show(&outcome));
    let seen = listener.accept().map_err(|e| e.kind());
    assert_eq!(seen.err(), Some(ErrorKind::WouldBlock));
}

#[test]
fn services_on_the_hosts_loopback_are_out_of_reach_control() {
    alone!({
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let executor = executor(2, &[Layer::Net]);
        let outcome = run(&executor, connects(port));
        assert_eq!(out(&outcome), "0\n", "{}", show(&outcome));
        listener.accept().expect("the attack reached the host");
    });
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    alone!({
        let name = format!("assize-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let _listener = UnixListener::bind_addr(&address).expect("an abstract socket");
        let answer = |executor: &Executor| out(&run(executor, connects_abstract(&name)));
        let held = executor(2, &[]);
        assert_eq!(answer(&held), "ECONNREFUSED\n");
        drop(held);
        // Each of two layers is enough; Landlock, which knows these sockets
        // since its sixth ABI, says EPERM.
        if linux(6, 12) {
            let landlock_only = executor(2, &[Layer::Net]);
            assert_eq!(answer(&landlock_only), "EPERM\n");
        }
        let open = executor(2, &[Layer::Net, Layer::Landlock]);
        assert_eq!(answer(&open), "0\n");
    });
}

#[test]
fn the_only_interface_is_a_working_loopback() {
    let outcome = run(
        shared(),
        shell("cat /proc/self/net/dev /proc/self/net/route"),
    );
    let said = out(&outcome);
    let interfaces = said.lines().filter(|l| l.contains(": ")).count();
    assert_eq!(interfaces, 1, "{said}");
    assert!(said.contains("lo:"), "{said}");
    let talk = "import socket\ns = socket.create_server(('127.0.0.1', 0))\n\
                c = socket.create_connection(s.getsockname()); c.send(b'x')\n\
                print(s.accept()[0].recv(1))";
    let outcome = run(shared(), python(talk));
    assert_eq!(out(&outcome), "b'x'\n", "{}", show(&outcome));
}

#[test]
fn no_address_beyond_loopback_has_a_route() {
    let ways = "import socket, errno\n\
        for f, a in [(2, '169.254.169.254'), (2, '1.1.1.1'), (2, '10.0.0.1'), (10, '2001:db8::1'), (10, 'fe80::1')]:\n\
        \x20 for t in (1, 2):\n\
        \x20   s = socket.socket(f, t); s.settimeout(2); print(errno.errorcode.get(s.connect_ex((a, 80))))";
    let outcome = run(shared(), python(ways));
    let said = out(&outcome);
    assert_eq!(said.lines().count(), 10, "{}", show(&outcome));
    let unreachable = ["ENETUNREACH", "EADDRNOTAVAIL", "EINVAL"];
    assert!(said.lines().all(|l| unreachable.contains(&l)), "{said}");
}

#[test]
fn only_unix_tcp_and_udp_sockets_exist() {
    // Families that no namespace contains, and protocols whose modules the
    // kernel would load for us. All by the filter, none by accident.
    for probe in [
        "vsock",
        "alg",
        "packet",
        "netlink",
        "ax25",
        "can",
        "xdp",
        "smc",
        "tipc",
        "kcm",
        "netlink_pair",
        "mptcp",
        "sctp",
        "dccp",
        "udplite",
        "sock_packet",
        "ping",
        "rawsock",
    ] {
        let outcome = run(shared(), hostile("probe", &[probe]));
        let expected = format!("{probe}\tDENIED ENOSYS\n");
        assert_eq!(out(&outcome), expected, "{}", show(&outcome));
    }
}

#[test]
fn only_unix_tcp_and_udp_sockets_exist_control() {
    alone!({
        let executor = executor(2, &[Layer::Seccomp]);
        for probe in ["vsock", "netlink"] {
            let outcome = run(&executor, hostile("probe", &[probe]));
            assert!(out(&outcome).contains("ALLOWED"), "{}", show(&outcome));
        }
    });
}
