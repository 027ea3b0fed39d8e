/* Signals during long calls into the core: Python's handlers run in the main thread, when that has the GIL. */
#define _GNU_SOURCE
#include "python/module.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Whether a handler has raised an exception, which stays with the thread. */
static bool handle_signals(void *context)
{
    pyadm_watch *watch = context;
    PyEval_RestoreThread(watch->thread);
    const bool raised = PyErr_CheckSignals() < 0;
    watch->thread = PyEval_SaveThread();
    return raised;
}

/* The one whose number is the process's, also after a fork. */
static bool in_main_thread(void)
{
    return syscall(SYS_gettid) == (long)getpid();
}

void pyadm_watch_begin(pyadm_watch *watch, adm_run *run)
{
    *watch = (pyadm_watch){.stop = {.asked = handle_signals, .context = watch}};
    adm_stop_begin(&watch->stop);
    run->stop = in_main_thread() ? &watch->stop : NULL;
    watch->thread = PyEval_SaveThread();
}

void pyadm_watch_end(const pyadm_watch *watch, adm_run *run)
{
    PyEval_RestoreThread(watch->thread);
    run->stop = NULL;
}
