/* The whole public C API. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/analysis.h"
#include "admin/config.h"
#include "admin/decoder.h"
#include "admin/defaults.h"
#include "admin/files.h"
#include "admin/model.h"
#include "admin/norms.h"
#include "admin/optim.h"
#include "admin/product.h"
#include "admin/search.h"
#include "admin/status.h"
#include "admin/stop.h"
#include "admin/system.h"
#include "admin/types.h"
#include "admin/work.h"

#endif
