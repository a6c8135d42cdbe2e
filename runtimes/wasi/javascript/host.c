/* The functions that the library in lib/ is made of. They are handed to it as
 * one object, which no program gets hold of.
 *
 * Functions on files answer with a negative errno when they fail.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define HOST(name) __attribute__((import_module("assize"), import_name(name)))
#define ARGUMENTS JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv

HOST("channel_send") int32_t channel_send(const void *bytes, uint32_t length);
HOST("channel_next") int32_t channel_next(void);
HOST("channel_take") int32_t channel_take(void *bytes, uint32_t capacity);
HOST("report") int32_t host_report(const void *bytes, uint32_t length);

/* ------------------------------------------------------------------ bytes */

static void *resize(JSRuntime *rt, void *opaque, void *bytes, size_t size) {
    if (size) return realloc(bytes, size);
    free(bytes);
    return NULL;
}

/* Takes over `bytes`. */
static JSValue buffer(JSContext *ctx, void *bytes, size_t length) {
    return JS_NewArrayBuffer(ctx, bytes, length, 0, resize, NULL, false);
}

/* What a view or a string is made of; freed by `given`. Lone halves of
 * surrogate pairs become U+FFFD, as on every stream of Node's. */
typedef struct {
    const uint8_t *bytes;
    size_t length;
    const char *text;
} Bytes;

static int take(JSContext *ctx, JSValueConst value, Bytes *out) {
    *out = (Bytes){0};
    if (JS_IsString(value)) {
        out->text = JS_ToCStringLen(ctx, &out->length, value);
        out->bytes = (const uint8_t *)out->text;
        if (!out->text) return -1;
        uint8_t *at = (uint8_t *)out->text, *end = at + out->length;
        while ((at = memchr(at, 0xed, (size_t)(end - at)))) {
            if (end - at >= 3 && at[1] >= 0xa0) memcpy(at, "\xef\xbf\xbd", 3);
            at++;
        }
        return 0;
    }
    size_t offset, length, element, whole;
    JSValue inside = JS_GetTypedArrayBuffer(ctx, value, &offset, &length, &element);
    if (JS_IsException(inside)) return -1;
    uint8_t *bytes = JS_GetArrayBuffer(ctx, &whole, inside);
    JS_FreeValue(ctx, inside);
    if (!bytes && whole) return -1;
    out->bytes = bytes + offset;
    out->length = length;
    return 0;
}

static void give_back(JSContext *ctx, Bytes *bytes) { JS_FreeCString(ctx, bytes->text); }

static JSValue js_encode(ARGUMENTS) {
    Bytes from;
    if (take(ctx, argv[0], &from) < 0) return JS_EXCEPTION;
    JSValue result = JS_NewArrayBufferCopy(ctx, from.bytes, from.length);
    give_back(ctx, &from);
    return result;
}

/* (view, start, end, strict): text of UTF-8; null where `strict` and it is none */
static JSValue js_decode(ARGUMENTS) {
    Bytes from;
    uint32_t start, end;
    if (take(ctx, argv[0], &from) < 0 || JS_ToUint32(ctx, &start, argv[1]) || JS_ToUint32(ctx, &end, argv[2]))
        return JS_EXCEPTION;
    if (end > from.length) end = (uint32_t)from.length;
    if (start > end) start = end;
    const char *bytes = (const char *)from.bytes + start;
    JSValue text = JS_NULL;
    if (!JS_ToBool(ctx, argv[3]) || engine_utf8_is_valid(bytes, end - start))
        text = JS_NewStringLen(ctx, bytes, end - start);
    give_back(ctx, &from);
    return text;
}

/* ------------------------------------------------------------------ files */

/* Standard output is written a piece at a time: a call of the host for every
 * console.log would cost more than the formatting. */
static char pending[16 << 10];
static size_t pended;

static int write_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t done = write(fd, bytes, length);
        if (done < 0) return -errno;
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

void host_flush(void) {
    size_t length = pended;
    pended = 0;
    (void)write_all(1, pending, length);
}

