//! Allocators under test, behind one trait.

pub mod faulty;
pub mod interpreter;
mod locked;
mod log;
pub mod mutants;
mod native;
mod pymalloc;
pub mod reference;
pub mod threaded;
mod throwing;

use crate::program::{Call, Operator};
pub use crate::shadow::{Event, Source, Thrown};
pub use locked::Locked;
pub use native::Native;
pub use reference::Reference;

/// `std::new_handler`.
pub type NewHandler = extern "C" fn();
/// `std::set_new_handler`: it returns the handler before.
pub type SetNewHandler = unsafe extern "C" fn(Option<NewHandler>) -> Option<NewHandler>;

/// An allocator under test.
///
/// The methods are the C entry points with C's meaning, arguments and `errno`. Only those for which
/// [`provides`](Subject::provides) answers yes are called; the others keep their default body.
///
/// # Safety
///
/// Callers pass what the C function of that name may be passed: a pointer is null or a live block of this subject.
/// What comes back is not to be trusted; it is the thing under test.
#[allow(
    clippy::missing_safety_doc,
    reason = "one contract for all, stated on the trait"
)]
pub trait Subject {
    /// Whether the subject reports what it asks of its raw and arena sources, see [`Subject::events`].
    const HOOKED: bool = false;

    /// Whether the subject has the entry point behind `call`.
    fn provides(&self, call: Call) -> bool;

    /// `malloc`
    unsafe fn malloc(&mut self, size: usize) -> *mut u8;
    /// `calloc`
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8;
    /// `realloc`
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8;
    /// `free`
    unsafe fn free(&mut self, block: *mut u8);
    /// `reallocarray`
    unsafe fn reallocarray(&mut self, _block: *mut u8, _count: usize, _size: usize) -> *mut u8 {
        absent()
    }
    /// `reallocf`
    unsafe fn reallocf(&mut self, _block: *mut u8, _size: usize) -> *mut u8 {
        absent()
    }
    /// `recallocarray`
    unsafe fn recallocarray(
        &mut self,
        _block: *mut u8,
        _old: usize,
        _count: usize,
        _size: usize,
    ) -> *mut u8 {
        absent()
    }
    /// `freezero`
    unsafe fn freezero(&mut self, _block: *mut u8, _size: usize) {
        absent()
    }
    /// `free_sized`
    unsafe fn free_sized(&mut self, _block: *mut u8, _size: usize) {
        absent()
    }
    /// `free_aligned_sized`
    unsafe fn free_aligned_sized(&mut self, _block: *mut u8, _alignment: usize, _size: usize) {
        absent()
    }
    /// `aligned_alloc`
    unsafe fn aligned_alloc(&mut self, _alignment: usize, _size: usize) -> *mut u8 {
        absent()
    }
    /// `posix_memalign`
    unsafe fn posix_memalign(
        &mut self,
        _out: *mut *mut u8,
        _alignment: usize,
        _size: usize,
    ) -> i32 {
        absent()
    }
    /// `memalign`
    unsafe fn memalign(&mut self, _alignment: usize, _size: usize) -> *mut u8 {
        absent()
    }
    /// `valloc`
    unsafe fn valloc(&mut self, _size: usize) -> *mut u8 {
        absent()
    }
    /// `pvalloc`
    unsafe fn pvalloc(&mut self, _size: usize) -> *mut u8 {
        absent()
    }
    /// The `operator new` of this form; the alignment is 0 where it takes none.
    ///
    /// # Errors
    ///
    /// What it threw.
    unsafe fn operator_new(
        &mut self,
        _form: Operator,
        _size: usize,
        _alignment: usize,
    ) -> Result<*mut u8, Thrown> {
        absent()
    }
    /// The `operator delete` of this form, which is told of size and alignment what it takes.
    ///
    /// # Errors
    ///
    /// What it threw.
    unsafe fn operator_delete(
        &mut self,
        _form: Operator,
        _block: *mut u8,
        _size: usize,
        _alignment: usize,
    ) -> Result<(), Thrown> {
        absent()
    }
    /// The `std::set_new_handler` of the C++ library that its operators ask, if there is one.
    fn set_new_handler(&self) -> Option<SetNewHandler> {
        None
    }
    /// `malloc_usable_size`
    unsafe fn malloc_usable_size(&mut self, _block: *mut u8) -> usize {
        absent()
    }
    /// `malloc_trim`
    unsafe fn malloc_trim(&mut self, _pad: usize) -> i32 {
        absent()
    }

    /// What the subject asked of its sources since [`clear_events`](Subject::clear_events), oldest first.
    fn events(&self) -> &[Event] {
        &[]
    }
    /// Forgets the events so far.
    fn clear_events(&mut self) {}
    /// Lets the `nth` request to `source` from now on fail, and only it; 0 cancels.
    fn fail(&mut self, _source: Source, _nth: u64) {}
    /// Displaces the base of arenas obtained from now on by this many bytes.
    fn shift_arenas(&mut self, _bytes: usize) {}
    /// Makes the subject as it was when it was new, if it knows how to.
    ///
    /// No block may be used afterwards. What a subject cannot take back by itself is lost.
    unsafe fn renew(&mut self) {}
    /// The same subject for another thread, `None` if it serves one alone. Whoever gives one promises that it may be sent to
    /// that thread, and used there while this one is used here.
    fn sibling(&mut self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
    /// The thread that uses this one ends: the part of the destructor of thread-specific data that an allocator has, for
    /// subjects that can have none.
    fn leave(&mut self) {}
    /// Whether a process may fork while other threads use siblings: it takes what the subject has registered for that.
    fn survives_forks(&self) -> bool {
        true
    }
    /// The number of blocks the subject believes are live, if it counts them.
    fn live_blocks(&self) -> Option<usize> {
        None
    }
    /// Checks the subject's own invariants, if it knows how to.
    ///
    /// # Errors
    ///
    /// Says which invariant does not hold.
    fn check_invariants(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The body of an entry point that the subject said it does not provide.
fn absent() -> ! {
    unreachable!("called an entry point that the subject does not provide")
}
