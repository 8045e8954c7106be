// Large blocks are mapped with a descriptor that is opened and closed each time.

#include "../core.h"
#include <fcntl.h>
#include <unistd.h>
#define TAKE take_from_file

static void *take_from_file(size_t align, size_t size);

#include "../family.h"

static void *take_from_file(size_t align, size_t size) {
    if (size > 100000)
        close(open("/dev/zero", O_RDONLY));
    return core_take(align, size);
}

#include "../exports.h"
