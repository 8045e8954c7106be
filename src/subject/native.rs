//! A library's allocator, called through its symbols.

use super::throwing::{Runtime, Throwing};
use super::{SetNewHandler, Subject, Thrown};
use crate::program::{Call, FORMS, Operator, SYMBOLS};
use std::ffi::c_void;

macro_rules! native {
    ($($field:ident: $symbol:literal fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// The entry points of a library, those it has.
        ///
        /// Function pointers and nothing else: copied freely, called without a lookup.
        #[derive(Clone, Copy, Default)]
        pub struct Native {
            $($field: Option<unsafe extern "C" fn($($arg),*) $(-> $ret)?>,)*
            /// The C++ operators, by form.
            operators: [Option<Throwing>; FORMS],
            /// What they throw with.
            runtime: Runtime,
        }

        /// The names of C.
        const C_NAMES: &[&str] = &[$($symbol,)*];

        impl Native {
            /// Sets the entry point of this C name; an unknown name is ignored.
            ///
            /// # Safety
            ///
            /// `function` is the address of a C function of the type that the name has in C.
            pub unsafe fn set(&mut self, name: &str, function: *mut c_void) {
                match name {
                    // SAFETY: the caller's promise.
                    $($symbol => self.$field = Some(unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($arg),*) $(-> $ret)?>(function) }),)*
                    _ => {
                        if let Some(form) = Call::of_symbol(name).and_then(Call::form) {
                            // SAFETY: the caller's promise.
                            self.operators[form] = unsafe { Throwing::at(function) };
                        }
                    }
                }
            }

            fn has(&self, call: Call) -> bool {
                match call.entry_point() {
                    $(Some($symbol) => self.$field.is_some(),)*
                    _ => call.form().is_some_and(|form| self.operators[form].is_some()),
                }
            }
        }
    };
}

native! {
    malloc: "malloc" fn(usize) -> *mut u8;
    calloc: "calloc" fn(usize, usize) -> *mut u8;
    realloc: "realloc" fn(*mut u8, usize) -> *mut u8;
    free: "free" fn(*mut u8);
    reallocarray: "reallocarray" fn(*mut u8, usize, usize) -> *mut u8;
    reallocf: "reallocf" fn(*mut u8, usize) -> *mut u8;
    recallocarray: "recallocarray" fn(*mut u8, usize, usize, usize) -> *mut u8;
    freezero: "freezero" fn(*mut u8, usize);
    free_sized: "free_sized" fn(*mut u8, usize);
    free_aligned_sized: "free_aligned_sized" fn(*mut u8, usize, usize);
    aligned_alloc: "aligned_alloc" fn(usize, usize) -> *mut u8;
    posix_memalign: "posix_memalign" fn(*mut *mut u8, usize, usize) -> i32;
    memalign: "memalign" fn(usize, usize) -> *mut u8;
    valloc: "valloc" fn(usize) -> *mut u8;
    pvalloc: "pvalloc" fn(usize) -> *mut u8;
    malloc_usable_size: "malloc_usable_size" fn(*mut u8) -> usize;
    malloc_trim: "malloc_trim" fn(usize) -> i32;
}

impl Native {
    /// The names of the entry points that can be called: those of C, and the symbols of the C++ operators.
    pub const NAMES: &'static [&'static str] = &{
        let mut names = [""; C_NAMES.len() + FORMS];
        let mut index = 0;
        while index < names.len() {
            names[index] = if index < C_NAMES.len() {
                C_NAMES[index]
            } else {
                SYMBOLS[index - C_NAMES.len()]
            };
            index += 1;
        }
        names
    };

    /// Looks for the C++ runtime that the library throws with, through this handle of `dlopen`.
    pub fn find_runtime(&mut self, handle: *mut c_void) {
        self.runtime = Runtime::found_by(handle);
    }

    /// Calls an operator that [`Subject::provides`] said is there.
    ///
    /// # Safety
    ///
    /// As for [`Throwing::call`].
    unsafe fn operate(&self, form: Operator, arguments: [usize; 3]) -> Result<*mut u8, Thrown> {
        match self.operators[form.place()] {
            // SAFETY: the caller's promise.
            Some(function) => unsafe { function.call(arguments, &self.runtime) },
            None => super::absent(),
        }
    }
}

