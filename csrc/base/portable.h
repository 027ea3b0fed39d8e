/* What systems do each in their own way: Linux, macOS. */
#ifndef ADM_PORTABLE_H
#define ADM_PORTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Sleeps while *state is `seen`, until it is woken or for no reason; wakes one thread that sleeps so. */
void adm_sleep_while(atomic_uint *state, unsigned int seen);
void adm_wake_one(atomic_uint *state);

/* Of whole pages that were mapped: asks for huge ones; lets them be zeros again, false if that cannot be had. */
void adm_pages_prefer_huge(void *pages, size_t size);
bool adm_pages_clear(void *pages, size_t size);

/* Of this thread. */
bool adm_is_main_thread(void);
/* The lowest byte of its stack, and how many there are; NULL: that cannot be told. */
void *adm_stack_of_thread(size_t *size);

#endif
