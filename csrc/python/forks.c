/* Forks of a process whose other threads compute: they wait for these, but not with the GIL, which the main thread
   wants now and then amid a call of the core (signals.c). */
#include "python/module.h"

#include "base/base.h"

#include <pthread.h>

/* Python's forks: before they take the lock of imports, which a signal's handler may want. */
static PyObject *begin(PyObject *self, PyObject *ignored)
{
    (void)self;
    (void)ignored;
    if (adm_fork_begin())
        PYADM_WITHOUT_GIL(adm_fork_await())
    Py_RETURN_NONE;
}

static PyObject *end(PyObject *self, PyObject *ignored)
{
    (void)self;
    (void)ignored;
    adm_fork_end();
    Py_RETURN_NONE;
}

/* Forks that Python does not know of, such as those of subprocess.Popen(user=...): with the GIL or without. */
static void begin_unknown(void)
{
    if (!adm_fork_begin())
        return;
    PyThreadState *thread = Py_IsInitialized() && PyGILState_Check() ? PyEval_SaveThread() : NULL;
    adm_fork_await();
    if (thread != NULL)
        PyEval_RestoreThread(thread);
}

static PyMethodDef hooks[] = {
    {"fork_begin", begin, METH_NOARGS, NULL},
    {"fork_end", end, METH_NOARGS, NULL},
};

/* ---- the other build ---- */

static const char REGIONS_NAME[] = "admin_py.regions";

/* What a build tells the other. */
typedef struct regions {
    bool (*inside)(void);
    void (*know)(bool (*inside)(void));
} regions;

static regions ours = {adm_inside_region, adm_region_know};

/* The builds meet in the interpreter's dict, by the capsule that the first of them leaves there. */
static int meet_other_build(void)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
    PyObject *key = PyUnicode_FromString(REGIONS_NAME);
    PyObject *found = dict == NULL || key == NULL ? NULL : PyDict_GetItemWithError(dict, key);
    int status = -1;
    if (found != NULL) {
        const regions *other = PyCapsule_GetPointer(found, REGIONS_NAME);
        if (other != NULL && other != &ours) {
            other->know(ours.inside);
            ours.know(other->inside);
        }
        status = other == NULL ? -1 : 0;
    } else if (key != NULL && !PyErr_Occurred()) {
        PyObject *capsule = dict == NULL ? NULL : PyCapsule_New(&ours, REGIONS_NAME, NULL);
        status = capsule == NULL ? -1 : PyDict_SetItem(dict, key, capsule);
        Py_XDECREF(capsule);
    }
    Py_XDECREF(key);
    return status;
}

int pyadm_forks_register(void)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *before = PyCFunction_New(&hooks[0], NULL), *after = PyCFunction_New(&hooks[1], NULL);
    PyObject *function = os == NULL ? NULL : PyObject_GetAttrString(os, "register_at_fork");
    PyObject *arguments = PyTuple_New(0);
    PyObject *keywords = before == NULL || after == NULL
                             ? NULL
                             : Py_BuildValue("{s:O,s:O}", "before", before, "after_in_parent", after);
    PyObject *done = function == NULL || arguments == NULL || keywords == NULL
                         ? NULL
                         : PyObject_Call(function, arguments, keywords);
    Py_XDECREF(os);
    Py_XDECREF(before);
    Py_XDECREF(after);
    Py_XDECREF(function);
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    if (done == NULL)
        return -1;
    Py_DECREF(done);
    (void)pthread_atfork(begin_unknown, adm_fork_end,
                         NULL); /* without memory for it such forks are as before */
    return meet_other_build();
}
