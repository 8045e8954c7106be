// Replaces operator delete with the size and leaves that without to the C++ library.

#include "../core.h"
#include "../family.h"
#define OMIT_UNSIZED
#include "../operators.h"
#include "../exports.h"
