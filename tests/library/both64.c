#define ADM_DOUBLE
#include <admin/admin.h>

double loss_in_double(void);

#include "small.inc"

double loss_in_double(void)
{
    return small_loss_until(NULL);
}
