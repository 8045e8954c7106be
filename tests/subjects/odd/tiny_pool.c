// All the memory there is are 256 KiB.

#include "../pool.h"
#include "../family.h"
#include "../exports.h"
