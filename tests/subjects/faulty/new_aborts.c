// operator new aborts when there is no memory, as where there are no exceptions.

#include "../core.h"
#include "../family.h"
#include <stdlib.h>
#define NEW_FAILED (abort(), NULL)
#include "../operators.h"
#include "../exports.h"
