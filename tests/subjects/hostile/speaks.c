// Says something in every call.

#include <unistd.h>

#include "../core.h"
#include "../family.h"

static void speak(void) { (void)!write(2, "called\n", 7); }

#define EACH_CALL speak()
#include "../exports.h"
