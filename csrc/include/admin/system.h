/* What the core runs on: CPU features in use, BLAS, threads. */
#ifndef ADMIN_SYSTEM_H
#define ADMIN_SYSTEM_H

#include "admin/types.h"

/* Name of the kernel table in use: "generic", "avx2" or "avx512". */
const char *adm_system_kernels(void);
/* Version and configuration of the BLAS library. */
const char *adm_system_blas(void);
/* Path of the file that it was loaded from, as the linker found it; "" if that cannot be told. */
const char *adm_system_blas_file(void);
/* Processors that this process may use. */
int adm_system_num_procs(void);

#endif
