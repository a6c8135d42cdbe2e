/* CPython as a WASI reactor.
 *
 * Two exports. `wizer.initialize` runs once, when the guest is built: it starts
 * the interpreter, imports what programs commonly import, and is then frozen
 * with all its memory. `run` is called once in each copy of that memory and
 * behaves as `python3 FILE ARGS...`, `python3 -c CODE` or
 * `python3 -m MODULE ARGS...`, where MODULE is one of the harness modules
 * frozen in (its `main()` is called).
 *
 * The interpreter is never finalised: the copy is thrown away. What finalising
 * would have done that a program can see (exit functions, flushing) is done
 * here, in CPython's order.
 *
 * Deliberately absent: signals, threads, site-packages, writing byte code.
 */
#include <Python.h>
#include <wasi/api.h>
#include <wasi/libc-environ.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assize.h"

/* Until the prelude has put the packed library in its place. */
#define LIBRARY "/build/python" Py_STRINGIFY(PY_MAJOR_VERSION) "." Py_STRINGIFY(PY_MINOR_VERSION)

/* wasi-libc: forget the preopened directories; the next use looks again. */
void __wasilibc_reset_preopens(void);

static int started = 0;

static void die(PyStatus status) {
    fprintf(stderr, "python: %s: %s\n", status.func ? status.func : "init",
            status.err_msg ? status.err_msg : "failed");
    _Exit(70);
}

static void check(PyStatus status) {
    if (PyStatus_Exception(status)) die(status);
}

static void start(void) {
    PyPreConfig pre;
    PyPreConfig_InitIsolatedConfig(&pre);
    pre.utf8_mode = 1;
    check(Py_PreInitialize(&pre));

    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 0;
    config.site_import = 0;
    config.write_bytecode = 0;
    config.pathconfig_warnings = 0;
    /* Frozen with the rest: sets iterate in the same order in every run. */
    config.use_hash_seed = 1;
    config.hash_seed = 0;
    config.module_search_paths_set = 1;
    check(PyConfig_SetString(&config, &config.program_name, L"python3"));
    check(PyConfig_SetString(&config, &config.executable, L"/usr/local/bin/python3"));
    check(PyConfig_SetString(&config, &config.base_executable, L"/usr/local/bin/python3"));
    check(PyConfig_SetString(&config, &config.home, L"/usr/local"));
    check(PyConfig_SetString(&config, &config.prefix, L"/usr/local"));
    check(PyConfig_SetString(&config, &config.base_prefix, L"/usr/local"));
    check(PyConfig_SetString(&config, &config.exec_prefix, L"/usr/local"));
    check(PyConfig_SetString(&config, &config.base_exec_prefix, L"/usr/local"));
    check(PyWideStringList_Append(&config.module_search_paths, L"" LIBRARY));
    if (PyImport_AppendInittab("_assize", PyInit__assize) != 0) _Exit(70);
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
    started = 1;
}

