// Has no lock: what two threads do at once damages the lists of free blocks.

#define UNLOCKED

#include "../core.h"
#include "../family.h"
#include "../exports.h"
