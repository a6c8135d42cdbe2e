/* What the parts of the JavaScript guest know of one another. */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

/* engine.c: QuickJS itself, and what its public interface does not tell. */
void engine_freeze(JSRuntime *rt);
void engine_seed(JSContext *ctx, uint64_t seed);
int engine_is_namespace(JSValueConst value);
int engine_utf8_is_valid(const char *bytes, size_t length);
JSValue engine_iterator_entries(JSContext *ctx, JSValueConst iterator);

/* host.c: the functions that the library in lib/ is made of. */
JSValue host_object(JSContext *ctx);
void host_flush(void);
/* A whole file with a NUL behind it; NULL with errno set. */
char *host_read_file(const char *path, size_t *length);

/* modules.c: `import`, whose rules are in lib/module.js. */
void modules_start(JSContext *ctx, JSValueConst host);

#endif
