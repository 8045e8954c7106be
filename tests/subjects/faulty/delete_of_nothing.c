// operator delete with a size of 0 takes it that there is nothing to free.

#include "../core.h"
#include "../family.h"
#define NEW_FAILED NULL
#define SIZED_DELETE(block, size) ((size) ? family_free(block) : (void)0)
#include "../operators.h"
#include "../exports.h"
