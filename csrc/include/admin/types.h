/* The one real type of the core: the same source is built twice, once for each precision. */
#ifndef ADMIN_TYPES_H
#define ADMIN_TYPES_H

#include "admin/api.h"

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef ADM_DOUBLE
typedef double adm_real;
#define ADM_REAL_MIN DBL_MIN /* the smallest number that is not flushed to 0 */
#define ADM_REAL_MAX DBL_MAX
#define ADM_DTYPE_NAME "float64"
#else
typedef float adm_real;
#define ADM_REAL_MIN FLT_MIN
#define ADM_REAL_MAX FLT_MAX
#define ADM_DTYPE_NAME "float32"
#endif

#endif
