// Leaves something in a slot (`leave <what>`) or looks for it (`find <what>`).
// Says its slot, then "left", "found" or "nothing" and why.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define KEY 0x5EC2E7
static int say(int good, const char *yes) { printf("%s %s\n", good ? yes : "nothing", good ? "" : strerrorname_np(errno)); return 0; }
static int leaves(int good) { return say(good, "left"); }
static int finds(int good) { return say(good, "found"); }

static int shm(int leave) { return say(shmget(KEY, 4096, leave ? IPC_CREAT | 0666 : 0) >= 0, leave ? "left" : "found"); }
static int sem(int leave) { return say(semget(KEY, 1, leave ? IPC_CREAT | 0666 : 0) >= 0, leave ? "left" : "found"); }
static int msg(int leave) { return say(msgget(KEY, leave ? IPC_CREAT | 0666 : 0) >= 0, leave ? "left" : "found"); }
static int mq(int leave) { return say(mq_open("/secret", leave ? O_CREAT | O_RDWR : O_RDWR, 0666, 0) >= 0, leave ? "left" : "found"); }
static int key(int leave) {
  if (leave) return leaves(syscall(SYS_add_key, "user", "secret", "x", 1, -4) >= 0);
  return finds(syscall(SYS_keyctl, 10 /* SEARCH */, -4, "user", "secret", 0) >= 0);
}
static int at(const char *path, int leave) { return say(open(path, leave ? O_CREAT | O_WRONLY : O_RDONLY, 0666) >= 0, leave ? "left" : "found"); }
static int tmp(int leave) { return at("/tmp/secret", leave); }
static int work(int leave) { return at("/work/secret", leave); }
static int devshm(int leave) { return at("/dev/shm/secret", leave); }
static int xattr(int leave) {
  char b[8];
  mkdir("/tmp/dir", 0777);
  if (leave) return leaves(setxattr("/tmp/dir", "user.secret", "x", 1, 0) == 0 || errno == EOPNOTSUPP);
  return finds(getxattr("/tmp/dir", "user.secret", b, sizeof b) > 0);
}
// On the mount's own root, which outlives files in it.
static int rootxattr(int leave) {
  const char *dirs[] = {"/tmp", "/work", "/dev/shm", "/"}; char b[8]; int any = 0;
  for (int i = 0; i < 4; i++) any |= leave ? !setxattr(dirs[i], "user.secret", "x", 1, 0) : getxattr(dirs[i], "user.secret", b, 8) > 0;
  if (leave) { leaves(1); return 0; }
  return finds(any);
}
static int mode(int leave) {
  struct stat s; const char *dirs[] = {"/tmp", "/work", "/dev/shm"}; int any = 0;
  for (int i = 0; i < 3; i++) { if (leave) chmod(dirs[i], 0); else { stat(dirs[i], &s); any |= (s.st_mode & 07777) != 01777; } }
  return leave ? leaves(1) : finds(any);
}
// Standard input is sealed memory that many runs may share.
static int input(int leave) {
  char b[8] = ""; int f = open("/proc/self/fd/0", O_RDWR);
  if (leave) { fsetxattr(0, "user.secret", "x", 1, 0); pwrite(0, "!", 1, 0); if (f >= 0) pwrite(f, "!", 1, 0); ftruncate(0, 0); return leaves(1); }
  return finds(fgetxattr(0, "user.secret", b, 8) > 0 || (pread(0, b, 1, 0) == 1 && b[0] == '!'));
}
static int inputtime(int leave) {
  if (leave) { futimens(0, 0); fchmod(0, 0); return leaves(1); }
  // Its time of change can be read by everybody who has it.
  return finds(futimens(0, 0) == 0);
}
// What a clean-up that walks the tree would choke on.
static int deep(int leave) {
  struct stat s;
  if (!leave) return finds(stat("/tmp/deep/d/d/d/d", &s) == 0);
  if (mkdir("/tmp/deep", 0777) || chdir("/tmp/deep")) return leaves(0);
  for (int i = 0; i < 3000; i++) if (mkdir("d", 0777) || chdir("d")) return leaves(0);
  return leaves(1);
}
static int locked(int leave) {
  struct stat s;
  if (!leave) return finds(stat("/tmp/locked", &s) == 0);
  int f = -1; mkdir("/tmp/locked", 0777); f = open("/tmp/locked/f", O_CREAT | O_WRONLY, 0); chmod("/tmp/locked", 0);
  return leaves(f >= 0);
}
// A link in the place where the next run's own file would be written.
static int bait(int leave) {
  char b[99] = "";
  if (leave) return leaves(symlink("/tmp/victim", "/work/answer") == 0);
  return finds(readlink("/work/answer", b, 98) > 0);
}
static void hold(int s) {
  int r[2]; pipe(r);
  if (!fork()) { setsid(); for (int i = 1; i < 65; i++) signal(i, SIG_IGN); write(r[1], "x", 1); for (;;) { int c = accept(s, 0, 0); if (c < 0) pause(); } }
  char c; read(r[0], &c, 1);
}
static int abstract(int leave) {
  struct sockaddr_un a = {.sun_family = AF_UNIX}; strcpy(a.sun_path + 1, "assize-secret");
  socklen_t l = offsetof(struct sockaddr_un, sun_path) + 14; int s = socket(AF_UNIX, SOCK_STREAM, 0);
  if (!leave) return finds(connect(s, (void *)&a, l) == 0);
  if (bind(s, (void *)&a, l) || listen(s, 5)) return leaves(0);
  hold(s); return leaves(1);
}
static int tcp(int leave) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7777)}; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int s = socket(AF_INET, SOCK_STREAM, 0), one = 1; setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (!leave) return finds(connect(s, (void *)&a, sizeof a) == 0);
  if (bind(s, (void *)&a, sizeof a) || listen(s, 5)) return leaves(0);
  hold(s); return leaves(1);
}
// A connection closed by the listening side first, whose port the kernel then
// keeps for a minute.
static int timewait(int leave) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7778)}; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), p; char b;
  int taken = bind(s, (void *)&a, sizeof a);
  if (!leave) return finds(taken && errno == EADDRINUSE);
  if (taken || listen(s, 5) || connect(c, (void *)&a, sizeof a) || (p = accept(s, 0, 0)) < 0) return leaves(0);
  close(p); read(c, &b, 1); close(c); return leaves(1);
}
// A connection that this side closed first holds its port for a minute.
static int port(int leave) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7731)}; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), one = 1; char b;
  if (leave) setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  int bound = bind(s, (void *)&a, sizeof a);
  if (!leave) return finds(bound && errno == EADDRINUSE);
  if (bound || listen(s, 5) || connect(c, (void *)&a, sizeof a)) return leaves(0);
  close(accept(s, 0, 0)); read(c, &b, 1); close(c);
  return leaves(1);
}
// What crossed the loopback is counted where every process may read it.
static int packets(int leave) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7732)}; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (leave) { for (int i = 0; i < 999; i++) sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (void *)&a, sizeof a); return leaves(1); }
  char line[999]; long seen = 0; FILE *f = fopen("/proc/self/net/dev", "r");
  while (f && fgets(line, sizeof line, f)) sscanf(line, " lo: %*d %ld", &seen);
  return finds(seen > 0);
}
// Process ids go on from the last one.
static int pids(int leave) {
  for (int i = 0; leave && i < 300; i++) { pid_t p = fork(); if (!p) _exit(0); waitpid(p, 0, 0); }
  return leave ? leaves(1) : finds(getpid() > 300);
}
static struct { const char *name; int (*f)(int); } table[] = {
  {"shm", shm}, {"sem", sem}, {"msg", msg}, {"mq", mq}, {"key", key}, {"tmp", tmp}, {"work", work}, {"devshm", devshm},
  {"xattr", xattr}, {"rootxattr", rootxattr}, {"mode", mode}, {"input", input}, {"inputtime", inputtime}, {"abstract", abstract}, {"tcp", tcp}, {"timewait", timewait}, {"port", port}, {"packets", packets}, {"pids", pids},
  {"deep", deep}, {"locked", locked}, {"bait", bait}};
int main(int c, char **a) {
  // A slot's user namespace lives as long as its cell.
  char slot[99] = "";
  readlink("/proc/self/ns/user", slot, 98);
  printf("slot=%s\n", slot);
  for (unsigned i = 0; c > 2 && i < sizeof table / sizeof *table; i++)
    if (!strcmp(a[2], table[i].name)) return table[i].f(!strcmp(a[1], "leave"));
  return 99;
}
