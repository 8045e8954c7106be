// Has no aligned_alloc; a library it depends on has one, and dlsym would find that.

#define OMIT_ALIGNED_ALLOC
#include "../core.h"
#include "../family.h"
#include "../exports.h"
