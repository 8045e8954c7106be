// Nothing odd, with the C++ operators: link with libstdc++, which throws for it.

#include "../core.h"
#include "../family.h"
#include "../operators.h"
#include "../exports.h"
