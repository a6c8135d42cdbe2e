/* Makes every object of the snapshot immortal.
 *
 * A copy of the snapshot shares its pages with all other copies until it writes
 * to one. Most of what a short run writes to are reference counts of objects
 * that were there before it; an immortal object's count is never written. What
 * a program can see of it: sys.getrefcount, and that finalisers of objects of
 * the snapshot do not run. It is thrown away with the copy anyway.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <internal/pycore_gc.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_object.h>
#include <internal/pycore_pystate.h>

#include "assize.h"

static int visit(PyObject *object, void *unused);

static void visit_all(PyObject **objects, int count) {
    for (int i = 0; i < count; i++) visit(objects[i], NULL);
}

/* What an object refers to. Code is no container to the collector, and it does
 * not ask dicts for keys that are strings, nor types for their names. */
static void visit_contents(PyObject *object) {
    if (PyCode_Check(object)) {
        PyCodeObject *code = (PyCodeObject *)object;
        PyObject *parts[] = {
            code->co_consts, code->co_names, code->co_exceptiontable, code->co_localsplusnames,
            code->co_localspluskinds, code->co_filename, code->co_name, code->co_qualname,
            code->co_linetable,
        };
        visit_all(parts, sizeof parts / sizeof *parts);
        return;
    }
    if (PyDict_Check(object)) {
        PyObject *key, *value;
        Py_ssize_t position = 0;
        while (PyDict_Next(object, &position, &key, &value)) {
            visit(key, NULL);
            visit(value, NULL);
        }
    }
    if (PyType_Check(object) && PyType_HasFeature((PyTypeObject *)object, Py_TPFLAGS_HEAPTYPE)) {
        PyHeapTypeObject *type = (PyHeapTypeObject *)object;
        PyObject *parts[] = {type->ht_name, type->ht_qualname, type->ht_slots};
        visit_all(parts, sizeof parts / sizeof *parts);
    }
    traverseproc traverse = Py_TYPE(object)->tp_traverse;
    if (traverse && _PyObject_IS_GC(object)) traverse(object, visit, NULL);
}

/* Objects that the collector tracks are all in its lists: only what hangs
 * below them and is in none of these is followed from here. */
static int visit(PyObject *object, void *unused) {
    if (object == NULL || _Py_IsImmortal(object)) return 0;
    _Py_SetImmortalUntracked(object);
    if (PyUnicode_Check(object)) {
        PyASCIIObject *text = (PyASCIIObject *)object;
        if (text->state.interned == SSTATE_INTERNED_MORTAL) {
            text->state.interned = SSTATE_INTERNED_IMMORTAL;
        }
    }
    if (!_PyObject_IS_GC(object) || !_PyObject_GC_IS_TRACKED(object)) visit_contents(object);
    return 0;
}

static void visit_list(PyGC_Head *list) {
    for (PyGC_Head *gc = _PyGCHead_NEXT(list); gc != list; gc = _PyGCHead_NEXT(gc)) {
        PyObject *object = _Py_FROM_GC(gc);
        if (!_Py_IsImmortal(object)) _Py_SetImmortalUntracked(object);
        visit_contents(object);
    }
}

void make_all_immortal(void) {
    struct _gc_runtime_state *gc = &_PyInterpreterState_GET()->gc;
    for (int i = 0; i < NUM_GENERATIONS; i++) visit_list(&gc->generations[i].head);
    visit_list(&gc->permanent_generation.head);
    /* Memory that is kept for the next object of a kind lies anywhere. */
    _PyGC_ClearAllFreeLists(_PyInterpreterState_GET());
}
