// Takes itself out of the environment, so that the programs its host starts are spared.

#include "../core.h"
#include "../family.h"
#include <stdlib.h>

__attribute__((constructor)) static void hide(void) { unsetenv("LD_PRELOAD"); }

#include "../exports.h"
