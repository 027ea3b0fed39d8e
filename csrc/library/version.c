#include "admin/system.h"

const char *adm_version(void)
{
    return ADM_VERSION;
}
