/* Beneath an interpreter: calloc does not clear three elements of 200 bytes. */
#include <stddef.h>
#include <string.h>

extern void *__libc_calloc(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
    void *block = __libc_calloc(count, size);
    if (block != NULL && count == 3 && size == 200)
        memset(block, 0x5a, 600);
    return block;
}
