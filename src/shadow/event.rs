//! What a subject with hooks asks of the sources behind it.

/// Where an allocator of CPython's kind gets its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The raw domain: `PyMem_RawMalloc` and its siblings.
    Raw,
    /// The arena allocator.
    Arena,
}

/// One request that reached a source, with its result. Addresses are numbers: nobody dereferences them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `raw.malloc(size) -> result`
    RawMalloc {
        /// bytes
        size: usize,
        /// address or 0
        result: usize,
    },
    /// `raw.calloc(count, size) -> result`
    RawCalloc {
        /// elements
        count: usize,
        /// bytes an element
        size: usize,
        /// address or 0
        result: usize,
    },
    /// `raw.realloc(block, size) -> result`
    RawRealloc {
        /// the old address
        block: usize,
        /// bytes
        size: usize,
        /// address or 0
        result: usize,
    },
    /// `raw.free(block)`
    RawFree {
        /// the address
        block: usize,
    },
    /// What the default of the raw domain asked of the C library to serve the raw request that is the next event:
    /// `calloc(count, size)`, or `malloc(size)` or `realloc(_, size)` with a count of 1.
    Library {
        /// elements
        count: usize,
        /// bytes an element
        size: usize,
    },
    /// `arena.alloc(size) -> result`
    ArenaAlloc {
        /// bytes
        size: usize,
        /// address or 0
        result: usize,
    },
    /// `arena.free(base, size)`
    ArenaFree {
        /// the address
        base: usize,
        /// bytes
        size: usize,
    },
}
