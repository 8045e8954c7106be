// operator new refuses sizes that are no multiple of the alignment.

#include "../core.h"
#include "../family.h"
#define REFUSES(align, size) (size % align != 0)
#include "../operators.h"
#include "../exports.h"
