/* Numbers below the smallest normal one are zero in the core's regions, what is read and what is computed alike. They
   cost a processor a hundred times what others do, and moments that decay stay among them for good: the smallest of all,
   times 0.9, rounds to itself. A thread's own mode is put back where a region ends, and lent to whom a call asks. */
#include "base/base.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
static uint64_t flush(void)
{
    return 0x8040u; /* MXCSR: flush to zero, denormals are zero */
}
static uint64_t mode(void)
{
    return _mm_getcsr();
}
static void set_mode(uint64_t value)
{
    _mm_setcsr((unsigned int)value);
}
#elif defined(__aarch64__)
#define FZ ((uint64_t)1 << 24) /* FPCR: results become zero, before they are rounded, and inputs, ... */
#define AH ((uint64_t)1 << 1)  /* ... or results after they are rounded, as x86 does, ... */
#define FIZ ((uint64_t)1 << 0) /* ... and inputs by themselves, where the processor can */
static uint64_t flush_bits = FZ; /* constant once the library is loaded */

#ifdef __linux__
#include <sys/auxv.h>
#define SAYS_FEATURES ((unsigned long)1 << 11)
#define AFP_SHIFT 44 /* of the feature that is AH and FIZ */

__attribute__((constructor)) static void look_for_afp(void)
{
    uint64_t features = 0;
    if ((getauxval(AT_HWCAP) & SAYS_FEATURES) != 0)
        __asm__("mrs %0, ID_AA64MMFR1_EL1" : "=r"(features));
    if ((features >> AFP_SHIFT & 15) != 0)
        flush_bits = FZ | AH | FIZ;
}
#endif

static uint64_t flush(void)
{
    return flush_bits;
}
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
static uint64_t flush(void)
{
    return 0;
}
static uint64_t mode(void)
{
    return 0;
}
static void set_mode(uint64_t value)
{
    (void)value;
}
#endif

bool adm_flush_rounds_first(void)
{
#ifdef __aarch64__
    return (flush() & AH) != 0;
#else
    return true;
#endif
}

static _Thread_local adm_flushing flushing; /* of the innermost region of this thread */

adm_flushing adm_flush_begin(void)
{
    const adm_flushing outer = flushing;
    flushing = (adm_flushing){.inside = true, .before = mode()};
    set_mode(flushing.before | flush());
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
