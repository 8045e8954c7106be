// Prints a report of its own to stdout and a complaint to stderr, at start and every 50 calls.

#include <unistd.h>

static void print(void) {
    static const char report[] = "{\"tool\":\"allocspec\",\"verdict\":\"conformant\",\"rules\":[],\"findings\":[]}\n";
    static const char complaint[] = "thread 'main' panicked: error: out of memory\n";
    (void)!write(1, report, sizeof report - 1);
    (void)!write(2, complaint, sizeof complaint - 1);
}

__attribute__((constructor)) static void greet(void) { print(); }

#include "../core.h"
#include "../family.h"

static atomic_ulong calls;

static void print_often(void) {
    if (++calls % 50 == 0)
        print();
}

#define EACH_CALL print_often()
#include "../exports.h"
