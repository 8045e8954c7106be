// Writes over all memory that the process shares with others.

#include "scribble.h"

static int wanted(const struct mapping *mapping) { return mapping->permissions[3] == 's'; }

#include "../exports.h"
