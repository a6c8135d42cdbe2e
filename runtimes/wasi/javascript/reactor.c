/* QuickJS-ng as a WASI reactor that runs programs written for Node.
 *
 * Two exports. `wizer.initialize` runs once, when the guest is built: it starts
 * the engine and the library in lib/, and is then frozen with all its memory.
 * `run` is called once in each copy of that memory and behaves as
 * `node FILE ARGS...` or `node -e CODE`; what it does is in lib/main.js.
 *
 * QuickJS's own modules `std` and `os` are not linked: what a program can do is
 * what the library offers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wasi/api.h>

#include "guest.h"

/* wasi-libc: forget the preopened directories; the next use looks again. */
void __wasilibc_reset_preopens(void);

/* The stack in linear memory is this large (guest.sh) and a check fails while
 * there is still room for C functions that do not check. The machine's stack,
 * which is what really runs out, is never deeper than a few times this:
 * executor/wasm/tests/javascript.rs goes to the end of both in every way known. */
#define STACK (STACK_BYTES - (64 << 10))

/* Objects in reference cycles are first looked for when the heap has grown to
 * this, in bytes. */
#define FIRST_COLLECTION (8 << 20)

static JSRuntime *rt;
static JSContext *ctx;
static JSValue main_function;

static void die(const char *what) {
    fprintf(stderr, "node: %s\n", what);
    _Exit(70);
}

/* Of the library itself, while the guest is built. */
static void die_of_exception(void) {
    JSValue error = JS_GetException(ctx);
    const char *text = JS_ToCString(ctx, error);
    JSValue stack = JS_GetPropertyStr(ctx, error, "stack");
    const char *trace = JS_ToCString(ctx, stack);
    fprintf(stderr, "%s\n%s\n", text ? text : "?", trace ? trace : "");
    _Exit(71);
}

static void start(void) {
    rt = JS_NewRuntime();
    ctx = rt ? JS_NewContext(rt) : NULL;
    if (!ctx) die("no memory");
    JS_SetMaxStackSize(rt, STACK);
    JSValue host = host_object(ctx);
    modules_start(ctx, host);
    size_t length;
    char *source = host_read_file("/build/lib/boot.js", &length);
    if (!source) die("no /build/lib/boot.js");
    JSValue boot = JS_Eval(ctx, source, length, "node:internal/boot", JS_EVAL_TYPE_GLOBAL);
    if (JS_IsException(boot)) die_of_exception();
    main_function = JS_Call(ctx, boot, JS_UNDEFINED, 1, (JSValueConst *)&host);
    if (JS_IsException(main_function)) die_of_exception();
    free(source);
    JS_FreeValue(ctx, boot);
    JS_FreeValue(ctx, host);
}

/* Texts that end in NUL, one behind the other, as WASI hands them over. */
static JSValue texts(__wasi_errno_t (*sizes)(__wasi_size_t *, __wasi_size_t *),
                     __wasi_errno_t (*get)(uint8_t **, uint8_t *)) {
    __wasi_size_t count = 0, size = 0;
    JSValue list = JS_NewArray(ctx);
    if (sizes(&count, &size) != 0) return list;
    uint8_t **at = malloc((count + 1) * sizeof *at), *text = malloc(size + 1);
    if (at && text && get(at, text) == 0) {
        for (__wasi_size_t i = 0; i < count; i++)
            JS_SetPropertyUint32(ctx, list, i, JS_NewString(ctx, (const char *)at[i]));
    }
    free(at);
    free(text);
    return list;
}

__attribute__((export_name("run"))) int run(void) {
    if (!ctx) start();
    JS_UpdateStackTop(rt);
    uint64_t seed;
    if (getentropy(&seed, sizeof seed) != 0) die("no random numbers");
    engine_seed(ctx, seed);
    /* The first directory that is shown, if any is, is /work. */
    __wasi_prestat_t shown;
    JSValue arguments[] = {
        texts(__wasi_args_sizes_get, __wasi_args_get),
        texts(__wasi_environ_sizes_get, __wasi_environ_get),
        JS_NewBool(ctx, __wasi_fd_prestat_get(3, &shown) == 0),
    };
    JSValue status = JS_Call(ctx, main_function, JS_UNDEFINED, 3, (JSValueConst *)arguments);
    host_flush();
    int32_t code = 70;
    if (JS_IsException(status)) {
        /* The library cannot even say what went wrong: there is no memory. */
        JSValue error = JS_GetException(ctx);
        const char *text = JS_ToCString(ctx, error);
        fprintf(stderr, "node: %s\n", text ? text : "out of memory");
        return 1;
    }
    JS_ToInt32(ctx, &code, status);
    return code & 0xff;
}

/* Uses up every hole in the heap, so that what a run allocates lies together
 * at its end: a copy is reset page by page. */
static void leave_no_holes(void) {
    uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    for (size_t size = 256 << 10; size >= 16; size = size > 512 ? size / 2 : size - 8) {
        /* More than one beyond the end: the allocator may hold a piece there
         * that it gives out before it looks at the holes. */
        for (int beyond = 0; beyond < 4;) beyond = (uintptr_t)malloc(size) < end ? 0 : beyond + 1;
    }
    /* Room for a small run without growing the memory. */
    free(malloc(1 << 20));
}

__attribute__((export_name("wizer.initialize"))) void initialize(void) {
    start();
    JS_RunGC(rt);
    JS_SetGCThreshold(rt, FIRST_COLLECTION);
    engine_freeze(rt);
    leave_no_holes();
    /* What the run finds is not what the build found. */
    __wasilibc_reset_preopens();
}
