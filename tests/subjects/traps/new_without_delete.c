// Replaces operator new and leaves operator delete to the C++ library, which calls free.

#include "../core.h"
#include "../family.h"
#define NEW_FAILED NULL
#define OMIT_DELETE
#include "../operators.h"
#include "../exports.h"
