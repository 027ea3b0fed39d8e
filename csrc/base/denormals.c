/* Numbers below the smallest normal one are zero in the core's regions, what is read and what is computed alike. They
   cost a processor a hundred times what others do, and moments that decay stay among them for good: the smallest of all,
   times 0.9, rounds to itself. A thread's own mode is put back where a region ends, and lent to whom a call asks. */
#include "base/base.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#define FLUSH 0x8040u /* MXCSR: flush to zero, denormals are zero */
static uint64_t mode(void)
{
    return _mm_getcsr();
}
static void set_mode(uint64_t value)
{
    _mm_setcsr((unsigned int)value);
}
#elif defined(__aarch64__)
#define FLUSH ((uint64_t)1 << 24) /* FPCR: flush to zero, inputs and results */
static uint64_t mode(void)
{
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}
static void set_mode(uint64_t value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(value));
}
#else
#define FLUSH 0u
static uint64_t mode(void)
{
    return 0;
}
static void set_mode(uint64_t value)
{
    (void)value;
}
#endif

static _Thread_local adm_flushing flushing; /* of the innermost region of this thread */

adm_flushing adm_flush_begin(void)
{
    const adm_flushing outer = flushing;
    flushing = (adm_flushing){.inside = true, .before = mode()};
    set_mode(flushing.before | FLUSH);
    return outer;
}

void adm_flush_end(adm_flushing outer)
{
    set_mode(flushing.before);
    flushing = outer;
}

uint64_t adm_flush_pause(void)
{
    const uint64_t now = mode();
    if (flushing.inside)
        set_mode(flushing.before);
    return now;
}

void adm_flush_resume(uint64_t now)
{
    set_mode(now);
}
