// free looks for the header of NULL. The C library itself frees NULL as a process starts, so the test prefixes the names.

#include "../core.h"
#include "../family.h"

#define FREE core_give
#include "../exports.h"
