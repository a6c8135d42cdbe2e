// Attacks by using memory, in every way that has its own account.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char chunk[1 << 20];
static int say(const char *what) { printf("%s %s\n", what, strerrorname_np(errno)); return 3; }
static int touch(char *p, size_t n) { for (size_t i = 0; i < n; i += 4096) p[i] = 1; return 0; }
static int anon(size_t n, const char *arg) {
  char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return say("mmap");
  touch(p, n); puts("got it"); return 0;
}
static int into(int fd, size_t n) {
  if (fd < 0) return say("open");
  memset(chunk, 1, sizeof chunk);
  for (size_t done = 0; done < n; done += sizeof chunk) if (write(fd, chunk, sizeof chunk) != sizeof chunk) return say("write");
  puts("got it"); return 0;
}
static int file(size_t n, const char *path) { return into(open(path, O_CREAT | O_WRONLY, 0600), n); }
static int memfd(size_t n, const char *arg) { return into(memfd_create("m", 0), n); }
static int sysv(size_t n, const char *arg) {
  int id = shmget(IPC_PRIVATE, n, IPC_CREAT | 0600);
  if (id < 0) return say("shmget");
  char *p = shmat(id, 0, 0);
  if (p == (void *)-1) return say("shmat");
  touch(p, n); puts("got it"); return 0;
}
// The child is killed for memory; the parent ends as if nothing had been.
static int child(size_t n, const char *arg) {
  if (!fork()) _exit(anon(n, arg));
  int st; wait(&st); printf("child %d\n", WIFSIGNALED(st) ? WTERMSIG(st) : 0); return 0;
}
static int deep(size_t n) { volatile char here[4096]; here[0] = 1; return n > 4096 ? deep(n - 4096) + here[0] : 0; }
static int stack(size_t n, const char *arg) { deep(n); puts("got it"); return 0; }
static int ok(size_t n, const char *arg) { puts("ok"); return 0; }
// Bytes that sit in sockets unread: sent, acknowledged, in kernel memory.
static int sockets(size_t n, const char *kind) {
  int tcp = !strcmp(kind, "tcp"), server = -1;
  struct sockaddr_in a = {.sin_family = AF_INET}; socklen_t l = sizeof a;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (tcp) {
    server = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (void *)&a, l) || listen(server, 400) || getsockname(server, (void *)&a, &l)) return say("listen");
  }
  size_t queued = 0;
  for (int i = 0; i < 400 && queued < n; i++) {
    int pair[2], big = 8 << 20;
    if (tcp) {
      pair[0] = socket(AF_INET, SOCK_STREAM, 0);
      if (connect(pair[0], (void *)&a, l)) break;
      pair[1] = accept(server, 0, 0);
    } else if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) break;
    setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    int quiet = 0;
    while (queued < n && quiet < 3) {
      ssize_t k = send(pair[0], chunk, sizeof chunk, MSG_DONTWAIT);
      if (k > 0) { queued += k; quiet = 0; } else { quiet++; usleep(1000); }
    }
  }
  printf("queued %zu\n", queued); return 0;
}
static int pipes(size_t n, const char *arg) {
  size_t queued = 0;
  for (int i = 0; i < 500 && queued < n; i++) {
    int p[2]; if (pipe2(p, O_NONBLOCK)) break;
    fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
    ssize_t k; while ((k = write(p[1], chunk, sizeof chunk)) > 0) queued += k;
  }
  printf("queued %zu\n", queued); return 0;
}
// Reads one byte in every two megabytes: all show the one page of zeros, which
// is on nobody's account, but each needs a page of the tables.
static int tables(size_t n, const char *arg) {
  size_t step = 2 << 20, all = n / 4096 * step;
  volatile char *p = mmap(0, all, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); char sum = 0;
  if (p == MAP_FAILED) return say("mmap");
  madvise((void *)p, all, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < all; i += step) sum += p[i];
  puts(sum ? "odd" : "got it"); return 0;
}
static int huge(size_t n, const char *arg) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE;
  void *p = mmap(0, 2 << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
  printf("mmap %s\n", p == MAP_FAILED ? strerrorname_np(errno) : "allowed");
  printf("memfd %s\n", memfd_create("m", MFD_HUGETLB) < 0 ? strerrorname_np(errno) : "allowed");
  printf("shmget %s\n", shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | SHM_HUGETLB | 0600) < 0 ? strerrorname_np(errno) : "allowed");
  return 0;
}
// Has the kernel read files anew, so that their pages are on our account.
static size_t wanted;
static void cache(const char *dir) {
  DIR *d = opendir(dir); struct dirent *e; char path[4096]; struct stat s;
  while (d && wanted && (e = readdir(d))) {
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (lstat(path, &s)) continue;
    if (S_ISDIR(s.st_mode)) { cache(path); continue; }
    if (!S_ISREG(s.st_mode) || s.st_size < 1 << 20) continue;
    int f = open(path, O_RDONLY); ssize_t k;
    posix_fadvise(f, 0, 0, POSIX_FADV_DONTNEED);
    while (wanted && (k = read(f, chunk, sizeof chunk)) > 0) wanted -= (size_t)k < wanted ? k : wanted;
    close(f);
  }
  if (d) closedir(d);
}
static void slot(void) {
  char slot[99] = "";
  readlink("/proc/self/ns/user", slot, 98);
  printf("slot=%s\n", slot); fflush(stdout);
}
static int page_cache(size_t n, const char *dir) { slot(); wanted = n; cache(dir); printf("cached %zu\n", n - wanted); return 0; }
static int anon_slot(size_t n, const char *arg) { slot(); return anon(n, arg); }

