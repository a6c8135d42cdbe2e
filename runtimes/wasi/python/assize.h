/* The parts of the guest that are not the reactor itself. */
#ifndef ASSIZE_H
#define ASSIZE_H

#include <Python.h>

PyMODINIT_FUNC PyInit__assize(void);

/* Objects made so far are never freed, and their reference counts stay. */
void make_all_immortal(void);

#endif
