// Marks what is freed, and stops a program that frees it again.

#include "../core.h"
#define TAKE unmarked_take

static lock_t marking = ATOMIC_FLAG_INIT;

static void begin_marking(void) {
    lock(&marking);
}

static void end_marking(void) {
    unlock(&marking);
}

__attribute__((constructor)) static void start_marking(void) {
    pthread_atfork(begin_marking, end_marking, end_marking);
}

// Not between a free and its mark.
static void *unmarked_take(size_t align, size_t size) {
    begin_marking();
    void *block = core_take(align, size);
    end_marking();
    return block;
}

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
    begin_marking();
    int small = header_of(header_of(block)->origin)->usable + sizeof(struct header) <= (size_t)1 << LARGEST;
    family_free(block);
    if (small)
        header_of(block)->origin = NULL;
    end_marking();
}

#define FREE free_once
#include "../exports.h"
