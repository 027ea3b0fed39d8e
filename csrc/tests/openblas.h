/* The OpenBLAS that the products are compared with, where there is one: the Makefile tells its file. */
#include "admin/system.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static bool load_openblas(void)
{
    const char *file = getenv("OPENBLAS");
    if (file == NULL || *file == '\0') {
        puts("there is no OpenBLAS: nothing was compared with it");
        return false;
    }
    adm_error error;
    if (adm_blas_load(file, &error) != ADM_OK) {
        puts(error.message);
        abort();
    }
    return true;
}
