"""Copies QuickJS-ng's quickjs.c with the few changes that the guest needs.

    patch.py SOURCE TARGET

Each text must occur exactly as often as it says: a release in which it moved
stops the build instead of building something else.
"""

import re
import sys

# (times, what is there, what comes in its place)
CHANGES = [
    # A `switch` is up to a quarter faster in wasm than jumps by a table, which
    # there are a loop around a switch.
    (1, "#if defined(EMSCRIPTEN) || defined(_MSC_VER)\n#define DIRECT_DISPATCH  0", "#if 1\n#define DIRECT_DISPATCH  0"),
    # Upstream switches the stack check off for WASI, where the machine's stack
    # cannot be seen. What can be seen is the stack in linear memory, which
    # grows with every call; reactor.c sets a limit under which the machine's
    # stack is safe too. Without it, recursion ends the worker's run in a trap
    # that no `catch` sees.
    (1, "#ifdef __wasi__\n    rt->stack_size = 0;\n#endif\n", ""),
    (
        1,
        "#if defined(__wasi__)\n    rt->stack_limit = 0; /* no limit */\n#else\n"
        "    if (rt->stack_size == 0) {",
        "#if 1\n    if (rt->stack_size == 0) {",
    ),
    # C functions that call themselves take much of the machine's stack and next
    # to nothing of the one that is looked at. Those that check take more of it
    # than they need; calls of functions are left as they are.
    (
        1,
        "JSRuntime *JS_NewRuntime2(const JSMallocFunctions *mf, void *opaque)\n{",
        "#define take_stack() \\\n"
        "    volatile char pad_[PAD_BYTES]; __asm__ volatile(\"\" : : \"r\"(pad_) : \"memory\")\n"
        "#define js_check_stack_overflow(rt, size) \\\n"
        "    ({ take_stack(); js_check_stack_overflow(rt, size); })\n\n"
        "JSRuntime *JS_NewRuntime2(const JSMallocFunctions *mf, void *opaque)\n{",
    ),
    (2, "js_check_stack_overflow(rt, stack_size)", "(js_check_stack_overflow)(rt, stack_size)"),
    (1, "js_check_stack_overflow(rt, sizeof(arg_buf[0])", "(js_check_stack_overflow)(rt, sizeof(arg_buf[0])"),
    (1, "js_check_stack_overflow(ctx->rt, sizeof(JSValue)", "(js_check_stack_overflow)(ctx->rt, sizeof(JSValue)"),
    (1, "js_check_stack_overflow(rt, alloca_size)", "(js_check_stack_overflow)(rt, alloca_size)"),
    # The parser checks at every word, but not in what calls itself.
    (1, "static __exception int js_parse_unary(JSParseState *s, int parse_flags)\n{\n",
     "static __exception int js_parse_unary(JSParseState *s, int parse_flags)\n{\n    take_stack();\n"),
    (1, "static __exception int js_parse_assign_expr2(JSParseState *s, int parse_flags)\n{\n",
     "static __exception int js_parse_assign_expr2(JSParseState *s, int parse_flags)\n{\n    take_stack();\n"),
    # `stack` begins with name and message, as programs written for V8 expect,
    # and does not end with a line break.
    (
        1,
        "        js_dbuf_init(ctx, &dbuf);\n        if (stack_trace_limit == 0)\n            goto done;\n",
        "        js_dbuf_init(ctx, &dbuf);\n        put_header(ctx, &dbuf, error_val);\n"
        "        if (stack_trace_limit == 0)\n            goto done;\n",
    ),
    (
        1,
        "            stack = JS_NewStringLen(ctx, (char *)dbuf.buf, dbuf.size);\n        dbuf_free(&dbuf);",
        "            stack = JS_NewStringLen(ctx, (char *)dbuf.buf,\n"
        "                                    dbuf.size && dbuf.buf[dbuf.size - 1] == '\\n' ? dbuf.size - 1 : dbuf.size);\n"
        "        dbuf_free(&dbuf);",
    ),
    (
        1,
        "static void build_backtrace(JSContext *ctx, JSValueConst error_val,\n"
        "                            JSValueConst filter_func, const char *filename,\n"
        "                            int line_num, int col_num, int backtrace_flags)\n{",
        "static JSValue js_error_toString(JSContext *ctx, JSValueConst this_val,\n"
        "                                 int argc, JSValueConst *argv);\n\n"
        "static void put_header(JSContext *ctx, DynBuf *dbuf, JSValueConst error)\n{\n"
        "    JSValue pending = JS_GetException(ctx);\n"
        "    JSValue text = js_error_toString(ctx, error, 0, NULL);\n"
        "    const char *bytes = JS_IsException(text) ? NULL : JS_ToCString(ctx, text);\n"
        "    if (bytes)\n        dbuf_printf(dbuf, \"%s\", bytes), dbuf_putc(dbuf, '\\n');\n"
        "    else\n        JS_FreeValue(ctx, JS_GetException(ctx));\n"
        "    JS_FreeCString(ctx, bytes);\n    JS_FreeValue(ctx, text);\n"
        "    JS_Throw(ctx, pending);\n}\n\n"
        "static void build_backtrace(JSContext *ctx, JSValueConst error_val,\n"
        "                            JSValueConst filter_func, const char *filename,\n"
        "                            int line_num, int col_num, int backtrace_flags)\n{",
    ),
    # V8's words, where they can be had for nothing.
    (2, "cannot read property '%s' of undefined", "Cannot read properties of undefined (reading '%s')"),
    (2, "cannot read property '%s' of null", "Cannot read properties of null (reading '%s')"),
    (1, "cannot set property '%s' of undefined", "Cannot set properties of undefined (setting '%s')"),
    (1, "cannot set property '%s' of null", "Cannot set properties of null (setting '%s')"),
]

# Every count of references, up or down, leaves alone what was there when the
# guest was frozen (engine_freeze in engine.c): counting writes to a page, and
# each page written is one to copy and to reset, in every run.
COUNTS = [
    # (times, pattern, what comes in its place)
    (19, r"\bJS_REF_COUNT\(([\w>-]+)\)\+\+;", r"js_ref_up(\1);"),
    (7, r"--JS_REF_COUNT\((\w+)\)", r"js_ref_down(\1)"),
    (2, r"\bJS_REF_COUNT\((\w+)\)--;", r"(void)js_ref_down(\1);"),
    (
        1,
        r"(#define JS_REF_COUNT\(p\) \(js_rc\(p\)->ref_count\)\n)",
        r"""\1#define FROZEN (1 << 30)
static inline void js_ref_up(const void *p) {
    if (js_rc(p)->ref_count < FROZEN)
        js_rc(p)->ref_count++;
}
static inline int js_ref_down(const void *p) {
    int count = js_rc(p)->ref_count;
    return count < FROZEN ? (js_rc(p)->ref_count = count - 1) : count;
}
""",
    ),
]


def main(source, target):
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for times, old, new in CHANGES:
        if text.count(old) != times:
            sys.exit(f"{source}: {text.count(old)} times instead of {times}: {old!r}")
        text = text.replace(old, new)
    for times, pattern, new in COUNTS:
        text, found = re.subn(pattern, new, text)
        if found != times:
            sys.exit(f"{source}: {found} times instead of {times}: {pattern!r}")
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
