/* The functions of liballocspec_pymalloc.so: those of CPython's memory interface, which need no interpreter here. */
#ifndef ALLOCSPEC_PYMALLOC_H
#define ALLOCSPEC_PYMALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The raw domain: the C library. */
void *PyMem_RawMalloc(size_t size);
void *PyMem_RawCalloc(size_t count, size_t size);
void *PyMem_RawRealloc(void *block, size_t size);
void PyMem_RawFree(void *block);

/* Memory of any use: pymalloc. */
void *PyMem_Malloc(size_t size);
void *PyMem_Calloc(size_t count, size_t size);
void *PyMem_Realloc(void *block, size_t size);
void PyMem_Free(void *block);

/* Memory of objects: pymalloc, from the same pools. */
void *PyObject_Malloc(size_t size);
void *PyObject_Calloc(size_t count, size_t size);
void *PyObject_Realloc(void *block, size_t size);
void PyObject_Free(void *block);

typedef enum { PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ } PyMemAllocatorDomain;

typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *block, size_t size);
    void (*free)(void *ctx, void *block);
} PyMemAllocatorEx;

typedef struct {
    void *ctx;
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *base, size_t size);
} PyObjectArenaAllocator;

/* Not while another thread allocates. An unknown domain has an allocator of null pointers, and cannot be set. A hook on
   the raw domain or on arenas must not call the functions of the other two domains; it may call malloc. */
void PyMem_GetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx *allocator);
void PyMem_SetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx *allocator);
void PyObject_GetArenaAllocator(PyObjectArenaAllocator *allocator);
void PyObject_SetArenaAllocator(PyObjectArenaAllocator *allocator);

/* Before anything is live. */
void PyMem_SetupDebugHooks(void);

/* Types. PyMem_Resize overwrites p with null when it fails: what it led to is live still. */
#define PyMem_New(type, n) \
    ((size_t)(n) > PTRDIFF_MAX / sizeof(type) ? NULL : (type *)PyMem_Malloc((n) * sizeof(type)))
#define PyMem_Resize(p, type, n) \
    ((p) = (size_t)(n) > PTRDIFF_MAX / sizeof(type) ? NULL : (type *)PyMem_Realloc((p), (n) * sizeof(type)))

/* Other names. */
#define PyMem_MALLOC(n) PyMem_Malloc(n)
#define PyMem_REALLOC(p, n) PyMem_Realloc(p, n)
#define PyMem_FREE(p) PyMem_Free(p)
#define PyMem_Del(p) PyMem_Free(p)
#define PyMem_DEL(p) PyMem_Free(p)
#define PyMem_NEW(type, n) PyMem_New(type, n)
#define PyMem_RESIZE(p, type, n) PyMem_Resize(p, type, n)
#define PyObject_MALLOC(n) PyObject_Malloc(n)
#define PyObject_REALLOC(p, n) PyObject_Realloc(p, n)
#define PyObject_FREE(p) PyObject_Free(p)
#define PyObject_Del(p) PyObject_Free(p)
#define PyObject_DEL(p) PyObject_Free(p)

#ifdef __cplusplus
}
#endif

#endif
