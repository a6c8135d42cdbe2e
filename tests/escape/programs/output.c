// Attacks on whoever reads what a program writes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char page[1 << 20];
// Plain endless writing.
static int flood(int fd) { memset(page, 'x', sizeof page); for (;;) if (write(fd, page, 65536) < 0) return 1; }
// Faster than any reader: the pipe grown to a megabyte and refilled without
// copying by several processes, so that it never looks empty. Ends by itself.
static int firehose(int fd) {
  fcntl(fd, F_SETPIPE_SZ, 1 << 20);
  for (int i = 0; i < 4; i++) if (!fork()) {
    alarm(6); struct iovec v = {page, sizeof page};
    for (;;) vmsplice(fd, &v, 1, 0);
  }
  alarm(7); for (;;) wait(0);
}
// Does so and is gone: what it wrote is still to be read.
static int burst(int fd) { fcntl(fd, F_SETPIPE_SZ, 1 << 20); fcntl(fd, F_SETFL, O_NONBLOCK); memset(page, 'y', sizeof page); return write(fd, page, sizeof page) < 65536; }
static int closed(int fd) { close(1); close(2); return 5; }
static int bytes(int fd) { for (int i = 0; i < 256; i++) page[i] = i; return write(1, page, 256) != 256; }
// Reads its own output back through /proc and takes it away.
static int steal(int fd) {
  int r = open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
  puts("said"); fflush(stdout);
  return r >= 0 && read(r, page, 5) == 5 ? 4 : 0;
}
static int exact(int n) { memset(page, 'z', sizeof page); for (int d = 0; d < n;) d += write(1, page, n - d > 65536 ? 65536 : n - d); return 0; }

static struct { const char *name; int (*f)(int); } table[] = {
  {"flood", flood}, {"firehose", firehose}, {"burst", burst}, {"closed", closed}, {"bytes", bytes}, {"steal", steal}, {"exact", exact}};
int main(int c, char **a) {
  signal(SIGPIPE, SIG_IGN);
  for (unsigned i = 0; c > 1 && i < sizeof table / sizeof *table; i++)
    if (!strcmp(a[1], table[i].name)) return table[i].f(c > 2 ? atoi(a[2]) : 0);
  return 99;
}
