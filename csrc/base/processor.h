/* Which instructions this processor has, and the system lets programs use. */
#ifndef ADM_PROCESSOR_H
#define ADM_PROCESSOR_H

#include <stdbool.h>

#ifdef __x86_64__
/* With multiply-adds (FMA). */
bool adm_has_avx2(void);
/* Foundation, DQ, BW and VL, and what adm_has_avx2 asks for. */
bool adm_has_avx512(void);
#endif

#endif
