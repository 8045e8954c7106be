//! The reference allocator: pymalloc, CPython's allocator of small objects.
//!
//! Requests of 1 to 512 bytes are rounded up to one of 32 classes and served from *pools* of 16 KiB, each holding
//! blocks of one class; pools are carved out of *arenas* of 1 MiB; everything else goes to the *raw* domain. What can
//! be seen from outside is CPython's to the byte: every address relative to its arena, every request to the raw domain
//! and to the arena allocator, and their order. These are the numbers of [`P16kR64`], the layout of CPython 3.11 and
//! later on 64-bit machines; what differs between versions and builds stands in a [`Layout`], and [`Build`] names those
//! that there are.
//!
//! Where the memory comes from is for the user to say: [`Raw`] and [`ArenaSource`] are the two hooks that CPython has,
//! monomorphised. Where allocators are to be set while the program runs, as PEP 445 has it, [`Domains`] are what CPython
//! exports, and a [`Runtime`] has them with the defaults of a version. The room knows nothing of the harness and uses
//! nothing of it.
//!
//! ```
//! use allocspec::pymalloc::{DefaultRaw, Mmap, P16kR64, Pymalloc};
//!
//! let mut heap = Box::new(Pymalloc::<P16kR64>::new(DefaultRaw::new(), Mmap::new()));
//! let block = heap.malloc(100);
//! assert!(!block.is_null() && block.addr() % 16 == 0);
//! // SAFETY: `block` is live, and is not used again.
//! unsafe { heap.free(block) };
//! assert_eq!(heap.allocated_blocks(), 0);
//! ```

mod alloc;
mod amiss;
mod arena;
mod builds;
mod debug;
mod domains;
mod fault;
mod hooks;
mod invariants;
mod layout;
mod pool;
mod radix;
mod realloc;
mod runtime;
mod source;
#[cfg(test)]
mod tests;
mod usage;

pub use alloc::{Pymalloc, SIZE_LIMIT};
pub use arena::Statistics;
pub use builds::*;
pub use debug::{Abort, Alarm, Debug, Domain, Gil, OneThread, Resizing, Serial, Style};
pub use domains::{Domains, PresentArenas, PublicRaw};
pub use fault::{Fault, Faults, Planted, Sound};
pub use hooks::{Allocator, ArenaAllocator, Trusted};
pub use layout::{Geometry, Layout, MAX_CLASSES, Nothing};
pub use radix::{ArenaMap, OutOfMemory, OwnNodes, Radix};
pub use runtime::Runtime;
pub use source::{ArenaSource, CLibrary, DefaultRaw, Mmap, Raw};
pub use usage::{ClassUsage, Usage};
