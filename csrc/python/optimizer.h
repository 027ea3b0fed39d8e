/* What the files of the type Optimizer share. */
#ifndef ADM_PYTHON_OPTIMIZER_H
#define ADM_PYTHON_OPTIMIZER_H

#include "python/module.h"

/* One block: m, then v. Owned by a capsule that is the base of their views. */
typedef struct moments {
    adm_real *m, *v;
    int64_t size_m, size_v;
    void *block;
    size_t bytes;
} moments;

typedef struct optimizer {
    PyObject_HEAD PyObject *handle; /* capsule of the moments; NULL before the first step */
    PyObject *weakrefs;
    adm_optim_config config;
    moments *moments; /* the capsule's, or NULL */
    int64_t step;     /* updates made */
    pid_t user;       /* as of pyadm_model */
} optimizer;

/* ---- moments.c ---- */

/* Of so many moments, with what aligns those that follow. */
size_t pyadm_moment_bytes(int64_t elements);

/* A capsule of zeroed moments; *result is what it owns, unchanged where there is no capsule. */
PyObject *pyadm_moments_new(int64_t size_m, int64_t size_v, moments **result);

/* ---- optimizer.c ---- */

/* What a step is given in Python; both objects are marked busy between begin and end. */
typedef struct step_call {
    pyadm_model *model;
    adm_optim_input input;
} step_call;

/* Reads the arguments of a step, of which lr and scale may be NULL, and marks both objects busy until pyadm_step_end.
   -1 with an exception. */
int pyadm_step_begin(optimizer *self, PyObject *model, PyObject *lr, PyObject *scale, step_call *call);
void pyadm_step_end(optimizer *self, step_call *call);

/* An update of all (parts NULL), or of so many parts, which have their moments one after the other and give no norm; both
   objects are busy. -1 with an exception. */
int pyadm_step(optimizer *self, step_call *call, const adm_optim_part *parts, int count, double *norm);

/* ---- parts.c ---- */

PyObject *pyadm_optimizer_part_squares(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *pyadm_optimizer_step_part(PyObject *self, PyObject *args, PyObject *keywords);
extern const char pyadm_part_squares_doc[], pyadm_step_part_doc[];

#endif
