// operator delete throws.

#include "../core.h"
#include "../family.h"
#define DELETE(block) (void)((block) && (_ZSt17__throw_bad_allocv(), 1))
#include "../operators.h"
#include "../exports.h"
