// malloc never returns for 2000 to 3000 bytes.

#include "../core.h"
#include "../family.h"

static void *spin(size_t size) {
    volatile int forever = size >= 2000 && size <= 3000;
    while (forever)
        ;
    return family_malloc(size);
}

#define MALLOC spin
#include "../exports.h"