/* The pending exception's exit status, printed the way `python3` prints it. */
static int status_of_exception(void) {
    if (!PyErr_ExceptionMatches(PyExc_SystemExit)) {
        /* Not PyErr_Print for SystemExit: it would finalise and exit. */
        PyErr_Print();
        return 1;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *code = value ? PyObject_GetAttrString(value, "code") : NULL;
    if (code == NULL) {
        PyErr_Clear();
        return 1;
    }
    if (code == Py_None) return 0;
    if (PyLong_Check(code)) {
        int overflow;
        long status = PyLong_AsLongAndOverflow(code, &overflow);
        return overflow ? 255 : (int)(status & 0xff);
    }
    PyObject *err = PySys_GetObject("stderr");
    if (err && err != Py_None) {
        PyFile_WriteObject(code, err, Py_PRINT_RAW);
        PyFile_WriteString("\n", err);
    }
    PyErr_Clear();
    return 1;
}

/* Takes the result of running something; NULL is an exception. */
static int finish(PyObject *result) {
    if (result == NULL) return status_of_exception();
    Py_DECREF(result);
    return 0;
}

static PyObject *call(PyObject *owner, const char *method) {
    return owner ? PyObject_CallMethod(owner, method, NULL) : NULL;
}

/* A step that ought not to fail; if it does, the program goes on without. */
static void quietly(PyObject *result) {
    if (result == NULL) PyErr_Clear();
    Py_XDECREF(result);
}

/* What every run needs, looked up before the freeze: a lookup writes to the
 * reference counts it passes, and each page written is one to copy and reset. */
static PyObject *environment, *seed, *generator, *exit_functions;
/* `logging` flushes its handlers at exit: only if a program has made some. */
static PyObject *handlers, *shut_down_logging;
static Py_ssize_t handlers_before;

static PyObject *attribute(const char *module, const char *name, const char *of) {
    PyObject *found = PyImport_ImportModule(module);
    if (found) found = PyObject_GetAttrString(found, name);
    if (found && of) found = PyObject_GetAttrString(found, of);
    if (!found) PyErr_Print();
    return found;
}

static int look_up(void) {
    environment = attribute("os", "environ", "_data");
    seed = attribute("_random", "Random", "seed");
    generator = attribute("random", "_inst", NULL);
    exit_functions = attribute("atexit", "_run_exitfuncs", NULL);
    /* Imported by name, it would wake up the whole import machinery. */
    PyObject *host = PyImport_ImportModule("_assize");
    handlers = attribute("logging", "_handlerList", NULL);
    shut_down_logging = attribute("logging", "shutdown", NULL);
    if (handlers) handlers_before = PyList_GET_SIZE(handlers);
    return environment && seed && generator && exit_functions && host && handlers && shut_down_logging;
}

/* os.environ was made when the interpreter started, in another process. */
static void refresh_environment(void) {
    __wasilibc_deinitialize_environ();
    PyDict_Clear(environment);
    __wasi_size_t count = 0, size = 0;
    if (__wasi_environ_sizes_get(&count, &size) != 0 || count == 0) return;
    uint8_t **entries = malloc((count + 1) * sizeof *entries);
    uint8_t *text = malloc(size + 1);
    if (entries && text && __wasi_environ_get(entries, text) == 0) {
        for (__wasi_size_t i = 0; i < count; i++) {
            const char *entry = (const char *)entries[i], *equals = strchr(entry, '=');
            if (!equals) continue;
            PyObject *name = PyBytes_FromStringAndSize(entry, equals - entry);
            PyObject *value = PyBytes_FromString(equals + 1);
            if (name && value) PyDict_SetItem(environment, name, value);
            Py_XDECREF(name);
            Py_XDECREF(value);
        }
    }
    free(entries);
    free(text);
    PyErr_Clear();
}

/* sys.argv from `argv`, and the first entry of sys.path. */
static int set_arguments(int count, char **argv, const char *path0) {
    PyObject *list = PyList_New(count);
    if (!list) return -1;
    for (int i = 0; i < count; i++) {
        PyObject *text = PyUnicode_DecodeFSDefault(argv[i]);
        if (!text) return -1;
        PyList_SET_ITEM(list, i, text);
    }
    int failed = PySys_SetObject("argv", list);
    Py_DECREF(list);
    PyObject *path = PySys_GetObject("path"), *first = PyUnicode_DecodeFSDefault(path0);
    if (failed || !path || !first) return -1;
    failed = PyList_Insert(path, 0, first);
    Py_DECREF(first);
    return failed;
}

static int run_source(const char *source, size_t length, const char *path) {
    PyObject *main = PyImport_AddModule("__main__");
    PyObject *names = main ? PyModule_GetDict(main) : NULL;
    PyObject *code = names ? compile_program(source, length, path) : NULL;
    PyObject *result = code ? PyEval_EvalCode(code, names, names) : NULL;
    Py_XDECREF(code);
    return finish(result);
}

/* The whole file, with a NUL behind it; NULL with errno set. */
static char *read_file(const char *path, size_t *length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0) return NULL;
    char *text = fstat(fd, &status) == 0 ? malloc((size_t)status.st_size + 1) : NULL;
    size_t have = 0, want = text ? (size_t)status.st_size : 0;
    while (have < want) {
        ssize_t got = read(fd, text + have, want - have);
        if (got <= 0) break;
        have += (size_t)got;
    }
    close(fd);
    if (text) text[have] = 0;
    *length = have;
    return text;
}

/* Not PyRun_File: reading through the tokenizer costs as much as the rest. */
static int run_file(const char *path) {
    size_t length;
    char *source = read_file(path, &length);
    if (!source) {
        fprintf(stderr, "python3: can't open file '%s': %s\n", path, strerror(errno));
        return 2;
    }
    PyObject *main = PyImport_AddModule("__main__"), *name = PyUnicode_DecodeFSDefault(path);
    if (!main || !name || PyObject_SetAttrString(main, "__file__", name) != 0) {
        return status_of_exception();
    }
    Py_DECREF(name);
    int status = run_source(source, length, path);
    free(source);
    return status;
}

static int run_module(const char *name) {
    PyObject *module = PyImport_ImportModule(name);
    PyObject *result = module ? PyObject_CallMethod(module, "main", NULL) : NULL;
    Py_XDECREF(module);
    return finish(result);
}

