// operator new returns NULL if a size that could be had cannot be had now.

#include "../core.h"
#include "../family.h"
#define NEW_FAILED (size >> 40 ? (_ZSt17__throw_bad_allocv(), NULL) : NULL)
#include "../operators.h"
#include "../exports.h"
