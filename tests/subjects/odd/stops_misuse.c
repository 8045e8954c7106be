// Marks what is freed, and stops a program that frees it again.

#include "../core.h"
#include "../family.h"
#include <stdlib.h>
#include <unistd.h>

static void free_once(void *block) {
    static const char told[] = "stops_misuse: freed twice\n";
    if (!block)
        return;
    if (!header_of(block)->origin) {
        if (write(2, told, sizeof told - 1) < 0)
            _exit(3);
        abort();
    }
    int small = header_of(header_of(block)->origin)->usable + sizeof(struct header) <= (size_t)1 << LARGEST;
    family_free(block);
    if (small)
        header_of(block)->origin = NULL;
}

#define FREE free_once
#include "../exports.h"
