// Burns a bounded amount of CPU time, spread so that no single process or
// thread reaches a limit that all of them together pass:
// burn <how> <number> <milliseconds each>. Says "done" at the end.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double each;
static double used(clockid_t c) { struct timespec t; clock_gettime(c, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void *burn(void *p) { double from = used(CLOCK_THREAD_CPUTIME_ID); while (used(CLOCK_THREAD_CPUTIME_ID) - from < each) ; return p; }
static void threads(int n) {
  pthread_t t[64];
  for (int i = 0; i < n; i++) pthread_create(&t[i], 0, burn, 0);
  for (int i = 0; i < n; i++) pthread_join(t[i], 0);
}
static void children(int n) { for (int i = 0; i < n; i++) if (!fork()) { burn(0); _exit(0); } while (wait(0) > 0) ; }
// The parents leave at once; a pipe says when the last orphan has ended.
static void orphans(int n) {
  int end[2]; pipe(end); char c;
  for (int i = 0; i < n; i++) if (!fork()) { if (!fork()) { setsid(); burn(0); } _exit(0); }
  close(end[1]); while (wait(0) > 0) ; read(end[0], &c, 1);
}
static void churn(int n) { for (int i = 0; i < n; i++) { if (!fork()) { burn(0); _exit(0); } wait(0); } }
// The parent has nothing to wait for and ends well before they do.
static void leave(int n) { for (int i = 0; i < n; i++) if (!fork()) { setsid(); burn(0); _exit(0); } }

static struct { const char *name; void (*f)(int); } table[] = {
  {"threads", threads}, {"children", children}, {"orphans", orphans}, {"churn", churn}, {"leave", leave}};
int main(int c, char **a) {
  if (c != 4) return 98;
  each = atoi(a[3]) / 1000.0;
  for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
    if (!strcmp(a[1], table[i].name)) { table[i].f(atoi(a[2])); puts("done"); return 0; }
  return 99;
}
