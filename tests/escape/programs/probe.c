// What a cell lets a program do: each probe runs in its own child and prints
// name<TAB>ALLOWED …|DENIED errno|READ …. `probe NAME` runs one of them without
// the child, so that being killed for it is the program's own end.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
static char out[512];
#define R(...) (snprintf(out, sizeof out, __VA_ARGS__))
static void rc(long r) { if (r < 0) R("DENIED %s", strerrorname_np(errno)); else R("ALLOWED %ld", r); }
static void sc(long n, long a, long b, long c, long d, long e) { errno = 0; rc(syscall(n, a, b, c, d, e)); }
static void p_unshare_user(void) { rc(unshare(CLONE_NEWUSER)); }
static void p_userns_mount(void) { if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) { rc(-1); return; } rc(mount("t", "/tmp", "tmpfs", 0, 0)); }
static void p_userns_net_raw(void) { if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) { rc(-1); return; } rc(socket(AF_PACKET, SOCK_RAW, 0)); }
static void p_userns_nftables(void) { if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) { rc(-1); return; } rc(socket(AF_NETLINK, SOCK_RAW, 12)); }
static void p_mount(void) { rc(mount("t", "/tmp", "tmpfs", 0, 0)); }
static void p_fsopen(void) { sc(430, (long)"tmpfs", 0, 0, 0, 0); }
static void p_open_tree(void) { sc(428, -100, (long)"/", 1, 0, 0); }
static void p_chroot(void) { rc(chroot("/tmp")); }
static void p_pivot(void) { sc(SYS_pivot_root, (long)"/tmp", (long)"/tmp", 0, 0, 0); }
static void p_setuid0(void) { rc(setuid(0)); if (out[0] == 'A') R("uid=%d->setuid(0) ok", getuid()); }
static void p_ptrace1(void) { rc(ptrace(PTRACE_SEIZE, 1, 0, 0)); }
static void p_ptrace_child(void) { pid_t p = fork(); if (!p) { pause(); _exit(0); } rc(ptrace(PTRACE_SEIZE, p, 0, 0)); kill(p, 9); }
static void p_vmread1(void) { char b[8]; struct iovec l = {b, 8}, r = {(void *)0x400000, 8}; rc(process_vm_readv(1, &l, 1, &r, 1, 0)); }
static void p_pidfd_getfd1(void) { int f = syscall(434, 1, 0); if (f < 0) { rc(-1); return; } rc(syscall(438, f, 0, 0)); }
static void p_prlimit1(void) { struct rlimit o, n; if (syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, 0, &o)) { rc(-1); return; } n = o; rc(syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, &n, 0)); }
static void p_setprio1(void) { errno = 0; int o = getpriority(PRIO_PROCESS, 1); rc(setpriority(PRIO_PROCESS, 1, o)); }
static void p_affinity1(void) { cpu_set_t c; CPU_ZERO(&c); CPU_SET(0, &c); CPU_SET(1, &c); rc(sched_setaffinity(1, sizeof c, &c)); }
static void p_kill1(void) { rc(kill(1, 0)); }
static void rd(const char *p) { int f = open(p, O_RDONLY); if (f < 0) { rc(-1); return; } char b[32]; int n = read(f, b, 31); if (n < 0) { rc(-1); return; } R("READ %d bytes", n); }
static void wr(const char *p) { int f = open(p, O_WRONLY | O_CLOEXEC); rc(f); }
static void p_proc1mem(void) { rd("/proc/1/mem"); }
static void p_proc1env(void) { rd("/proc/1/environ"); }
static void p_proc1root(void) { rc(open("/proc/1/root/etc/shadow", O_RDONLY)); }
static void p_proc1maps(void) { rd("/proc/1/maps"); }
static void p_corepat(void) { wr("/proc/sys/kernel/core_pattern"); }
static void p_sysrq(void) { wr("/proc/sysrq-trigger"); }
static void p_dropc(void) { wr("/proc/sys/vm/drop_caches"); }
static void p_kcore(void) { rd("/proc/kcore"); }
static void p_kallsyms(void) { FILE *f = fopen("/proc/kallsyms", "r"); char b[100]; if (!f || !fgets(b, 99, f)) { rc(-1); return; } R("%.16s", b); }
static void p_kmsg(void) { rd("/dev/kmsg"); }
static void p_devkvm(void) { rc(open("/dev/kvm", O_RDWR)); }
static void p_devvda(void) { rc(open("/dev/vda", O_RDONLY)); }
static void p_devmem(void) { rc(open("/dev/mem", O_RDONLY)); }
static void p_devfuse(void) { rc(open("/dev/fuse", O_RDWR)); }
static void p_mknod(void) { rc(mknod("/tmp/nd", S_IFCHR | 0666, (1 << 8) | 3)); if (out[0] != 'A') { char e[64]; strcpy(e, out); } unlink("/tmp/nd"); }
static void p_iouring(void) { char b[256] = {0}; sc(425, 4, (long)b, 0, 0, 0); }
static void p_keyctl(void) { sc(SYS_keyctl, 0, -3, 1, 0, 0); }
static void p_addkey_user(void) { sc(SYS_add_key, (long)"user", (long)"pwn", (long)"x", 1, -4); }
static void p_uffd(void) { sc(SYS_userfaultfd, O_CLOEXEC, 0, 0, 0, 0); if (out[0] != 'A') { int e = errno; errno = 0; long r = syscall(SYS_userfaultfd, O_CLOEXEC | 1); if (r >= 0) R("ALLOWED (user-mode only)"); else { errno = e; } } }
static void p_bpf(void) { struct { uint32_t t, k, v, m; } a = {2, 4, 4, 1}; char b[128] = {0}; memcpy(b, &a, 16); sc(SYS_bpf, 0, (long)b, 128, 0, 0); }
static void p_perf(void) { char b[128] = {0}; *(uint32_t *)b = 1; *(uint32_t *)(b + 4) = 112; sc(SYS_perf_event_open, (long)b, 0, -1, -1, 0); }
static void p_memfd_exec(void) { int f = memfd_create("x", 0); if (f < 0) { rc(-1); return; } int s = open("/bin/true", O_RDONLY); char b[65536]; int n; while ((n = read(s, b, sizeof b)) > 0) write(f, b, n); pid_t p = fork(); if (!p) { char *a[] = {"x", 0}; syscall(SYS_execveat, f, "", a, environ, 0x1000); _exit(77); } int st; waitpid(p, &st, 0); R(st == 0 ? "ALLOWED exec from memfd" : "DENIED st=%x", st); }
static void p_tmp_exec(void) { int f = open("/tmp/xx", O_CREAT | O_WRONLY | O_TRUNC, 0755); if (f < 0) { rc(-1); return; } int s = open("/bin/true", O_RDONLY); char b[65536]; int n; while ((n = read(s, b, sizeof b)) > 0) write(f, b, n); close(f); pid_t p = fork(); if (!p) { char *a[] = {"x", 0}; execv("/tmp/xx", a); _exit(77); } int st; waitpid(p, &st, 0); if (st == 0) R("ALLOWED exec from /tmp"); else R("DENIED st=%x", st); unlink("/tmp/xx"); }
static void p_shm(void) { int id = shmget(0x5150, 4096, IPC_CREAT | 0666); if (id < 0) { rc(-1); return; } R("ALLOWED SysV shm"); shmctl(id, IPC_RMID, 0); }
static void p_mq(void) { sc(SYS_mq_open, (long)"pwnq", O_CREAT | O_RDWR, 0600, 0, 0); if (out[0] == 'A') syscall(SYS_mq_unlink, "pwnq"); }
static void p_bind_lo(void) { int s = socket(AF_INET, SOCK_STREAM, 0); if (s < 0) { rc(-1); return; } struct sockaddr_in a = {.sin_family = AF_INET}; a.sin_addr.s_addr = htonl(0x7f000001); if (bind(s, (void *)&a, sizeof a)) { rc(-1); return; } listen(s, 1); socklen_t l = sizeof a; getsockname(s, (void *)&a, &l); int c = socket(AF_INET, SOCK_STREAM, 0); rc(connect(c, (void *)&a, sizeof a)); }
static void sk(int af, int t, int p) { int s = socket(af, t, p); rc(s); }
static void p_netlink(void) { sk(AF_NETLINK, SOCK_RAW, 0); }
static void p_vsock(void) { sk(40, SOCK_STREAM, 0); }
static void p_alg(void) { sk(38, SOCK_SEQPACKET, 0); }
static void p_packet(void) { sk(AF_PACKET, SOCK_RAW, 0); }
static void p_rawsock(void) { sk(AF_INET, SOCK_RAW, 1); }
static void p_unix(void) { sk(AF_UNIX, SOCK_STREAM, 0); }
static void p_absconn(void) { int s = socket(AF_UNIX, SOCK_STREAM, 0); if (s < 0) { rc(-1); return; } struct sockaddr_un a = {.sun_family = AF_UNIX}; memcpy(a.sun_path, "\0a_host", 7); rc(connect(s, (void *)&a, 2 + 7)); }
static void p_x32(void) { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(0x40000000L + 39) : "rcx", "r11", "memory"); if (r < 0) { errno = -r; rc(-1); } else R("ALLOWED x32 getpid=%ld", r); }
static void p_int80(void) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory"); if ((int)r < 0) { errno = -(int)r; rc(-1); } else R("ALLOWED int80 getpid=%d", (int)r); }
static void p_int80_socket(void) { long r; long args = 40; unsigned *m = mmap((void *)0x10000000, 4096, 3, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); m[0] = 40; m[1] = 1; m[2] = 0; (void)args; __asm__ volatile("int $0x80" : "=a"(r) : "a"(102L), "b"(1L), "c"(m) : "memory"); if ((int)r < 0) { errno = -(int)r; rc(-1); } else R("ALLOWED i386 socketcall(AF_VSOCK)=%d", (int)r); }
static void p_tiocsti(void) { char c = 'x'; rc(ioctl(0, TIOCSTI, &c)); }
static void p_personality(void) { sc(SYS_personality, 0x0040000, 0, 0, 0, 0); }
static void p_namehandle(void) { struct { uint32_t n; int t; char b[128]; } h = {128, 0, {0}}; int m; sc(SYS_name_to_handle_at, -100, (long)"/usr", (long)&h, (long)&m, 0); if (out[0] != 'A') return; int f = open("/usr", O_RDONLY); sc(SYS_open_by_handle_at, f, (long)&h, O_RDONLY, 0, 0); }
static void p_seccomp_nest(void) { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); struct sock_filter f[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}; struct sock_fprog p = {1, f}; sc(SYS_seccomp, 1, 0, (long)&p, 0, 0); }
static void p_seccomp_listener(void) { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); struct sock_filter f[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}; struct sock_fprog p = {1, f}; sc(SYS_seccomp, 1, 8, (long)&p, 0, 0); }
static void p_rlim_up(void) { struct rlimit l; getrlimit(RLIMIT_NOFILE, &l); l.rlim_max += 1000; l.rlim_cur = l.rlim_max; rc(setrlimit(RLIMIT_NOFILE, &l)); }
static void p_fifo(void) { struct sched_param s = {1}; rc(sched_setscheduler(0, SCHED_FIFO, &s)); }
static void p_nice(void) { rc(setpriority(PRIO_PROCESS, 0, -10)); }
static void p_clock(void) { struct timeval t; gettimeofday(&t, 0); rc(settimeofday(&t, 0)); }
static void p_syslog(void) { char b[64]; sc(SYS_syslog, 3, (long)b, 64, 0, 0); }
static void p_module(void) { sc(SYS_init_module, 0, 0, (long)"", 0, 0); }
static void p_kexec(void) { sc(SYS_kexec_load, 0, 0, 0, 0, 0); }
static void p_reboot(void) { sc(SYS_reboot, 0, 0, 0, 0, 0); }
static void p_swapon(void) { sc(SYS_swapon, (long)"/tmp/x", 0, 0, 0, 0); }
static void p_sethost(void) { rc(sethostname("pwn", 3)); }
static void p_iopl(void) { sc(SYS_iopl, 3, 0, 0, 0, 0); }
static void p_ldt(void) { char b[64]; sc(SYS_modify_ldt, 0, (long)b, 64, 0, 0); }
static void p_flock_usr(void) { int f = open("/usr/bin", O_RDONLY | O_DIRECTORY); if (f < 0) { rc(-1); return; } rc(flock(f, LOCK_EX | LOCK_NB)); }
static void p_fcntl_lease(void) { int f = open("/bin/true", O_RDONLY); if (f < 0) { rc(-1); return; } rc(fcntl(f, F_SETLEASE, F_RDLCK)); }
static void p_wroot(void) { rc(open("/pwn", O_CREAT | O_WRONLY, 0644)); unlink("/pwn"); }
static void p_wusr(void) { rc(open("/usr/local/bin/pwn", O_CREAT | O_WRONLY, 0644)); unlink("/usr/local/bin/pwn"); }
static void p_wvar(void) { rc(open("/var/tmp/pwn", O_CREAT | O_WRONLY, 0644)); unlink("/var/tmp/pwn"); }
static void p_wdevshm(void) { rc(open("/dev/shm/pwn", O_CREAT | O_WRONLY, 0644)); unlink("/dev/shm/pwn"); }
static void p_shadow(void) { rd("/etc/shadow"); }
static void p_root(void) { DIR *d = opendir("/root"); rc(d ? 1 : -1); }
static void p_work(void) { DIR *d = opendir("/srv"); rc(d ? 1 : -1); }
static void p_cgroupfs(void) { rc(access("/sys/fs/cgroup/memory/cgroup.procs", R_OK)); }
static void p_cgroupfs_mk(void) { rc(mkdir("/sys/fs/cgroup/memory/pwn", 0755)); rmdir("/sys/fs/cgroup/memory/pwn"); }
static void p_landlock(void) { uint64_t a = 1; sc(444, (long)&a, 8, 0, 0, 0); }
static void p_acct(void) { sc(SYS_acct, 0, 0, 0, 0, 0); }
static void p_quota(void) { sc(SYS_quotactl, 0x80000100, 0, 0, 0, 0); }
static void p_lookup_dcookie(void) { sc(SYS_lookup_dcookie, 0, 0, 0, 0, 0); }
static void p_mbind(void) { sc(SYS_set_mempolicy, 0, 0, 0, 0, 0); }
static void p_moveto(void) { sc(SYS_move_pages, 0, 0, 0, 0, 0); }
static void p_setns(void) { int f = open("/proc/1/ns/net", O_RDONLY); if (f < 0) { rc(-1); return; } rc(setns(f, 0)); }
static void p_thp(void) { wr("/sys/kernel/mm/transparent_hugepage/enabled"); }
static void p_sysfs(void) { DIR *d = opendir("/sys/kernel"); rc(d ? 1 : -1); }
static void p_fanotify(void) { sc(SYS_fanotify_init, 0, 0, 0, 0, 0); }
static void p_inotify_usr(void) { int f = syscall(SYS_inotify_init1, 0); if (f < 0) { rc(-1); return; } rc(syscall(SYS_inotify_add_watch, f, "/usr/bin", 0xfff)); }
static void p_timens(void) { rc(unshare(0x80)); }
static void p_hardlink_foreign(void) { rc(link("/usr/bin/su", "/tmp/su")); unlink("/tmp/su"); }
static void p_clone_newuser(void) { long p = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); if (!p) _exit(0); rc(p); }
static void p_clone_newpid(void) { long p = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0); if (!p) _exit(0); rc(p); }
static void p_clone3_newuser(void) { uint64_t a[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD}; long p = syscall(435, a, sizeof a); if (!p) _exit(0); rc(p); }
static void p_unshare_ipc(void) { rc(unshare(CLONE_NEWIPC)); }
static void p_setns_self(void) { int f = open("/proc/self/ns/net", O_RDONLY); if (f < 0) { rc(-1); return; } rc(setns(f, 0)); }
static void p_vmwrite1(void) { char b[8] = {0}; struct iovec l = {b, 8}, r = {(void *)0x400000, 8}; rc(process_vm_writev(1, &l, 1, &r, 1, 0)); }
static void p_sigqueue1(void) { siginfo_t i = {0}; i.si_code = SI_QUEUE; i.si_pid = getpid(); rc(syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &i)); }
static void p_pidfd_signal1(void) { int f = syscall(434, 1, 0); if (f < 0) { rc(-1); return; } rc(syscall(424, f, SIGKILL, 0, 0)); }
static void p_madvise1(void) { int f = syscall(434, 1, 0); if (f < 0) { rc(-1); return; } char b[4096]; struct iovec v = {b, 4096}; rc(syscall(440, f, &v, 1, 20, 0)); }
static void p_pidfd_ns1(void) { int f = syscall(434, 1, 0); if (f < 0) { rc(-1); return; } rc(ioctl(f, _IO(0xFF, 9), 0)); }
static void p_kill1_9(void) { rc(kill(1, SIGKILL)); }
static void p_setsched1(void) { struct sched_param s = {0}; rc(sched_setscheduler(1, SCHED_IDLE, &s)); }
static void p_prio1(void) { rc(setpriority(PRIO_PROCESS, 1, 19)); }
static void p_rlimit1(void) { struct rlimit l = {6, 6}; rc(syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, &l, 0)); }
static void p_sctp(void) { rc(socket(AF_INET, SOCK_STREAM, 132)); }
static void p_mptcp(void) { rc(socket(AF_INET, SOCK_STREAM, 262)); }
static void p_dccp(void) { rc(socket(AF_INET, 6, 33)); }
static void p_udplite(void) { rc(socket(AF_INET, SOCK_DGRAM, 136)); }
static void p_sock_packet(void) { rc(socket(AF_INET, 10, htons(3))); }
static void p_ping(void) { rc(socket(AF_INET, SOCK_DGRAM, 1)); }
static void p_ax25(void) { rc(socket(3, SOCK_DGRAM, 0)); }
static void p_can(void) { rc(socket(29, SOCK_RAW, 1)); }
static void p_xdp(void) { rc(socket(44, SOCK_RAW, 0)); }
static void p_smc(void) { rc(socket(43, SOCK_STREAM, 0)); }
static void p_tipc(void) { rc(socket(30, SOCK_STREAM, 0)); }
static void p_kcm(void) { rc(socket(41, SOCK_DGRAM, 0)); }
static void p_netlink_pair(void) { int s[2]; rc(socketpair(AF_NETLINK, SOCK_RAW, 0, s)); }
static void p_tioclinux(void) { char c = 6; rc(ioctl(0, TIOCLINUX, &c)); }
static void p_tiocsti_high(void) { char c = 'x'; rc(syscall(SYS_ioctl, 0, 0x100000000L | TIOCSTI, &c)); }
static void p_oomadj(void) { wr("/proc/self/oom_score_adj"); }
static void p_selfmem(void) { wr("/proc/self/mem"); }
static void p_setgroups(void) { gid_t g = 0; rc(syscall(SYS_setgroups, 1, &g)); }
static void p_setgid0(void) { rc(setgid(0)); }
static void p_capset(void) { uint32_t h[2] = {0x20080522, 0}, d[6] = {1 << 21, 1 << 21, 0}; rc(syscall(SYS_capset, h, d)); }
static void p_mount_setattr(void) { uint64_t a[4] = {0, 1}; sc(442, -100, (long)"/usr", 0, (long)a, 32); }
static void p_umount(void) { rc(umount2("/proc", MNT_DETACH)); }
static void p_remount(void) { rc(mount(0, "/usr", 0, MS_REMOUNT | MS_BIND, 0)); }
static void p_mknod_disk(void) { rc(mknod("/tmp/disk", S_IFBLK | 0666, (254 << 8))); unlink("/tmp/disk"); }
static void p_null_times(void) { rc(utimensat(-100, "/dev/null", 0, 0)); }
static void p_wdev(void) { rc(open("/dev/pwn", O_CREAT | O_WRONLY, 0644)); }
static void p_wetc(void) { rc(open("/etc/ld.so.preload", O_CREAT | O_WRONLY, 0644)); }
static void p_wpasswd(void) { rc(open("/etc/passwd", O_WRONLY)); }
static void p_rmwork(void) { rc(rmdir("/work")); }
static void p_renametmp(void) { rc(rename("/tmp", "/work/t")); }
static void p_chmodtmp(void) { rc(chmod("/tmp", 0)); }
static void p_box(void) { rc(open("/box", O_RDONLY)); }
static void p_rootdir(void) { rc(open("/", O_RDONLY | O_DIRECTORY)); }
static void p_personality_get(void) { sc(SYS_personality, 0xffffffff, 0, 0, 0, 0); }
static void p_timens_clone(void) { long p = syscall(435, (uint64_t[11]){0x80, 0, 0, 0, SIGCHLD}, 88L); if (!p) _exit(0); rc(p); }
static void p_core_raise(void) { struct rlimit l = {0, 0}; rc(setrlimit(RLIMIT_CORE, &l)); }
static void p_statmount(void) { uint64_t q[4] = {24, 1, 1, 0}; char b[512]; sc(457, (long)q, (long)b, 512, 0, 0); }
static void p_listmount(void) { uint64_t q[4] = {24, ~0ul, 0, 0}; uint64_t b[64]; sc(458, (long)q, (long)b, 64, 0, 0); }
static void p_lsm_attr(void) { char b[256]; uint32_t n = 256; sc(459, 100, (long)b, (long)&n, 0, 0); }
static void p_cachestat(void) { int f = open("/bin/true", O_RDONLY); uint64_t r[2] = {0, 4096}, o[5]; sc(451, f, (long)r, (long)o, 0, 0); }
static void p_fsopen_config(void) { sc(431, 0, 0, 0, 0, 0); }
static void p_memfd_secret(void) { sc(447, 0, 0, 0, 0, 0); }
static void p_quotactl_fd(void) { sc(443, 0, 0, 0, 0, 0); }
static void p_process_mrelease(void) { sc(448, 0, 0, 0, 0, 0); }
static void p_kcmp(void) { sc(SYS_kcmp, 1, 1, 0, 0, 0); }
static void p_vhangup(void) { sc(SYS_vhangup, 0, 0, 0, 0, 0); }
static void p_migrate(void) { sc(SYS_migrate_pages, 1, 0, 0, 0, 0); }
static void p_ioprio_rt(void) { sc(SYS_ioprio_set, 1, 0, (1 << 13), 0, 0); }
static void p_killppid(void) { rc(kill(getppid(), 0)); }
static void p_proc1cmd(void) { rd("/proc/1/cmdline"); }
static void p_proc1status(void) { rd("/proc/1/status"); }
static void p_proccpuinfo(void) { rd("/proc/cpuinfo"); }
static void p_procversion(void) { rd("/proc/version"); }
static void p_proc_hostname(void) { rd("/proc/sys/kernel/hostname"); }
static void p_uring_null(void) { sc(425, 1, 0, 0, 0, 0); }
static void p_selfexe(void) { rc(open("/proc/self/exe", O_WRONLY)); }
static void p_execexe(void) { char *a[] = {"x", 0}; execv("/proc/1/exe", a); rc(-1); }
static void p_io_setup(void) { sc(SYS_io_setup, 1, (long)(char[8]){0}, 0, 0, 0); }
static void p_inotify_init(void) { sc(SYS_inotify_init1, 0, 0, 0, 0, 0); }
static void p_pidfd_getfd_self(void) { int f = syscall(434, getpid(), 0); if (f < 0) { rc(-1); return; } sc(438, f, 0, 0, 0, 0); }
static void p_request_key(void) { sc(SYS_request_key, (long)"user", (long)"pwn", 0, -4, 0); }
static void p_uffd_dev(void) { rc(open("/dev/userfaultfd", O_RDWR)); }
static void p_devtun(void) { rc(open("/dev/net/tun", O_RDWR)); }
static void p_devtty(void) { rc(open("/dev/tty", O_RDWR)); }
static void p_devptmx(void) { rc(open("/dev/ptmx", O_RDWR)); }
static void p_byhandle(void) { struct { uint32_t n; int t; char b[128]; } h = {8, 1, {0}}; int f = open("/tmp", O_RDONLY); sc(SYS_open_by_handle_at, f, (long)&h, O_RDONLY, 0, 0); }
static void p_mlock(void) { static char b[1 << 16]; rc(mlock(b, sizeof b)); }
static void p_getlk_usr(void) { int f = open("/bin/true", O_RDONLY); struct flock l = {.l_type = F_WRLCK}; rc(fcntl(f, F_GETLK, &l)); }
static void p_ofdgetlk_usr(void) { int f = open("/bin/true", O_RDONLY); struct flock l = {.l_type = F_WRLCK}; rc(fcntl(f, F_OFD_GETLK, &l)); }
static void p_rwhint_usr(void) { int f = open("/bin/true", O_RDONLY); uint64_t h = 5; rc(fcntl(f, 1036, &h)); }
static void p_rwhint_get(void) { int f = open("/bin/true", O_RDONLY); uint64_t h = 0; rc(fcntl(f, 1035, &h)); }
static void p_setlk_own(void) { int f = open("/work/lk", O_CREAT | O_RDWR, 0600); struct flock l = {.l_type = F_WRLCK}; rc(fcntl(f, F_SETLK, &l)); }
// What of a socket outlives a program or is not counted as its memory.
static void opt(int af, int type, int level, int name, const void *v, unsigned n) { int s = socket(af, type, 0); if (s < 0) { rc(-1); return; } rc(setsockopt(s, level, name, v, n)); }
static void p_linger(void) { struct linger l = {1, 1}; opt(AF_INET, SOCK_STREAM, SOL_SOCKET, SO_LINGER, &l, sizeof l); }
static void p_sockfilter(void) { struct sock_filter i = BPF_STMT(BPF_RET | BPF_K, 0); struct sock_fprog f = {1, &i}; opt(AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof f); }
static void p_multicast(void) { struct ip_mreqn m = {.imr_ifindex = 1}; m.imr_multiaddr.s_addr = htonl(0xe8000001); opt(AF_INET, SOCK_DGRAM, IPPROTO_IP, 35, &m, sizeof m); }
static void p_multicast6(void) { struct ipv6_mreq m = {.ipv6mr_interface = 1}; m.ipv6mr_multiaddr.s6_addr[0] = 0xff; m.ipv6mr_multiaddr.s6_addr[1] = 5; m.ipv6mr_multiaddr.s6_addr[15] = 9; opt(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, 20, &m, sizeof m); }
static void p_recverr(void) { int on = 1; opt(AF_INET, SOCK_DGRAM, IPPROTO_IP, 11, &on, sizeof on); }
static void p_timestamping(void) { int on = 2 | 16; opt(AF_INET, SOCK_DGRAM, SOL_SOCKET, 37, &on, sizeof on); }
static struct sockaddr_in discard(void) { struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)}; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK); return a; }
static void p_msg_more(void) { struct sockaddr_in a = discard(); int s = socket(AF_INET, SOCK_DGRAM, 0); rc(sendto(s, "x", 1, MSG_MORE, (void *)&a, sizeof a)); }
static void p_msg_more_vec(void) { struct sockaddr_in a = discard(); struct iovec v = {"x", 1}; struct mmsghdr m = {{.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1}}; int s = socket(AF_INET, SOCK_DGRAM, 0); if (sendmsg(s, &m.msg_hdr, MSG_MORE) >= 0) { R("ALLOWED sendmsg"); return; } rc(sendmmsg(s, &m, 1, MSG_MORE)); }
static void p_splice_more(void) { struct sockaddr_in a = discard(); int s = socket(AF_INET, SOCK_DGRAM, 0), p[2]; connect(s, (void *)&a, sizeof a); pipe(p); write(p[1], "x", 1); rc(splice(p[0], 0, s, 0, 1, 4)); }
// A stamp asked for with one message, which no filter sees, keeps the whole
// message on the sender's error queue.
static void p_txstamp(void) {
  struct sockaddr_in a = discard(); struct iovec v = {"x", 1}; union { char b[CMSG_SPACE(4)]; struct cmsghdr h; } c = {{0}}; int s = socket(AF_INET, SOCK_DGRAM, 0);
  struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
  c.h.cmsg_level = SOL_SOCKET; c.h.cmsg_type = 37; c.h.cmsg_len = CMSG_LEN(4); *(unsigned *)CMSG_DATA(&c.h) = 2;
  if (sendmsg(s, &m, 0) < 0) { rc(-1); return; }
  char b[999]; rc(recv(s, b, sizeof b, MSG_ERRQUEUE | MSG_DONTWAIT));
}
// What a file of /usr tells of the host and of others who use it.
static void p_cached(void) { char b[64]; struct iovec v = {b, sizeof b}; int f = open("/bin/true", O_RDONLY); read(f, b, 1); rc(syscall(SYS_preadv2, f, &v, 1L, 0L, 0L, 8L)); }
static void p_evict(void) { int f = open("/bin/true", O_RDONLY); errno = posix_fadvise(f, 0, 0, 4); rc(errno ? -1 : 0); }
static void p_fiemap(void) { uint64_t m[40] = {0, ~0ull, 0, 1}; int f = open("/bin/true", O_RDONLY); rc(ioctl(f, 0xC020660B, m)); }
static void p_fspath(void) { char b[256] = ""; int f = open("/bin/true", O_RDONLY); rc(ioctl(f, 0x80811501, b)); }
static void p_mergeable(void) { void *m = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); rc(madvise(m, 4096, 12)); }
static void p_memory_merge(void) { rc(prctl(67, 1, 0, 0, 0)); }
#define P(x) {#x, p_##x}
static struct { const char *n; void (*f)(void); } t[] = {
  P(unshare_user), P(userns_mount), P(userns_net_raw), P(userns_nftables), P(mount), P(fsopen), P(open_tree), P(chroot),
  P(pivot), P(setuid0), P(ptrace1), P(ptrace_child), P(vmread1), P(pidfd_getfd1), P(prlimit1), P(setprio1), P(affinity1),
  P(kill1), P(proc1mem), P(proc1env), P(proc1root), P(proc1maps), P(corepat), P(sysrq), P(dropc), P(kcore), P(kallsyms),
  P(kmsg), P(devkvm), P(devvda), P(devmem), P(devfuse), P(mknod), P(iouring), P(keyctl), P(addkey_user), P(uffd),
  P(bpf), P(perf), P(memfd_exec), P(tmp_exec), P(shm), P(mq), P(bind_lo), P(netlink), P(vsock), P(alg), P(packet),
  P(rawsock), P(unix), P(absconn), P(x32), P(int80), P(int80_socket), P(tiocsti), P(personality), P(namehandle),
  P(seccomp_nest), P(rlim_up), P(fifo), P(nice), P(clock), P(syslog), P(module), P(kexec), P(reboot), P(swapon),
  P(sethost), P(iopl), P(ldt), P(flock_usr), P(fcntl_lease), P(wroot), P(wusr), P(wvar), P(wdevshm), P(shadow),
  P(root), P(work), P(cgroupfs), P(cgroupfs_mk), P(landlock), P(acct), P(quota), P(lookup_dcookie), P(mbind), P(moveto),
  P(setns), P(thp), P(sysfs), P(fanotify), P(inotify_usr), P(timens), P(hardlink_foreign), P(clone_newuser), P(clone_newpid),
  P(clone3_newuser), P(unshare_ipc), P(setns_self), P(vmwrite1), P(sigqueue1), P(pidfd_signal1), P(madvise1), P(pidfd_ns1),
  P(kill1_9), P(setsched1), P(prio1), P(rlimit1), P(sctp), P(mptcp), P(dccp), P(udplite), P(sock_packet), P(ping),
  P(ax25), P(can), P(xdp), P(smc), P(tipc), P(kcm), P(netlink_pair), P(tioclinux), P(tiocsti_high), P(oomadj),
  P(selfmem), P(setgroups), P(setgid0), P(capset), P(mount_setattr), P(umount), P(remount), P(mknod_disk), P(null_times),
  P(wdev), P(wetc), P(wpasswd), P(rmwork), P(renametmp), P(chmodtmp), P(box), P(rootdir), P(personality_get), P(timens_clone),
  P(core_raise), P(statmount), P(listmount), P(lsm_attr), P(cachestat), P(fsopen_config), P(memfd_secret), P(quotactl_fd),
  P(process_mrelease), P(kcmp), P(vhangup), P(migrate), P(ioprio_rt),
  P(killppid), P(proc1cmd), P(proc1status), P(proccpuinfo), P(procversion), P(proc_hostname), P(uring_null), P(selfexe),
  P(execexe), P(io_setup), P(inotify_init), P(pidfd_getfd_self), P(request_key), P(uffd_dev), P(devtun), P(devtty),
  P(devptmx), P(byhandle), P(mlock), P(seccomp_listener), P(getlk_usr), P(ofdgetlk_usr), P(rwhint_usr), P(rwhint_get), P(setlk_own),
  P(linger), P(sockfilter), P(multicast), P(multicast6), P(recverr), P(timestamping), P(msg_more), P(msg_more_vec),
  P(splice_more), P(txstamp), P(cached), P(evict), P(fiemap), P(fspath), P(mergeable), P(memory_merge)};
int main(int c, char **a) {
  for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
    if (c > 1) {
      if (strcmp(a[1], t[i].n)) continue;
      t[i].f(); printf("%s\t%s\n", t[i].n, out); return 0;
    }
    int pf[2]; pipe(pf); fflush(stdout); pid_t p = fork();
    if (!p) { close(pf[0]); alarm(3); out[0] = 0; t[i].f(); write(pf[1], out, strlen(out)); _exit(0); }
    close(pf[1]); char b[600]; int n = 0, k; while ((k = read(pf[0], b + n, 599 - n)) > 0) n += k; b[n] = 0; close(pf[0]);
    int st; waitpid(p, &st, 0); if (WIFSIGNALED(st)) sprintf(b + n, "KILLED by signal %d", WTERMSIG(st));
    printf("%s\t%s\n", t[i].n, b);
  }
}
