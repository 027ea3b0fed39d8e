/* Signals during long calls into the core: Python's handlers run in the main thread, when that has the GIL. */
#include "python/module.h"

#include "base/base.h"
#include "base/portable.h"

#include <unistd.h>

/* The child of a fork in a handler, which has come back from it: it says so and leaves, as it asked for or by a failure. */
static void leave_child(bool raised)
{
    if (!raised)
        PyErr_SetString(PyExc_RuntimeError,
                        "a signal's handler forked this process amid a call of the core, whose other threads "
                        "are not here: the child must end in the handler");
    PyErr_Print();
    _exit(EXIT_FAILURE);
}

/* Whether a handler has raised an exception, which stays with the thread. */
static bool handle_signals(void *context)
{
    pyadm_watch *watch = context;
    PyEval_RestoreThread(watch->thread);
    const bool raised = PyErr_CheckSignals() < 0;
    if (watch->process != getpid() && adm_fork_lost_threads())
        leave_child(raised);
    watch->thread = PyEval_SaveThread();
    return raised;
}

void pyadm_watch_begin(pyadm_watch *watch, adm_run *run)
{
    *watch = (pyadm_watch){.stop = {.asked = handle_signals, .context = watch}, .process = getpid()};
    adm_stop_begin(&watch->stop);
    run->stop = adm_is_main_thread() ? &watch->stop : NULL;
    watch->thread = PyEval_SaveThread();
}

/* Once, if there is reason to. What is raised by the call stays so. */
static void warn_of_missing_threads(void)
{
    const int threads = adm_threads_missing();
    if (threads == 0)
        return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyErr_WarnFormat(
            PyExc_RuntimeWarning, 1,
            "a limit of the system (processes, or memory for stacks) leaves %d of the threads that "
            "were asked for: results are the same, and take longer",
            threads) < 0)
        PyErr_WriteUnraisable(NULL);
    PyErr_Restore(type, value, traceback);
}

void pyadm_watch_end(const pyadm_watch *watch, adm_run *run)
{
    PyEval_RestoreThread(watch->thread);
    run->stop = NULL;
    warn_of_missing_threads();
}
