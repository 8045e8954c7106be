// What throws_derived.c throws.

#include <new>

namespace {
struct Told { virtual ~Told() = default; };
struct NoMemory : std::bad_alloc {};
struct NoMemoryTold : Told, NoMemory {};
bool twice;
}

extern "C" __attribute__((visibility("hidden"))) void throw_derived() {
    twice = !twice;
    if (twice)
        throw NoMemory();
    throw NoMemoryTold();
}
