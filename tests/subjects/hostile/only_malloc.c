// malloc and nothing to go with it: libc would be handed its blocks to free.

#include "../core.h"
#include "../family.h"

void *malloc(size_t size) { return family_malloc(size); }
