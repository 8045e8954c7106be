// operator new returns NULL when there is no memory.

#include "../core.h"
#include "../family.h"
#define NEW_FAILED NULL
#include "../operators.h"
#include "../exports.h"
