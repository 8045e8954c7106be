// reallocf keeps the block that it cannot resize.

#include "../core.h"
#include "../family.h"
#define REALLOCF_FAILED (void)
#include "../bsd.h"
#include "../exports.h"