static JSValue js_write(ARGUMENTS) {
    int32_t fd;
    Bytes from;
    if (JS_ToInt32(ctx, &fd, argv[0]) || take(ctx, argv[1], &from) < 0) return JS_EXCEPTION;
    int failed = 0;
    if (fd == 1 && from.length < sizeof pending) {
        if (pended + from.length > sizeof pending) host_flush();
        memcpy(pending + pended, from.bytes, from.length);
        pended += from.length;
    } else {
        host_flush();
        failed = write_all(fd, (const char *)from.bytes, from.length);
    }
    JSValue result = failed ? JS_NewInt32(ctx, failed) : JS_NewInt64(ctx, (int64_t)from.length);
    give_back(ctx, &from);
    return result;
}

char *host_read_file(const char *path, size_t *length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    struct stat status;
    int reason = 0;
    int known = fstat(fd, &status) == 0;
    size_t have = 0, room = known ? (size_t)status.st_size + 1 : 4096;
    char *text = known && S_ISDIR(status.st_mode) ? (errno = EISDIR, NULL) : malloc(room);
    /* Of a file whose size is known, the read that finds its end is spared. */
    while (text && !(known && have + 1 == room && S_ISREG(status.st_mode))) {
        ssize_t got = read(fd, text + have, room - have);
        if (got <= 0) {
            reason = got < 0 ? errno : 0;
            break;
        }
        have += (size_t)got;
        if (have < room) continue;
        char *larger = realloc(text, room *= 2);
        if (!larger) reason = ENOMEM;
        else text = larger;
        if (reason) break;
    }
    if (!text && !reason) reason = errno ? errno : ENOMEM;
    close(fd);
    if (reason) {
        free(text);
        errno = reason;
        return NULL;
    }
    text[have] = 0;
    *length = have;
    return text;
}

static JSValue whole_file(JSContext *ctx, JSValueConst name, int as_text) {
    const char *path = JS_ToCString(ctx, name);
    if (!path) return JS_EXCEPTION;
    size_t length;
    char *text = host_read_file(path, &length);
    JS_FreeCString(ctx, path);
    if (!text) return errno == ENOMEM ? JS_ThrowOutOfMemory(ctx) : JS_NewInt32(ctx, -errno);
    if (!as_text) return buffer(ctx, text, length);
    JSValue result = JS_NewStringLen(ctx, text, length);
    free(text);
    return result;
}

static JSValue js_read_file(ARGUMENTS) { return whole_file(ctx, argv[0], 0); }
static JSValue js_read_text(ARGUMENTS) { return whole_file(ctx, argv[0], 1); }

/* (fd, most): what one read gives */
static JSValue js_read(ARGUMENTS) {
    int32_t fd;
    uint32_t most;
    if (JS_ToInt32(ctx, &fd, argv[0]) || JS_ToUint32(ctx, &most, argv[1])) return JS_EXCEPTION;
    host_flush();
    uint8_t *bytes = malloc(most ? most : 1);
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    ssize_t got = read(fd, bytes, most);
    if (got < 0) {
        free(bytes);
        return JS_NewInt32(ctx, -errno);
    }
    return buffer(ctx, bytes, (size_t)got);
}

/* Files by one or two names and a number: the ways to call the C library. */
enum { OPEN, CLOSE, SEEK, MKDIR, RMDIR, UNLINK, RENAME, TRUNCATE, ACCESS };

static JSValue js_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic) {
    const char *a = NULL, *b = NULL;
    int32_t fd = -1, flags = 0;
    int64_t at = 0, result = -1;
    if (magic == CLOSE || magic == SEEK) {
        if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
        if (magic == SEEK && JS_ToInt64(ctx, &at, argv[1])) return JS_EXCEPTION;
    } else {
        if (!(a = JS_ToCString(ctx, argv[0]))) return JS_EXCEPTION;
        if (magic == RENAME && !(b = JS_ToCString(ctx, argv[1]))) return JS_EXCEPTION;
        if (magic == OPEN && JS_ToInt32(ctx, &flags, argv[1])) return JS_EXCEPTION;
        if (magic == TRUNCATE && JS_ToInt64(ctx, &at, argv[1])) return JS_EXCEPTION;
    }
    switch (magic) {
    case OPEN: {
        /* The letters of fs.open: bit 0 write, 1 create, 2 truncate, 3 append,
         * 4 exclusive, 5 read as well */
        int how = !(flags & 1) ? O_RDONLY : flags & 32 ? O_RDWR : O_WRONLY;
        how |= (flags & 2 ? O_CREAT : 0) | (flags & 4 ? O_TRUNC : 0) | (flags & 8 ? O_APPEND : 0) |
               (flags & 16 ? O_EXCL : 0) | O_CLOEXEC;
        result = open(a, how, 0666);
        break;
    }
    case CLOSE: result = close(fd); break;
    case SEEK: result = lseek(fd, at, SEEK_SET); break;
    case MKDIR: result = mkdir(a, 0777); break;
    case RMDIR: result = rmdir(a); break;
    case UNLINK: result = unlink(a); break;
    case RENAME: result = rename(a, b); break;
    case TRUNCATE: result = truncate(a, at); break;
    case ACCESS: result = access(a, F_OK); break;
    }
    if (result < 0) result = -errno;
    JS_FreeCString(ctx, a);
    JS_FreeCString(ctx, b);
    return JS_NewInt64(ctx, result);
}

