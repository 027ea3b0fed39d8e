/* What the core runs on: CPU features in use, BLAS, threads. */
#ifndef ADMIN_SYSTEM_H
#define ADMIN_SYSTEM_H

#include "admin/status.h"
#include "admin/types.h"

ADM_BEGIN

#define ADM_VERSION "0.1.0"
/* ADM_VERSION of the library that is linked. */
ADM_API const char *adm_version(void);

/* What the core computes with: one of the tables that it was built with, all of them constant. */
typedef struct adm_kernels adm_kernels;

/* The best table for this processor, or the one that the environment variable ADMIN_PY_CPU names if the processor
   can run it; with ADMIN_PY_GEMM=openblas its products are those of the BLAS library that was loaded, if one was. Nothing
   else in the core reads the environment, so that a program whose threads change it can keep them from doing so
   meanwhile. */
ADM_API const adm_kernels *adm_kernels_select(void);
/* "generic", "avx2", "avx512" or "neon" */
ADM_API const char *adm_kernels_name(const adm_kernels *kernels);
/* Loads OpenBLAS from a file, to take products from it where they are asked for; one that is loaded stays. */
ADM_API adm_status adm_blas_load(const char *file, adm_error *error);
/* Version and configuration of the BLAS library that is loaded; "none" if there is none. */
ADM_API const char *adm_system_blas(void);
/* The file that it was loaded from; "" if there is none. */
ADM_API const char *adm_system_blas_file(void);
/* Processors that this process may use. */
ADM_API int adm_system_num_procs(void);

ADM_END

#endif
