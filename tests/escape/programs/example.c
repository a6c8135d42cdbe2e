// One example of a profile, tried for real. Prints the errno, 0 for success.
//   example call NUMBER A0 A1 A2 A3 A4 A5 | read PATH | write PATH
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
// A call may return twice, the second time perhaps on our own stack: whoever
// sees 0 from a call that forks leaves at once, touching nothing.
static long call(long nr, long a[6]) {
#ifdef __x86_64__
  long forks = nr == SYS_clone || nr == SYS_fork || nr == SYS_vfork, result;
  register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
  register long keep __asm__("r12") = forks;
  __asm__ volatile("syscall; test %%rax, %%rax; jnz 1f; test %%r12, %%r12; jz 1f; xor %%edi, %%edi; mov $60, %%eax; syscall; 1:"
                   : "=a"(result) : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9), "r"(keep) : "rcx", "r11", "memory");
  return result;
#else
  long result = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result < 0 ? -errno : result;
#endif
}
static void parents(char *path) {
  for (char *p = path + 1; *p; p++)
    if (*p == '/') { *p = 0; mkdir(path, 0755); *p = '/'; }
}
int main(int c, char **v) {
  long result = -1, a[6] = {0};
  if (c < 3) return 99;
  if (!strcmp(v[1], "call")) {
    for (int i = 3; i < c && i < 9; i++) a[i - 3] = (long)strtoull(v[i], 0, 0);
    long r = call(atol(v[2]), a);
    result = r < 0 && r > -4096 ? -r : 0;
  } else if (!strcmp(v[1], "read")) {
    result = open(v[2], O_RDONLY) < 0 ? errno : 0;
  } else {
    parents(v[2]);
    result = open(v[2], O_WRONLY | O_CREAT, 0644) < 0 ? errno : 0;
  }
  printf("%ld\n", result);
  return 0;
}
