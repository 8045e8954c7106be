// The shape of FreeRTOS's heap: two functions of other names around a pool. With WRAPS, the sum of the request and the
// header is not checked.

#define POOL ((size_t)64 << 10)
#include "../pool.h"
#include "../family.h"

void *pvPortMalloc(size_t size) {
#ifdef WRAPS
    size = size > SIZE_MAX - sizeof(struct piece) ? size + sizeof(struct piece) : size;
#endif
    return family_malloc(size);
}

void vPortFree(void *block) { family_free(block); }
