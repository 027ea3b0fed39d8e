/* Float32: the other half of this program, in the same process, computes in float64. */
#include <admin/admin.h>

#include <stdio.h>

double loss_in_double(void);

#include "small.inc"

int main(void)
{
    const double single = small_loss_until(NULL), twice = loss_in_double();
    printf("%zu %.17g %.17g\n", sizeof(adm_real), single, twice);
    return !(single != twice && single - twice < 1e-5 && twice - single < 1e-5);
}
