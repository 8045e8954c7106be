// Throws an exception that has std::bad_alloc for one of its bases: link with throws_derived.cc, and with a C++ library.

extern void throw_derived(void);
#define NEW_FAILED (throw_derived(), NULL)

#include "../core.h"
#include "../family.h"
#include "../operators.h"
#include "../exports.h"
