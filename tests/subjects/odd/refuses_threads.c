// A process in which no thread can be created.

#include "../core.h"
#include "../family.h"
#include "../exports.h"

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument) {
    (void)thread, (void)attributes, (void)work, (void)argument;
    return EAGAIN;
}
