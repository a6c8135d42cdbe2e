/* Compiling a program, or having the host say what came of it last time: see
 * executor/wasm/src/code.rs, also for why nothing of a program may run between
 * the question and the answer. */
#include "assize.h"

#include <marshal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HOST(name) __attribute__((import_module("assize"), import_name(name)))

HOST("code_get")
int32_t host_code_get(const void *name, uint32_t name_length, const void *source, uint32_t length);
HOST("code_take") int32_t host_code_take(void *bytes, uint32_t capacity);
HOST("code_put") int32_t host_code_put(const void *bytes, uint32_t length);

/* The answer to code_get that is no length. */
enum { WANTED = -1 };

/* NULL without an exception: compile it after all. */
static PyObject *take(int32_t length) {
    char *bytes = malloc((size_t)length);
    PyObject *code = NULL;
    if (bytes && host_code_take(bytes, (uint32_t)length) == length) {
        code = PyMarshal_ReadObjectFromString(bytes, length);
    }
    free(bytes);
    if (code && !PyCode_Check(code)) Py_CLEAR(code);
    PyErr_Clear();
    return code;
}

/* Whatever came of compiling, the host gets an answer. */
static void put(PyObject *code) {
    PyObject *bytes = NULL;
    if (code) {
        bytes = PyMarshal_WriteObjectToString(code, Py_MARSHAL_VERSION);
        if (!bytes) PyErr_Clear();
    }
    if (bytes) {
        host_code_put(PyBytes_AS_STRING(bytes), (uint32_t)PyBytes_GET_SIZE(bytes));
        Py_DECREF(bytes);
    } else {
        host_code_put("", 0);
    }
}

/* Whether one of the first two lines may name an encoding. Decoding then runs
 * a codec, which is Python: one that imports a module of the program's own
 * directory would run the program before the door is closed. */
static int has_cookie(const char *source, size_t length) {
    /* Two lines, each of which may end in two characters. */
    int ends = 0;
    for (size_t i = 0; i < length && ends < 4; i++) {
        if (source[i] == '\n' || source[i] == '\r') ends++;
        if (length - i >= 6 && memcmp(source + i, "coding", 6) == 0) return 1;
    }
    return 0;
}

PyObject *compile_program(const char *source, size_t length, const char *path) {
    int32_t answer = has_cookie(source, length)
        ? -2
        : host_code_get(path, (uint32_t)strlen(path), source, (uint32_t)length);
    PyObject *code = answer >= 0 ? take(answer) : NULL;
    if (code) return code;
    if (strlen(source) == length) {
        code = Py_CompileString(source, path, Py_file_input);
    } else {
        PyErr_SetString(PyExc_SyntaxError, "source code string cannot contain null bytes");
    }
    if (answer == WANTED) put(code);
    return code;
}
