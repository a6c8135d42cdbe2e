/* The module `_assize`: the host functions, as Python sees them. */
#ifndef ASSIZE_H
#define ASSIZE_H

#include <Python.h>

PyMODINIT_FUNC PyInit__assize(void);

#endif
