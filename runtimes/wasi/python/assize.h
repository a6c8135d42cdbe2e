/* The parts of the guest that are not the reactor itself. */
#ifndef ASSIZE_H
#define ASSIZE_H

#include <Python.h>

PyMODINIT_FUNC PyInit__assize(void);

/* The code of a whole program, whose text ends with a NUL behind `length` bytes;
 * NULL with an exception. To be called once, before anything of it has run. */
PyObject *compile_program(const char *source, size_t length, const char *path);

/* Objects made so far are never freed, and their reference counts stay. */
void make_all_immortal(void);

#endif
