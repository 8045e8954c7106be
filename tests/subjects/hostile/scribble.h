// On the 100th malloc writes over every writable mapping for which the subject's `wanted` says yes.

#include "../core.h"
#include "../family.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct mapping {
    unsigned long from, to;
    char permissions[5];
    char path[512]; // empty for anonymous memory
};

static int wanted(const struct mapping *mapping);

static int inside(const struct mapping *mapping, const void *address) {
    return (unsigned long)address >= mapping->from && (unsigned long)address < mapping->to;
}

static void scribble(void) {
    static char text[1 << 20];
    size_t length = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY);
    while (length < sizeof text - 1 && (got = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    for (char *line = text; *line;) {
        struct mapping mapping = {0};
        char *end = strchr(line, '\n');
        if (!end)
            return;
        *end = 0;
        sscanf(line, "%lx-%lx %4s %*s %*s %*s %511[^\n]", &mapping.from, &mapping.to, mapping.permissions, mapping.path);
        line = end + 1;
        if (mapping.permissions[1] == 'w' && !inside(&mapping, text) && wanted(&mapping))
            memset((void *)mapping.from, 0xDB, mapping.to - mapping.from);
    }
}

static atomic_ulong calls;

static void *scribble_late(size_t size) {
    if (++calls == 100)
        scribble();
    return family_malloc(size);
}

#define MALLOC scribble_late
