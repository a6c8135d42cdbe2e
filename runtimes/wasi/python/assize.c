/* The module `_assize`: the host functions, as Python sees them.
 *
 *     send(bytes) -> None         OSError when the other side is gone
 *     recv() -> bytes | None      waits; None when the other side is gone
 *     report(bytes) -> None       OSError when the report is full
 *     compile(bytes, str) -> code what compile(…, "exec") says of a program
 */
#include "assize.h"

#include <errno.h>
#include <stdint.h>

#define HOST(name) __attribute__((import_module("assize"), import_name(name)))

HOST("channel_send") int32_t host_channel_send(const void *bytes, uint32_t length);
HOST("channel_next") int32_t host_channel_next(void);
HOST("channel_take") int32_t host_channel_take(void *bytes, uint32_t capacity);
HOST("report") int32_t host_report(const void *bytes, uint32_t length);

static PyObject *os_error(int number, const char *text) {
    PyObject *arguments = Py_BuildValue("(is)", number, text);
    if (arguments) PyErr_SetObject(PyExc_OSError, arguments);
    Py_XDECREF(arguments);
    return NULL;
}

static PyObject *hand_over(PyObject *object, int32_t (*host)(const void *, uint32_t),
                           int number, const char *text) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) != 0) return NULL;
    int32_t done = host(view.buf, (uint32_t)view.len);
    PyBuffer_Release(&view);
    if (done != 0) return os_error(number, text);
    Py_RETURN_NONE;
}

static PyObject *assize_send(PyObject *self, PyObject *object) {
    return hand_over(object, host_channel_send, EPIPE, "channel closed");
}

static PyObject *assize_report(PyObject *self, PyObject *object) {
    return hand_over(object, host_report, ENOSPC, "report full");
}

static PyObject *assize_recv(PyObject *self, PyObject *ignored) {
    int32_t length = host_channel_next();
    if (length < 0) Py_RETURN_NONE;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, length);
    if (bytes && host_channel_take(PyBytes_AS_STRING(bytes), (uint32_t)length) != length) {
        Py_DECREF(bytes);
        return os_error(EIO, "frame lost");
    }
    return bytes;
}

static PyObject *assize_compile(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2 || !PyBytes_Check(arguments[0]) || !PyUnicode_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "compile(bytes, str)");
        return NULL;
    }
    const char *path = PyUnicode_AsUTF8(arguments[1]);
    return path ? compile_program(PyBytes_AS_STRING(arguments[0]),
                                  (size_t)PyBytes_GET_SIZE(arguments[0]), path)
                : NULL;
}

static PyMethodDef methods[] = {
    {"send", assize_send, METH_O, "Send one frame."},
    {"recv", assize_recv, METH_NOARGS, "Wait for the next frame; None at the end."},
    {"report", assize_report, METH_O, "Append to the report of this run."},
    {"compile", _PyCFunction_CAST(assize_compile), METH_FASTCALL,
     "Compile the program; may be known from an earlier run."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_assize", "The host, as seen from inside.", 0, methods,
};

PyMODINIT_FUNC PyInit__assize(void) { return PyModule_Create(&module); }
