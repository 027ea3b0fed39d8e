/* What a call in float32 asks computes in float64, while another thread's fork waits for that call. */
#include <admin/admin.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double loss_in_double(void);

#include "small.inc"

#define LONGEST 60        /* seconds, after which a process that hangs is ended by the alarm */
#define MOMENT 200000000L /* nanoseconds, for a fork to begin to wait */

static int asked, forking; /* whether it has come so far */

static void note_fork(void)
{
    __atomic_store_n(&forking, 1, __ATOMIC_SEQ_CST);
}

static void nap(long nanoseconds)
{
    const struct timespec time = {.tv_nsec = nanoseconds};
    (void)nanosleep(&time, NULL);
}

static bool compute_in_double(void *context)
{
    double *loss = context;
    if (!adm_inside_region())
        abort();
    __atomic_store_n(&asked, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&forking, __ATOMIC_SEQ_CST))
        nap(1000);
    nap(MOMENT);
    *loss = loss_in_double();
    return false;
}

static void *compute(void *loss)
{
    adm_stop stop = {.asked = compute_in_double, .context = loss};
    if (!(small_loss_until(&stop) > 0))
        abort();
    return NULL;
}

int main(void)
{
    pthread_t thread;
    double loss = 0;
    int status;
    const double alone = loss_in_double();
    (void)alarm(LONGEST);
    if (pthread_atfork(note_fork, NULL, NULL) != 0 || pthread_create(&thread, NULL, compute, &loss) != 0)
        return EXIT_FAILURE;
    while (!__atomic_load_n(&asked, __ATOMIC_SEQ_CST))
        nap(1000);
    const pid_t child = fork();
    if (child == 0)
        _exit(loss_in_double() == alone ? EXIT_SUCCESS : EXIT_FAILURE);
    if (pthread_join(thread, NULL) != 0 || waitpid(child, &status, 0) != child)
        return EXIT_FAILURE;
    return status != 0 || loss != alone;
}
