/* What files of models have in common, written or read: the safetensors format. */
#ifndef ADM_LIBRARY_TENSORS_H
#define ADM_LIBRARY_TENSORS_H

#define ADM_FILE_FORMAT "admin-py model"
#define ADM_FILE_VERSION "1"
#define ADM_FILE_HEADER_MOST 100000000 /* bytes, by the specification */
#define ADM_FILE_METADATA "__metadata__"

#ifdef ADM_DOUBLE
#define ADM_FILE_TYPE "F64"
#else
#define ADM_FILE_TYPE "F32"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

#endif
