/* The kernels for any processor: the oracle of the other tables. */
#define KERNELS_TABLE adm_kernels_generic
#define KERNELS_NAME "generic"
#include "kernels/table.inc"
