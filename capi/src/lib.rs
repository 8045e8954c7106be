//! The reference allocator as a C library: CPython's names and C's, for programs that link or preload it.
//!
//! ```text
//! malloc, free …              pymalloc over blocks cut from the kernel's pages       family, pages
//! PyObject_*, PyMem_*         pymalloc over the raw domain, with PEP 445's hooks     python
//! PyMem_Raw*                  the C library, hence the `malloc` above
//! ```
//!
//! The two heaps are apart. So a hook on the raw domain may call `malloc`, as those in CPython's documentation do. Each
//! has a lock; the first may be held when the second is taken, never the other way round.

mod family;
mod lock;
mod pages;
mod python;
