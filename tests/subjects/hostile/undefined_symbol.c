// Wants a variable that nobody has.

#include "../core.h"
#include "../family.h"

extern int no_such_variable;
int *wanted = &no_such_variable;

#include "../exports.h"
