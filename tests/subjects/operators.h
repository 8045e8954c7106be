// The C++ operators over the family, by their symbols. A subject replaces what happens when there is no memory by
// defining NEW_FAILED and NOTHROW_FAILED, who is asked before by defining NEW_HANDLER, which requests are refused by
// defining REFUSES, what a delete does by defining DELETE, and one that is told the size by defining SIZED_DELETE. It leaves out the deletes by defining OMIT_DELETE, those
// that are not told the size by defining OMIT_UNSIZED. Link with libstdc++ for what is thrown.

extern void _ZSt17__throw_bad_allocv(void); // std::__throw_bad_alloc()

#ifndef NEW_FAILED
#define NEW_FAILED (_ZSt17__throw_bad_allocv(), NULL)
#endif
#ifndef NOTHROW_FAILED
#define NOTHROW_FAILED NULL
#endif
extern void (*_ZSt15get_new_handlerv(void))(void) __attribute__((weak)); // std::get_new_handler()
#ifndef NEW_HANDLER
#define NEW_HANDLER (_ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL)
#endif
#ifndef REFUSES
#define REFUSES(align, size) 0
#endif
#ifndef DELETE
#define DELETE(block) family_free(block)
#endif
#ifndef SIZED_DELETE
#define SIZED_DELETE(block, size) DELETE(block)
#endif

static void *new_block(size_t align, size_t size) {
    for (;;) {
        void (*handler)(void);
        void *block = REFUSES(align, size) ? NULL : family_aligned(align, size ? size : 1);
        if (block || !(handler = NEW_HANDLER))
            return block;
        handler();
    }
}

static void *new_nothrow(size_t align, size_t size) {
    void *block = new_block(align, size);
    return block ? block : NOTHROW_FAILED;
}

static void *new_throwing(size_t align, size_t size) {
    void *block = new_block(align, size);
    return block ? block : NEW_FAILED;
}

#define NEWS(letter) \
    void *_Zn##letter##m(size_t size) { return new_throwing(1, size); } \
    void *_Zn##letter##mRKSt9nothrow_t(size_t size, const void *tag) { return (void)tag, new_nothrow(1, size); } \
    void *_Zn##letter##mSt11align_val_t(size_t size, size_t align) { return new_throwing(align, size); } \
    void *_Zn##letter##mSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag) { \
        return (void)tag, new_nothrow(align, size); \
    }

#define SIZED_DELETES(letter) \
    void _Zd##letter##Pvm(void *block, size_t size) { (void)size, SIZED_DELETE(block, size); } \
    void _Zd##letter##PvmSt11align_val_t(void *block, size_t size, size_t align) { \
        (void)align, (void)size, SIZED_DELETE(block, size); \
    }

#define UNSIZED_DELETES(letter) \
    void _Zd##letter##Pv(void *block) { DELETE(block); } \
    void _Zd##letter##PvRKSt9nothrow_t(void *block, const void *tag) { (void)tag, DELETE(block); } \
    void _Zd##letter##PvSt11align_val_t(void *block, size_t align) { (void)align, DELETE(block); } \
    void _Zd##letter##PvSt11align_val_tRKSt9nothrow_t(void *block, size_t align, const void *tag) { \
        (void)align, (void)tag, DELETE(block); \
    }

NEWS(w)
NEWS(a)
#ifndef OMIT_DELETE
SIZED_DELETES(l)
SIZED_DELETES(a)
#ifndef OMIT_UNSIZED
UNSIZED_DELETES(l)
UNSIZED_DELETES(a)
#endif
#endif
