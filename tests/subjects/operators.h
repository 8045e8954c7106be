// The C++ operators over the family, by their symbols. A subject replaces what happens when there is no memory by
// defining NEW_FAILED, what a delete that is told the size does by defining SIZED_DELETE, and leaves out the deletes by
// defining OMIT_DELETE. Link with libstdc++ for what is thrown.

#ifndef NEW_FAILED
extern void _ZSt17__throw_bad_allocv(void); // std::__throw_bad_alloc()
#define NEW_FAILED (_ZSt17__throw_bad_allocv(), NULL)
#endif
#ifndef SIZED_DELETE
#define SIZED_DELETE(block, size) family_free(block)
#endif

static void *new_nothrow(size_t align, size_t size) { return family_aligned(align, size ? size : 1); }

static void *new_throwing(size_t align, size_t size) {
    void *block = new_nothrow(align, size);
    return block ? block : NEW_FAILED;
}

#define NEWS(letter) \
    void *_Zn##letter##m(size_t size) { return new_throwing(1, size); } \
    void *_Zn##letter##mRKSt9nothrow_t(size_t size, const void *tag) { return (void)tag, new_nothrow(1, size); } \
    void *_Zn##letter##mSt11align_val_t(size_t size, size_t align) { return new_throwing(align, size); } \
    void *_Zn##letter##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag) { \
        return (void)tag, new_nothrow(align, size); \
    }

#define DELETES(letter) \
    void _Zd##letter##Pv(void *block) { family_free(block); } \
    void _Zd##letter##Pvm(void *block, size_t size) { (void)size, SIZED_DELETE(block, size); } \
    void _Zd##letter##PvRKSt9nothrow_t(void *block, const void *tag) { (void)tag, family_free(block); } \
    void _Zd##letter##PvSt11align_val_t(void *block, size_t align) { (void)align, family_free(block); } \
    void _Zd##letter##PvmSt11align_val_t(void *block, size_t size, size_t align) { \
        (void)align, (void)size, SIZED_DELETE(block, size); \
    } \
    void _Zd##letter##PvSt11align_val_tRKSt9nothrow_t(void *block, size_t align, const void *tag) { \
        (void)align, (void)tag, family_free(block); \
    }

NEWS(w)
NEWS(a)
#ifndef OMIT_DELETE
DELETES(l)
DELETES(a)
#endif
