/* The moments of an Optimizer: memory that outlives it as long as there are views of it. */
#include "base/base.h"
#include "python/optimizer.h"

static const char MOMENTS_NAME[] = "admin_py.moments";

static void free_moments(PyObject *handle)
{
    moments *self = PyCapsule_GetPointer(handle, MOMENTS_NAME);
    adm_release(self->block, self->bytes);
    PyMem_Free(self);
}

size_t pyadm_moment_bytes(int64_t elements)
{
    return ((size_t)elements * sizeof(adm_real) + ADM_ALIGN - 1) / ADM_ALIGN * ADM_ALIGN;
}

PyObject *pyadm_moments_new(int64_t size_m, int64_t size_v, moments **result)
{
    moments *self = PyMem_Calloc(1, sizeof *self);
    if (self == NULL)
        return PyErr_NoMemory();
    self->size_m = size_m;
    self->size_v = size_v;
    self->bytes = pyadm_moment_bytes(size_m) + pyadm_moment_bytes(size_v);
    if (self->bytes == 0) /* of a part without elements */
        self->bytes = ADM_ALIGN;
    self->block = adm_alloc(self->bytes);
    if (self->block == NULL) {
        PyMem_Free(self);
        PyErr_Format(PyExc_MemoryError, "no memory for %lld and %lld moments", (long long)size_m,
                     (long long)size_v);
        return NULL;
    }
    self->m = self->block;
    self->v = (adm_real *)((char *)self->block + pyadm_moment_bytes(size_m));
    PyObject *handle = PyCapsule_New(self, MOMENTS_NAME, free_moments);
    if (handle == NULL) {
        adm_release(self->block, self->bytes);
        PyMem_Free(self);
        return NULL;
    }
    *result = self;
    return handle;
}
