/* ES modules. Which file a specifier means, and what is in it, is said by two
 * functions of lib/module.js that are found on the host object:
 *
 *     host.resolve(base, specifier) -> name of a module
 *     host.load(name) -> its source, or [names, values] when it is no source:
 *                        a built-in module, CommonJS, JSON
 */
#include <string.h>

#include "guest.h"

static JSValue host_functions;

/* host[name](...arguments), the arguments freed. */
static JSValue ask(JSContext *ctx, const char *name, int count, JSValue *arguments) {
    JSValue function = JS_GetPropertyStr(ctx, host_functions, name);
    JSValue result = JS_Call(ctx, function, JS_UNDEFINED, count, (JSValueConst *)arguments);
    JS_FreeValue(ctx, function);
    for (int i = 0; i < count; i++) JS_FreeValue(ctx, arguments[i]);
    return result;
}

static char *normalize(JSContext *ctx, const char *base, const char *specifier, void *opaque) {
    JSValue arguments[] = {JS_NewString(ctx, base), JS_NewString(ctx, specifier)};
    JSValue name = ask(ctx, "resolve", 2, arguments);
    if (JS_IsException(name)) return NULL;
    const char *text = JS_ToCString(ctx, name);
    char *copy = text ? js_strdup(ctx, text) : NULL;
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, name);
    return copy;
}

/* Gives a module that is no source its values: they came with its names. */
static int fill(JSContext *ctx, JSModuleDef *module) {
    JSValue loaded = JS_GetModulePrivateValue(ctx, module);
    JSValue names = JS_GetPropertyUint32(ctx, loaded, 0), values = JS_GetPropertyUint32(ctx, loaded, 1);
    int64_t count = 0;
    int failed = JS_GetLength(ctx, names, &count);
    for (uint32_t i = 0; i < count && failed >= 0; i++) {
        JSValue name = JS_GetPropertyUint32(ctx, names, i);
        const char *text = JS_ToCString(ctx, name);
        failed = text ? JS_SetModuleExport(ctx, module, text, JS_GetPropertyUint32(ctx, values, i)) : -1;
        JS_FreeCString(ctx, text);
        JS_FreeValue(ctx, name);
    }
    JS_FreeValue(ctx, names);
    JS_FreeValue(ctx, values);
    JS_FreeValue(ctx, loaded);
    return failed < 0 ? -1 : 0;
}

/* Takes over `loaded`. */
static JSModuleDef *of_values(JSContext *ctx, const char *name, JSValue loaded) {
    JSModuleDef *module = JS_NewCModule(ctx, name, fill);
    if (!module) {
        JS_FreeValue(ctx, loaded);
        return NULL;
    }
    JSValue names = JS_GetPropertyUint32(ctx, loaded, 0);
    int64_t count = 0;
    JS_GetLength(ctx, names, &count);
    for (uint32_t i = 0; i < count; i++) {
        JSValue one = JS_GetPropertyUint32(ctx, names, i);
        const char *text = JS_ToCString(ctx, one);
        if (text) JS_AddModuleExport(ctx, module, text);
        JS_FreeCString(ctx, text);
        JS_FreeValue(ctx, one);
    }
    JS_FreeValue(ctx, names);
    JS_SetModulePrivateValue(ctx, module, loaded);
    return module;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *opaque) {
    JSValue argument = JS_NewString(ctx, name);
    JSValue loaded = ask(ctx, "load", 1, &argument);
    if (JS_IsException(loaded)) return NULL;
    if (!JS_IsString(loaded)) return of_values(ctx, name, loaded);
    size_t length;
    const char *source = JS_ToCStringLen(ctx, &length, loaded);
    JS_FreeValue(ctx, loaded);
    if (!source) return NULL;
    JSValue compiled = JS_Eval(ctx, source, length, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    JS_FreeCString(ctx, source);
    if (JS_IsException(compiled)) return NULL;
    JSModuleDef *module = JS_VALUE_GET_PTR(compiled);
    JSValue arguments[] = {JS_GetImportMeta(ctx, module), JS_NewString(ctx, name)};
    JSValue described = ask(ctx, "describe", 2, arguments);
    JS_FreeValue(ctx, compiled); /* the context keeps its modules */
    if (JS_IsException(described)) return NULL;
    JS_FreeValue(ctx, described);
    return module;
}

void modules_start(JSContext *ctx, JSValueConst host) {
    host_functions = JS_DupValue(ctx, host);
    JS_SetModuleLoaderFunc(JS_GetRuntime(ctx), normalize, load, NULL);
}
