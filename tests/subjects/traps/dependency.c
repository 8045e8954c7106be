// The other library: serves aligned_alloc, at addresses that are never aligned.

#include "../core.h"
#include "../family.h"
#ifdef PREFIX
#define JOIN(prefix, name) prefix##name
#define EXPAND(prefix, name) JOIN(prefix, name)
#define FN(name) EXPAND(PREFIX, name)
#else
#define FN(name) name
#endif

void *FN(aligned_alloc)(size_t align, size_t size) {
    (void)align;
    return (char *)family_malloc(size + 16) + 8;
}
