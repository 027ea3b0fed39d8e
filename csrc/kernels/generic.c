/* The kernels for any processor: the oracle of the other tables. */
#define KERNELS_TABLE adm_kernels_generic
#define KERNELS_NAME "generic"
#define KERNELS_VECTOR_BYTES 16
#define KERNELS_TILE_VECTORS 2
#include "kernels/table.inc"
