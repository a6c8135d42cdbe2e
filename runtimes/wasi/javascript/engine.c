/* QuickJS-ng as one unit with what has to see its insides. */
#include "quickjs.c"

#include "guest.h"

/* Math.random of this copy; without it all copies of a snapshot say the same. */
void engine_seed(JSContext *ctx, uint64_t seed) { ctx->random_state = seed ? seed : 1; }

int engine_utf8_is_valid(const char *bytes, size_t length) {
    size_t characters;
    return !(utf8_scan(bytes, length, &characters) & UTF8_HAS_ERRORS);
}

/* What an iterator of a Map or Set has left, without moving it: for printing.
 * [entries, are they pairs]; undefined for anything else. */
JSValue engine_iterator_entries(JSContext *ctx, JSValueConst iterator) {
    JSMapIteratorData *it = JS_GetOpaque(iterator, JS_CLASS_MAP_ITERATOR);
    int of = JS_CLASS_MAP;
    if (!it) {
        it = JS_GetOpaque(iterator, JS_CLASS_SET_ITERATOR);
        of = JS_CLASS_SET;
    }
    if (!it) return JS_UNDEFINED;
    JSValue entries = JS_NewArray(ctx), result = JS_NewArray(ctx);
    bool pairs = it->kind == JS_ITERATOR_KIND_KEY_AND_VALUE;
    if (!JS_IsUndefined(it->obj)) {
        JSMapState *s = JS_GetOpaque(it->obj, of);
        struct list_head *el = it->cur_record ? it->cur_record->link.next : s->records.next;
        uint32_t n = 0;
        for (; el != &s->records; el = el->next) {
            JSMapRecord *record = list_entry(el, JSMapRecord, link);
            if (record->empty) continue;
            JSValueConst value = of == JS_CLASS_SET ? record->key : record->value;
            if (pairs || it->kind == JS_ITERATOR_KIND_KEY)
                JS_SetPropertyUint32(ctx, entries, n++, js_dup(record->key));
            if (pairs || it->kind == JS_ITERATOR_KIND_VALUE)
                JS_SetPropertyUint32(ctx, entries, n++, js_dup(value));
        }
    }
    JS_SetPropertyUint32(ctx, result, 0, entries);
    JS_SetPropertyUint32(ctx, result, 1, JS_NewBool(ctx, pairs));
    return result;
}