/* Exit functions, then the streams; a stdout that cannot be flushed is 120. */
static int wind_up(int status) {
    quietly(PyObject_CallNoArgs(exit_functions));
    if (PyList_GET_SIZE(handlers) != handlers_before) {
        quietly(PyObject_CallNoArgs(shut_down_logging));
    }
    PyObject *out = PySys_GetObject("stdout"), *err = PySys_GetObject("stderr");
    if (out && out != Py_None) {
        PyObject *flushed = call(out, "flush");
        if (!flushed && status == 0) status = 120;
        quietly(flushed);
    }
    if (err && err != Py_None) quietly(call(err, "flush"));
    return status;
}

static char **arguments(int *count) {
    __wasi_size_t argc = 0, size = 0;
    if (__wasi_args_sizes_get(&argc, &size) != 0) return NULL;
    uint8_t **argv = calloc(argc + 1, sizeof *argv);
    uint8_t *text = malloc(size + 1);
    if (!argv || !text || __wasi_args_get(argv, text) != 0) return NULL;
    *count = (int)argc;
    return (char **)argv;
}

static int dispatch(int argc, char **argv) {
    int code = !strcmp(argv[1], "-c"), module = !strcmp(argv[1], "-m");
    if ((code || module) && argc < 3) {
        fprintf(stderr, "python3: %s needs an argument\n", argv[1]);
        return 2;
    }
    if (code) {
        argv[1] = argv[0];
        char *name = argv[2];
        argv[2] = "-c";
        return set_arguments(argc - 2, argv + 2, "") ? status_of_exception() : run_source(name, strlen(name), "<string>");
    }
    if (module) {
        /* The module decides itself what belongs on sys.path. */
        PyObject *path = PySys_GetObject("path");
        if (set_arguments(argc - 2, argv + 2, "") || !path || PyList_SetSlice(path, 0, 1, NULL)) {
            return status_of_exception();
        }
        return run_module(argv[2]);
    }
    const char *slash = strrchr(argv[1], '/');
    char *directory = slash ? strndup(argv[1], slash == argv[1] ? 1 : (size_t)(slash - argv[1]))
                            : strdup("");
    int failed = !directory || set_arguments(argc - 1, argv + 1, directory);
    free(directory);
    return failed ? status_of_exception() : run_file(argv[1]);
}

__attribute__((export_name("run"))) int run(void) {
    if (!started) {
        start();
        if (!look_up()) return 70;
    }
    /* There is a /work only when the run has files. */
    (void)chdir("/work");
    int argc = 0;
    char **argv = arguments(&argc);
    if (!argv) return 70;
    if (argc < 2) {
        fprintf(stderr, "usage: python3 FILE | -c CODE | -m MODULE [ARGUMENT...]\n");
        return 2;
    }
    refresh_environment();
    /* Copies of one generator would all say the same. */
    quietly(PyObject_CallOneArg(seed, generator));
    return wind_up(dispatch(argc, argv));
}

/* Uses up every hole in the heap, so that what a run allocates lies together
 * at its end. The host resets a copy page by page, and cheaply only while the
 * written pages form few (32) stretches. */
static void leave_no_holes(void) {
    uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    /* Python's allocator: free pools first, then one class after the other
     * (8 bytes apart) until its next block lies beyond the old end. */
    while ((uintptr_t)PyObject_Malloc(512) < end) {}
    for (size_t size = 8; size <= 512; size += 8) {
        while ((uintptr_t)PyObject_Malloc(size) < end) {}
    }
    end = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    for (size_t size = 256 << 10; size >= 8; size /= 2) {
        while ((uintptr_t)malloc(size) < end) {}
    }
    /* Room for a small run without growing the memory. */
    free(malloc(1 << 20));
}

/* Makes anew what every run writes to, so that it lies where a run writes in
 * any case: the namespace of the program, the environment, sys.path. */
static int renew(void) {
    PyObject *modules = PyImport_GetModuleDict(), *old = PyImport_AddModule("__main__");
    PyObject *main = PyModule_New("__main__"), *os = PyImport_ImportModule("os");
    PyObject *path = PySys_GetObject("path"), *environ = os ? PyObject_GetAttrString(os, "environ") : NULL;
    environment = PyDict_New();
    path = path ? PyList_GetSlice(path, 0, PyList_GET_SIZE(path)) : NULL;
    return old && main && path && environ && environment &&
        PyDict_Merge(PyModule_GetDict(main), PyModule_GetDict(old), 1) == 0 &&
        PyDict_SetItemString(modules, "__main__", main) == 0 && PySys_SetObject("path", path) == 0 &&
        PyObject_SetAttrString(environ, "_data", environment) == 0;
}

__attribute__((export_name("wizer.initialize"))) void initialize(void) {
    start();
    if (run_file("/build/prelude.py") != 0 || !look_up()) _Exit(71);
    /* What the run finds is not what the build found. */
    __wasilibc_deinitialize_environ();
    __wasilibc_reset_preopens();
    make_all_immortal();
    leave_no_holes();
    if (!renew()) _Exit(72);
}
