// Attacks by making processes: bombs, daemons, zombies, siblings, signals.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void deaf(void) {
  for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
  sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0);
}
static void *spin(void *p) { for (;;) __asm__ volatile(""); return p; }
static double cpu(void) { struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return t.tv_sec + t.tv_nsec / 1e9; }

// Every process forks for ever, and no failure stops it.
static int bomb(int n) { deaf(); for (;;) fork(); }
// A grandchild in its own session that ignores everything and keeps stdout.
static int daemonize(int n) {
  int ready[2]; pipe(ready);
  if (!fork()) {
    setsid();
    if (!fork()) { setsid(); deaf(); write(ready[1], "x", 1); close(ready[1]); for (;;) pause(); }
    _exit(0);
  }
  char c; read(ready[0], &c, 1);
  puts("parent leaves"); return 0;
}
// Children nobody waits for, until the kernel refuses.
static int zombies(int n) {
  for (int i = 0; i < n; i++) {
    pid_t p = fork();
    if (p < 0) { printf("%d %s\n", i, strerrorname_np(errno)); return 0; }
    if (!p) _exit(0);
  }
  printf("%d all\n", n); return 0;
}
static void *idle(void *p) { for (;;) pause(); return p; }
static int threads(int n) {
  for (int i = 0; i < n; i++) {
    pthread_t t; int e = pthread_create(&t, 0, idle, 0);
    if (e) { printf("%d %s\n", i, strerrorname_np(e)); return 0; }
  }
  printf("%d all\n", n); return 0;
}
// A child whose parent is the cell's init, as our own would be.
static int sibling(int n) {
  long p = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (!p) { deaf(); printf("ppid %d\n", getppid()); fflush(stdout); for (;;) pause(); }
  usleep(50000); return 7;
}
static int stop(int n) { kill(getpid(), SIGSTOP); puts("continued"); return 0; }
static int sleeper(int n) { deaf(); for (;;) pause(); }
static int closing(int n) { for (int i = 0; i < 1024; i++) close(i); for (;;) pause(); }
static int vforked(int n) { if (!vfork()) for (;;) pause(); return 0; }
static int one(int n) { spin(0); }
static int stubborn(int n) { deaf(); spin(0); }
static int spin_threads(int n) { for (int i = 1; i < n; i++) { pthread_t t; pthread_create(&t, 0, spin, 0); } spin(0); }
static int spin_children(int n) { for (int i = 0; i < n; i++) if (!fork()) spin(0); for (;;) pause(); }
static int spin_orphans(int n) {
  for (int i = 0; i < n; i++) if (!fork()) { if (!fork()) { setsid(); spin(0); } _exit(0); }
  for (;;) pause();
}
// Short-lived children: each is gone before anybody looks.
static int churn(int n) { for (;;) { if (!fork()) { while (cpu() < 0.01) ; _exit(0); } wait(0); } }
// Two children reach the limit together and are gone before the parent ends well.
static int hidden(int ms) {
  for (int i = 0; i < 2; i++) if (!fork()) { while (cpu() < ms / 1000.0) ; _exit(0); }
  wait(0); wait(0); puts("all is well"); return 0;
}
static int segv(int n) { *(volatile int *)8 = 1; return 0; }
static int abrt(int n) { abort(); }
static int fpe(int n) { volatile int a = 1, z = 0; return a / z; }
static int ill(int n) { __builtin_trap(); }
static int status(int n) { return n; }
static int raise_it(int n) { signal(n, SIG_DFL); raise(n); return 0; }
// An orphan that the init has to reap, ended by a signal few have heard of.
static int orphan_rt(int n) {
  int gone[2]; pipe(gone);
  if (!fork()) { if (!fork()) { signal(SIGRTMAX, SIG_DFL); raise(SIGRTMAX); } _exit(0); }
  close(gone[1]); wait(0); char c; read(gone[0], &c, 1);
  usleep(20000); return 6;
}
// Chains of processes: each makes the next and is gone, an orphan every time.
static int chains(int n) {
  for (int i = 0; i < n; i++) if (!fork()) for (;;) { pid_t p; while ((p = fork()) < 0) ; if (p) _exit(0); }
  for (;;) pause();
}
// Something touches a page of a file that is no longer there.
static int bus(int n) {
  int f = memfd_create("b", 0); ftruncate(f, 4096);
  volatile char *p = mmap(0, 4096, PROT_READ, MAP_SHARED, f, 0); ftruncate(f, 0);
  return *p;
}
static int trap(int n) { __asm__ volatile("int3"); return 0; }
static int nap(int ms) { usleep(ms * 1000); puts("rested"); return 0; }
// Whether deafness is real: signals that ask are not heard, the one that does not ask is.
static int deaf_child(int n) {
  pid_t p = fork();
  if (!p) { deaf(); for (;;) pause(); }
  usleep(50000); kill(p, SIGTERM); kill(p, SIGXCPU); kill(p, SIGINT); usleep(50000);
  printf("asked %s\n", waitpid(p, 0, WNOHANG) ? "gone" : "alive");
  kill(p, SIGKILL); int st; waitpid(p, &st, 0); printf("told %d\n", WTERMSIG(st)); return 0;
}
// A child that sits in a stop of ptrace when the limit comes.
static int traced(int n) {
  int ready[2]; pipe(ready);
  if (!fork()) { if (ptrace(PTRACE_TRACEME, 0, 0, 0)) write(ready[1], "x", 1); else write(ready[1], "t", 1); raise(SIGSTOP); for (;;) pause(); }
  char c; read(ready[0], &c, 1); puts(c == 't' ? "traced" : "refused"); fflush(stdout); for (;;) pause();
}
// As many POSIX timers as the limit on pending signals lets it have.
static int timers(int n) {
  for (int i = 0; i < n; i++) {
    timer_t t; struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    if (timer_create(CLOCK_MONOTONIC, &e, &t)) { printf("%d %s\n", i, strerrorname_np(errno)); return 0; }
  }
  printf("%d all\n", n); return 0;
}
// Arguments as long as the kernel would take them, or longer.
static int argv(int kib) {
  char *a[99] = {"/work/processes", "exit", "8"}; int i = 3;
  for (; i < 98 && kib > 0; i++, kib -= 120) { a[i] = malloc(120 << 10); memset(a[i], 'x', 120 << 10); a[i][(120 << 10) - 1] = 0; }
  a[i] = 0; execv(a[0], a); puts(strerrorname_np(errno)); return 0;
}
// A crash, and then whether a dump lies in the working directory.
static int dump(int n) {
  struct rlimit l; getrlimit(RLIMIT_CORE, &l); l.rlim_cur = l.rlim_max; setrlimit(RLIMIT_CORE, &l);
  if (!fork()) abort();
  int st; wait(&st); printf("%s\n", WCOREDUMP(st) ? "dumped" : "nothing"); return 0;
}
static int kill_all(int n) { int r = kill(-1, SIGKILL); printf("%s\n", r ? strerrorname_np(errno) : "sent"); return 0; }

#define P(x, f) {#x, f}
static struct { const char *name; int (*f)(int); } table[] = {
  P(bomb, bomb), P(daemon, daemonize), P(zombies, zombies), P(threads, threads), P(sibling, sibling), P(stop, stop),
  P(sleep, sleeper), P(close, closing), P(vfork, vforked), P(spin, one), P(stubborn, stubborn),
  P(spin-threads, spin_threads), P(spin-children, spin_children), P(spin-orphans, spin_orphans), P(churn, churn), P(hidden, hidden),
  P(segv, segv), P(abrt, abrt), P(fpe, fpe), P(ill, ill), P(exit, status), P(raise, raise_it), P(kill-all, kill_all), P(orphan-rt, orphan_rt), P(chains, chains),
  P(bus, bus), P(trap, trap), P(nap, nap), P(deaf, deaf_child), P(traced, traced), P(timers, timers), P(argv, argv), P(dump, dump)};
int main(int c, char **a) {
  for (unsigned i = 0; c > 1 && i < sizeof table / sizeof *table; i++)
    if (!strcmp(a[1], table[i].name)) return table[i].f(c > 2 ? atoi(a[2]) : 0);
  return 99;
}