/* (path): [mode, size, milliseconds of the last change, inode] */
static JSValue js_stat(ARGUMENTS) {
    struct stat status;
    int failed;
    if (JS_IsNumber(argv[0])) {
        int32_t fd;
        JS_ToInt32(ctx, &fd, argv[0]);
        failed = fstat(fd, &status);
    } else {
        const char *path = JS_ToCString(ctx, argv[0]);
        if (!path) return JS_EXCEPTION;
        failed = stat(path, &status);
        JS_FreeCString(ctx, path);
    }
    if (failed) return JS_NewInt32(ctx, -errno);
    double ms = (double)status.st_mtim.tv_sec * 1e3 + (double)status.st_mtim.tv_nsec / 1e6;
    JSValue result = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, result, 0, JS_NewInt64(ctx, status.st_mode));
    JS_SetPropertyUint32(ctx, result, 1, JS_NewInt64(ctx, status.st_size));
    JS_SetPropertyUint32(ctx, result, 2, JS_NewFloat64(ctx, ms));
    JS_SetPropertyUint32(ctx, result, 3, JS_NewInt64(ctx, (int64_t)status.st_ino));
    return result;
}

static JSValue js_readdir(ARGUMENTS) {
    const char *path = JS_ToCString(ctx, argv[0]);
    if (!path) return JS_EXCEPTION;
    DIR *dir = opendir(path);
    JS_FreeCString(ctx, path);
    if (!dir) return JS_NewInt32(ctx, -errno);
    JSValue names = JS_NewArray(ctx);
    uint32_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            JS_SetPropertyUint32(ctx, names, n++, JS_NewString(ctx, entry->d_name));
    }
    closedir(dir);
    return names;
}

/* ------------------------------------------------- time, chance, the judge */

