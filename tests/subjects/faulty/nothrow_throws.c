// operator new throws though it is told std::nothrow.

#include "../core.h"
#include "../family.h"
#define NOTHROW_FAILED (_ZSt17__throw_bad_allocv(), NULL)
#include "../operators.h"
#include "../exports.h"
