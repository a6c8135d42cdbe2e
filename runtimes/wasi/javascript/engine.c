/* QuickJS-ng as one unit with what has to see its insides. */
#include "quickjs.c"

#include "guest.h"

/* Math.random of this copy; without it all copies of a snapshot say the same. */
void engine_seed(JSContext *ctx, uint64_t seed) { ctx->random_state = seed ? seed : 1; }

static struct list_head frozen_objects, frozen_arenas;

/* All of `list` to the end of `target`. Frozen things stay in some list, for
 * they may yet be taken out of it, and in none that grows: a neighbour of what
 * is new is written to. */
static void move_all(struct list_head *list, struct list_head *target) {
    if (list_empty(list)) return;
    struct list_head *first = list->next, *last = list->prev;
    first->prev = target->prev;
    target->prev->next = first;
    last->next = target;
    target->prev = last;
    init_list_head(list);
}

/* What there is now stays for ever: its references are not counted, it is not
 * looked at for cycles, and nothing new is put among it. */
void engine_freeze(JSRuntime *rt) {
    struct list_head *el;
    init_list_head(&frozen_objects);
    init_list_head(&frozen_arenas);
    for (int i = 0; i < JS_ARENA_BLOCK_SIZE_COUNT; i++) {
        int size = arena_block_sizes[i];
        while (!list_empty(&rt->arena_state.free_arena_list[i]))
            js_arena_malloc(rt, size - sizeof(JSMallocBlockHeader));
        list_for_each(el, &rt->arena_state.arena_list[i]) {
            JSArena *arena = list_entry(el, JSArena, link);
            for (int j = 0; j < arena->n_blocks; j++) {
                JSMallocBlockHeader *block = arena_get_block(arena, j, size);
                block->ref_count = FROZEN;
            }
        }
        move_all(&rt->arena_state.arena_list[i], &frozen_arenas);
    }
    list_for_each(el, &rt->gc_obj_list) JS_REF_COUNT(list_entry(el, JSGCObjectHeader, link)) = FROZEN;
    for (int i = 0; i < rt->atom_size; i++) {
        if (!atom_is_free(rt->atom_array[i])) JS_REF_COUNT(rt->atom_array[i]) = FROZEN;
    }
    move_all(&rt->gc_obj_list, &frozen_objects);
}

int engine_utf8_is_valid(const char *bytes, size_t length) {
    size_t characters;
    return !(utf8_scan(bytes, length, &characters) & UTF8_HAS_ERRORS);
}

/* Of an ES module; its class has the name of plain objects. */
int engine_is_namespace(JSValueConst value) { return JS_GetClassID(value) == JS_CLASS_MODULE_NS; }

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