static JSValue js_now(ARGUMENTS) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return JS_NewBigInt64(ctx, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

static JSValue js_sleep(ARGUMENTS) {
    double ms;
    if (JS_ToFloat64(ctx, &ms, argv[0])) return JS_EXCEPTION;
    host_flush();
    if (ms > 0) {
        struct timespec wait = {.tv_sec = (time_t)(ms / 1e3), .tv_nsec = (long)((ms - 1e3 * (double)(time_t)(ms / 1e3)) * 1e6)};
        nanosleep(&wait, NULL);
    }
    return JS_UNDEFINED;
}

static JSValue js_random(ARGUMENTS) {
    uint32_t length;
    if (JS_ToUint32(ctx, &length, argv[0])) return JS_EXCEPTION;
    uint8_t *bytes = malloc(length ? length : 1);
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    for (uint32_t at = 0; at < length; at += 256) {
        if (getentropy(bytes + at, length - at < 256 ? length - at : 256) != 0) {
            free(bytes);
            return JS_ThrowInternalError(ctx, "no random numbers");
        }
    }
    return buffer(ctx, bytes, length);
}

static JSValue js_exit(ARGUMENTS) {
    int32_t status;
    if (JS_ToInt32(ctx, &status, argv[0])) return JS_EXCEPTION;
    host_flush();
    _Exit(status & 0xff);
}

static JSValue js_abort(ARGUMENTS) {
    host_flush();
    __builtin_trap();
}

static JSValue hand_over(JSContext *ctx, JSValueConst value, int32_t (*host)(const void *, uint32_t)) {
    Bytes from;
    if (take(ctx, value, &from) < 0) return JS_EXCEPTION;
    host_flush();
    int32_t failed = host(from.bytes, (uint32_t)from.length);
    give_back(ctx, &from);
    return JS_NewBool(ctx, failed == 0);
}

static JSValue js_send(ARGUMENTS) { return hand_over(ctx, argv[0], channel_send); }
static JSValue js_report(ARGUMENTS) { return hand_over(ctx, argv[0], host_report); }

static JSValue js_receive(ARGUMENTS) {
    host_flush();
    int32_t length = channel_next();
    if (length < 0) return JS_NULL;
    void *bytes = malloc(length ? (size_t)length : 1);
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    if (channel_take(bytes, (uint32_t)length) != length) {
        free(bytes);
        return JS_NULL;
    }
    return buffer(ctx, bytes, (size_t)length);
}

/* -------------------------------------------------------------- the engine */

static JSValue js_run_compiled(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic, JSValueConst *data) {
    return JS_EvalFunction(ctx, JS_DupValue(ctx, data[0]));
}

/* (source, file name, first line): the value of a script in global scope; with
 * `magic`, a function that gives it */
static JSValue js_evaluate(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic) {
    size_t length;
    int32_t line = 1;
    if (!JS_IsUndefined(argv[2]) && JS_ToInt32(ctx, &line, argv[2])) return JS_EXCEPTION;
    const char *source = JS_ToCStringLen(ctx, &length, argv[0]);
    const char *name = source ? JS_ToCString(ctx, argv[1]) : NULL;
    JSValue value = JS_EXCEPTION;
    if (name) {
        JSEvalOptions options = {.version = JS_EVAL_OPTIONS_VERSION, .eval_flags = JS_EVAL_TYPE_GLOBAL | (magic ? JS_EVAL_FLAG_COMPILE_ONLY : 0), .filename = name, .line_num = line};
        value = JS_Eval2(ctx, source, length, &options);
    }
    JS_FreeCString(ctx, source);
    JS_FreeCString(ctx, name);
    if (!magic || JS_IsException(value)) return value;
    JSValue function = JS_NewCFunctionData(ctx, js_run_compiled, 0, 0, 1, (JSValueConst *)&value);
    JS_FreeValue(ctx, value);
    return function;
}

/* Runs what promises wait for. What such a job throws is thrown. */
static JSValue js_jobs(ARGUMENTS) {
    JSContext *of;
    int32_t most = INT32_MAX;
    if (argc > 0 && JS_ToInt32(ctx, &most, argv[0])) return JS_EXCEPTION;
    for (; most > 0; most--) {
        int ran = JS_ExecutePendingJob(JS_GetRuntime(ctx), &of);
        if (ran < 0) return JS_EXCEPTION;
        if (ran == 0) return JS_FALSE;
    }
    return JS_TRUE;
}

static JSValue js_pending(ARGUMENTS) { return JS_NewBool(ctx, JS_IsJobPending(JS_GetRuntime(ctx))); }

/* (value): the name of its class, whatever it says of itself; '' of others */
static JSValue js_class(ARGUMENTS) {
    JSClassID id = JS_GetClassID(argv[0]);
    if (id == JS_INVALID_CLASS_ID) return JS_NewString(ctx, "");
    if (engine_is_namespace(argv[0])) return JS_NewString(ctx, "Module");
    JSAtom name = JS_GetClassName(JS_GetRuntime(ctx), id);
    JSValue text = JS_AtomToString(ctx, name);
    JS_FreeAtom(ctx, name);
    return text;
}

static JSValue pair(JSContext *ctx, JSValue a, JSValue b) {
    JSValue result = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, result, 0, a);
    JS_SetPropertyUint32(ctx, result, 1, b);
    return result;
}

static JSValue js_proxy(ARGUMENTS) {
    if (!JS_IsProxy(argv[0])) return JS_UNDEFINED;
    return pair(ctx, JS_GetProxyTarget(ctx, argv[0]), JS_GetProxyHandler(ctx, argv[0]));
}

