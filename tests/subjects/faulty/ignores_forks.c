// A child has the lock closed if another thread had closed it when the child was made.

#define IGNORES_FORKS
#include "../core.h"
#include "../family.h"
#include "../exports.h"
