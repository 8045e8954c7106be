/* Threads that allocate, pass blocks to each other and fork while they do. What a child allocates is its own. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 20000, SLOTS = 64, FORKS = 40 };

struct block {
    unsigned char *bytes;
    size_t size;
    unsigned char fill;
};

static struct block shared[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    _exit(1);
}

static void verify(const struct block *block) {
    for (size_t i = 0; i < block->size; i++)
        if (block->bytes[i] != block->fill) fail("a block has changed");
}

static void *work(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int round = 0; round < ROUNDS; round++) {
        struct block block;
        block.size = rand_r(&seed) % 100 == 0 ? rand_r(&seed) % 100000 : rand_r(&seed) % 600;
        block.fill = (unsigned char)rand_r(&seed);
        block.bytes = malloc(block.size);
        if (!block.bytes) fail("no memory");
        memset(block.bytes, block.fill, block.size);
        size_t slot = rand_r(&seed) % SLOTS;
        pthread_mutex_lock(&lock);
        struct block other = shared[slot];
        shared[slot] = block;
        pthread_mutex_unlock(&lock);
        verify(&other);
        if (round % 3 == 0) other.bytes = realloc(other.bytes, other.size / 2 + 1);
        free(other.bytes);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(i + 1))) fail("no thread");
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child < 0) fail("no process");
        if (child == 0) {
            for (int n = 0; n < 1000; n++) {
                char *p = malloc(n), *q = calloc(3, n);
                if (!p || !q) fail("no memory in a child");
                free(p);
                free(q);
            }
            _exit(0);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) fail("a child failed");
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    puts("done");
    return 0;
}
