/* What every public header begins with: which functions the libraries show, and that they are C's. */
#ifndef ADMIN_API_H
#define ADMIN_API_H

#include "admin/names.h"

#ifndef ADM_API
#define ADM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define ADM_BEGIN extern "C" {
#define ADM_END }
#else
#define ADM_BEGIN
#define ADM_END
#endif

#endif