// Bytes in connections that nobody accepts, n in all.
static int backlog(size_t n, const char *arg) {
  (void)arg;
  struct sockaddr_in a = {.sin_family = AF_INET}; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK); socklen_t l = sizeof a;
  int s = socket(AF_INET, SOCK_STREAM, 0); size_t queued = 0;
  if (bind(s, (void *)&a, l) || listen(s, 4096) || getsockname(s, (void *)&a, &l)) return 98;
  while (queued < n) {
    int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); ssize_t k; size_t before = queued;
    connect(c, (void *)&a, l);
    struct pollfd p = {c, POLLOUT, 0}; poll(&p, 1, 100);
    while (queued < n && (k = write(c, chunk, sizeof chunk)) > 0) queued += k;
    if (c < 0 || queued == before) break;
  }
  // Long enough to be looked at, were anybody looking.
  usleep(300000);
  printf("queued %zu\n", queued);
  return 0;
}
// Record locks, n >> 20 of them, none next to another; how many were had.
static int locks(size_t n, const char *arg) {
  (void)arg;
  n >>= 20; size_t had = 0; int f = -1;
  for (size_t i = 0; i < n; i++) {
    if (i % 1000 == 0) { char name[99]; snprintf(name, 99, "/tmp/%zu", i); f = open(name, O_CREAT | O_RDWR, 0600); }
    struct flock l = {.l_type = F_WRLCK, .l_start = 2 * (i % 1000), .l_len = 1};
    if (fcntl(f, F_SETLK, &l)) break;
    had++;
  }
  printf("locked %zu of %zu: %s\n", had, n, had < n ? strerrorname_np(errno) : "all");
  return 0;
}

static struct { const char *name; int (*f)(size_t, const char *); } table[] = {
  {"backlog", backlog}, {"locks", locks},
  {"anon", anon}, {"file", file}, {"memfd", memfd}, {"sysv", sysv}, {"child", child}, {"stack", stack}, {"ok", ok},
  {"sockets", sockets}, {"pipes", pipes}, {"huge", huge}, {"tables", tables}, {"page-cache", page_cache}, {"anon-slot", anon_slot}};
int main(int c, char **a) {
  for (unsigned i = 0; c > 1 && i < sizeof table / sizeof *table; i++)
    if (!strcmp(a[1], table[i].name)) return table[i].f((c > 2 ? atoll(a[2]) : 0) << 20, c > 3 ? a[3] : "");
  return 99;
}