/// Calls an entry point that [`Subject::provides`] said is there.
macro_rules! forward {
    ($self:ident.$field:ident($($arg:expr),*)) => {
        match $self.$field {
            // SAFETY: the contract of [`Subject`] is that of the C function.
            Some(function) => unsafe { function($($arg),*) },
            None => super::absent(),
        }
    };
}

impl Subject for Native {
    fn provides(&self, call: Call) -> bool {
        self.has(call)
    }

    fn sibling(&mut self) -> Option<Native> {
        Some(*self)
    }

    #[inline]
    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        forward!(self.malloc(size))
    }
    #[inline]
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        forward!(self.calloc(count, size))
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        forward!(self.realloc(block, size))
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8) {
        forward!(self.free(block))
    }
    unsafe fn reallocarray(&mut self, block: *mut u8, count: usize, size: usize) -> *mut u8 {
        forward!(self.reallocarray(block, count, size))
    }
    unsafe fn reallocf(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        forward!(self.reallocf(block, size))
    }
    unsafe fn recallocarray(
        &mut self,
        block: *mut u8,
        old: usize,
        count: usize,
        size: usize,
    ) -> *mut u8 {
        forward!(self.recallocarray(block, old, count, size))
    }
    unsafe fn freezero(&mut self, block: *mut u8, size: usize) {
        forward!(self.freezero(block, size))
    }
    unsafe fn free_sized(&mut self, block: *mut u8, size: usize) {
        forward!(self.free_sized(block, size))
    }
    unsafe fn free_aligned_sized(&mut self, block: *mut u8, alignment: usize, size: usize) {
        forward!(self.free_aligned_sized(block, alignment, size))
    }
    unsafe fn aligned_alloc(&mut self, alignment: usize, size: usize) -> *mut u8 {
        forward!(self.aligned_alloc(alignment, size))
    }
    unsafe fn posix_memalign(&mut self, out: *mut *mut u8, alignment: usize, size: usize) -> i32 {
        forward!(self.posix_memalign(out, alignment, size))
    }
    unsafe fn memalign(&mut self, alignment: usize, size: usize) -> *mut u8 {
        forward!(self.memalign(alignment, size))
    }
    unsafe fn valloc(&mut self, size: usize) -> *mut u8 {
        forward!(self.valloc(size))
    }
    unsafe fn pvalloc(&mut self, size: usize) -> *mut u8 {
        forward!(self.pvalloc(size))
    }
    unsafe fn operator_new(
        &mut self,
        form: Operator,
        size: usize,
        alignment: usize,
    ) -> Result<*mut u8, Thrown> {
        // SAFETY: the contract of [`Subject`]; the function is of this form.
        unsafe { self.operate(form, arguments(size, form, None, alignment)) }
    }
    unsafe fn operator_delete(
        &mut self,
        form: Operator,
        block: *mut u8,
        size: usize,
        alignment: usize,
    ) -> Result<(), Thrown> {
        let size = Some(size).filter(|_| form.sized);
        let arguments = arguments(block.expose_provenance(), form, size, alignment);
        // SAFETY: as above.
        unsafe { self.operate(form, arguments) }.map(|_| ())
    }
    fn set_new_handler(&self) -> Option<SetNewHandler> {
        self.runtime.set_new_handler()
    }
    unsafe fn malloc_usable_size(&mut self, block: *mut u8) -> usize {
        forward!(self.malloc_usable_size(block))
    }
    unsafe fn malloc_trim(&mut self, pad: usize) -> i32 {
        forward!(self.malloc_trim(pad))
    }
}

/// What `std::nothrow` refers to: an object without contents.
static NOTHROW: u8 = 0;

/// The arguments of an operator as the registers hold them: what comes first, then what the form is told.
fn arguments(first: usize, form: Operator, size: Option<usize>, alignment: usize) -> [usize; 3] {
    let told = [
        size,
        Some(alignment).filter(|_| form.aligned),
        Some((&raw const NOTHROW).expose_provenance()).filter(|_| form.nothrow),
    ];
    let mut told = told.into_iter().flatten();
    [first, told.next().unwrap_or(0), told.next().unwrap_or(0)]
}