/* (promise): [0 pending, 1 fulfilled, 2 rejected; its value] */
static JSValue js_promise(ARGUMENTS) {
    if (!JS_IsPromise(argv[0])) return JS_UNDEFINED;
    return pair(ctx, JS_NewInt32(ctx, (int)JS_PromiseState(ctx, argv[0])), JS_PromiseResult(ctx, argv[0]));
}

static JSValue js_entries(ARGUMENTS) { return engine_iterator_entries(ctx, argv[0]); }

static JSValue js_memory(ARGUMENTS) {
    JSMemoryUsage usage;
    JS_ComputeMemoryUsage(JS_GetRuntime(ctx), &usage);
    return pair(ctx, JS_NewInt64(ctx, (int64_t)__builtin_wasm_memory_size(0) << 16), JS_NewInt64(ctx, usage.memory_used_size));
}

static JSValue js_collect(ARGUMENTS) {
    JS_RunGC(JS_GetRuntime(ctx));
    return JS_UNDEFINED;
}

static JSValue on_rejection;

static void rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool handled, void *opaque) {
    JSValue flag = JS_NewBool(ctx, handled);
    JSValueConst arguments[] = {promise, reason, flag};
    JS_FreeValue(ctx, JS_Call(ctx, on_rejection, JS_UNDEFINED, 3, arguments));
}

static JSValue js_on_rejection(ARGUMENTS) {
    on_rejection = JS_DupValue(ctx, argv[0]);
    JS_SetHostPromiseRejectionTracker(JS_GetRuntime(ctx), rejection, NULL);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("encode", 1, js_encode),
    JS_CFUNC_DEF("decode", 4, js_decode),
    JS_CFUNC_DEF("write", 2, js_write),
    JS_CFUNC_DEF("readFile", 1, js_read_file),
    JS_CFUNC_DEF("readText", 1, js_read_text),
    JS_CFUNC_DEF("read", 2, js_read),
    JS_CFUNC_MAGIC_DEF("open", 2, js_file, OPEN),
    JS_CFUNC_MAGIC_DEF("close", 1, js_file, CLOSE),
    JS_CFUNC_MAGIC_DEF("seek", 2, js_file, SEEK),
    JS_CFUNC_MAGIC_DEF("mkdir", 1, js_file, MKDIR),
    JS_CFUNC_MAGIC_DEF("rmdir", 1, js_file, RMDIR),
    JS_CFUNC_MAGIC_DEF("unlink", 1, js_file, UNLINK),
    JS_CFUNC_MAGIC_DEF("rename", 2, js_file, RENAME),
    JS_CFUNC_MAGIC_DEF("truncate", 2, js_file, TRUNCATE),
    JS_CFUNC_MAGIC_DEF("access", 1, js_file, ACCESS),
    JS_CFUNC_DEF("stat", 1, js_stat),
    JS_CFUNC_DEF("readdir", 1, js_readdir),
    JS_CFUNC_DEF("now", 0, js_now),
    JS_CFUNC_DEF("sleep", 1, js_sleep),
    JS_CFUNC_DEF("random", 1, js_random),
    JS_CFUNC_DEF("exit", 1, js_exit),
    JS_CFUNC_DEF("abort", 0, js_abort),
    JS_CFUNC_DEF("send", 1, js_send),
    JS_CFUNC_DEF("receive", 0, js_receive),
    JS_CFUNC_DEF("report", 1, js_report),
    JS_CFUNC_MAGIC_DEF("evaluate", 3, js_evaluate, 0),
    JS_CFUNC_MAGIC_DEF("compile", 3, js_evaluate, 1),
    JS_CFUNC_DEF("jobs", 0, js_jobs),
    JS_CFUNC_DEF("pending", 0, js_pending),
    JS_CFUNC_DEF("classOf", 1, js_class),
    JS_CFUNC_DEF("proxy", 1, js_proxy),
    JS_CFUNC_DEF("promise", 1, js_promise),
    JS_CFUNC_DEF("entries", 1, js_entries),
    JS_CFUNC_DEF("memory", 0, js_memory),
    JS_CFUNC_DEF("collect", 0, js_collect),
    JS_CFUNC_DEF("onRejection", 1, js_on_rejection),
};

JSValue host_object(JSContext *ctx) {
    JSValue host = JS_NewObject(ctx);
    JS_SetPropertyFunctionList(ctx, host, functions, (int)(sizeof functions / sizeof *functions));
    return host;
}
