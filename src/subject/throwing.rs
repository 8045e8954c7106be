//! Calls of functions that may throw a C++ exception, which is caught before it comes to Rust.
//!
//! Rust does not catch what it did not throw: its `catch_unwind` may end the process, and does. A C++ shim could, but
//! would make a C++ compiler a need of the build. So the call is made from a frame of assembly that catches everything.
//! What the unwinder must know of a frame is its *personality* (Itanium C++ ABI, level I): asked first whether the frame
//! handles an exception and then where to go on in it. That of this frame handles all, and goes on at its second half,
//! which returns what was thrown. No frame of Rust is ever unwound.

use super::{SetNewHandler, Thrown};
use std::arch::global_asm;
use std::ffi::{CStr, c_char, c_int, c_void};

/// A function that may throw, of at most three arguments that go in integer registers.
#[derive(Clone, Copy)]
pub struct Throwing(unsafe extern "C" fn());

impl Throwing {
    /// The function at this address, if it is one.
    ///
    /// # Safety
    ///
    /// There is a function at the address, and it stays there.
    pub unsafe fn at(function: *const c_void) -> Option<Throwing> {
        // SAFETY: the caller's promise. Whoever calls it gives it back its type.
        let function = unsafe {
            std::mem::transmute::<*const c_void, Option<unsafe extern "C" fn()>>(function)
        };
        function.map(Throwing)
    }

    /// Calls the function. Arguments that it does not take are ignored. What it throws with `runtime` is caught as C++
    /// catches it.
    ///
    /// # Errors
    ///
    /// What it threw, which is gone then.
    ///
    /// # Safety
    ///
    /// The arguments must be what the function may be called with.
    pub unsafe fn call(self, [a, b, c]: [usize; 3], runtime: &Runtime) -> Result<*mut u8, Thrown> {
        let mut thrown = std::ptr::null_mut();
        // SAFETY: the frame calls what the caller answers for, and stores to `thrown` what the unwinder hands it: an
        // exception that is this function's now.
        unsafe {
            let result = allocspec_catch(self.0 as *const c_void, a, b, c, &raw mut thrown);
            if thrown.is_null() {
                return Ok(result);
            }
            let told = told(thrown);
            runtime.dispose(thrown);
            Err(told)
        }
    }
}

/// A C++ runtime, which counts the exceptions that nobody has caught yet.
#[derive(Clone, Copy, Default)]
pub struct Runtime {
    handler: Option<(BeginCatch, EndCatch)>,
    /// Where the object with both is loaded.
    base: usize,
    /// What `std::get_new_handler` asks for.
    set_new_handler: Option<SetNewHandler>,
}

/// `__cxa_begin_catch` and `__cxa_end_catch` (Itanium C++ ABI, 2.5.3 and 2.5.4).
type BeginCatch = unsafe extern "C" fn(*mut Exception) -> *mut c_void;
type EndCatch = unsafe extern "C" fn();

impl Runtime {
    /// The runtime that a lookup through this handle of `dlopen` finds. Looked for once: a lookup may allocate.
    pub fn found_by(handle: *mut c_void) -> Runtime {
        let find = |name: &CStr| {
            // SAFETY: the handle is open, or one of those that stand for themselves; the name is a C string.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        let handler = find(c"__cxa_begin_catch").zip(find(c"__cxa_end_catch"));
        let set_new_handler = find(c"_ZSt15set_new_handlerPFvvE");
        // SAFETY: the ABI and the standard say of which types they are.
        unsafe {
            Runtime {
                base: handler.and_then(|(begin, _)| base_of(begin)).unwrap_or(0),
                handler: handler.map(|(begin, end)| {
                    (
                        std::mem::transmute::<*mut c_void, BeginCatch>(begin),
                        std::mem::transmute::<*mut c_void, EndCatch>(end),
                    )
                }),
                set_new_handler: set_new_handler
                    .map(|set| std::mem::transmute::<*mut c_void, SetNewHandler>(set)),
            }
        }
    }

    /// `std::set_new_handler`, if the runtime has it.
    pub fn set_new_handler(&self) -> Option<SetNewHandler> {
        self.set_new_handler
    }

    /// Ends an exception. One that this runtime has made is caught by it; any other, as of a runtime that shows itself to
    /// nobody, is only freed.
    ///
    /// # Safety
    ///
    /// It was caught, and nobody uses it any more.
    unsafe fn dispose(&self, exception: *mut Exception) {
        // SAFETY: the caller's promise; whoever made an exception has put a function of its own there.
        unsafe {
            let is_own = || base_of((*exception).cleanup) == Some(self.base);
            match self.handler {
                Some((begin, end)) if is_of_cxx((*exception).class) && is_own() => {
                    begin(exception);
                    end();
                }
                _ => _Unwind_DeleteException(exception),
            }
        }
    }
}

/// Where the object that an address lies in is loaded.
fn base_of(address: *const c_void) -> Option<usize> {
    // SAFETY: the structure is ours.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &raw mut info) != 0).then(|| info.dli_fbase.addr())
    }
}

/// What unwinders pass around (Itanium C++ ABI, 1.2).
#[repr(C)]
struct Exception {
    class: u64,
    cleanup: *const c_void,
    private: [usize; 2],
}

unsafe extern "C" {
    fn allocspec_catch(
        function: *const c_void,
        a: usize,
        b: usize,
        c: usize,
        thrown: *mut *mut Exception,
    ) -> *mut u8;
    /// Where `allocspec_catch` goes on when something was thrown; not to be called.
    fn allocspec_caught();
    fn _Unwind_SetGR(context: *mut c_void, register: c_int, value: usize);
    fn _Unwind_SetIP(context: *mut c_void, address: usize);
    fn _Unwind_DeleteException(exception: *mut Exception);
}

global_asm!(
    ".pushsection .text.allocspec_catch, \"ax\", @progbits",
    ".globl allocspec_catch",
    ".hidden allocspec_catch",
    ".type allocspec_catch, @function",
    ".globl allocspec_caught",
    ".hidden allocspec_caught",
    ".hidden {personality}",
    "allocspec_catch:",
    ".cfi_startproc",
    ".cfi_personality 0x1b, {personality}",
    "push rbx",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbx, 0",
    "mov rbx, r8",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "call rax",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbx",
    "ret",
    // The stack is as it was at the call; the exception is in the register that the personality put it in.
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbx, 0",
    "allocspec_caught:",
    "mov [rbx], rax",
    "xor eax, eax",
    "pop rbx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbx",
    "ret",
    ".cfi_endproc",
    ".size allocspec_catch, . - allocspec_catch",
    ".popsection",
    personality = sym personality,
);

/// The first phase of unwinding, which looks for a handler.
const SEARCH: c_int = 1;
/// The second phase has come to the frame that said it has one.
const HANDLER: c_int = 4;
/// A thread is being ended: nobody may stay.
const FORCED: c_int = 8;
const HANDLER_FOUND: c_int = 6;
const INSTALL_CONTEXT: c_int = 7;
const CONTINUE_UNWIND: c_int = 8;
/// `rax`, in the numbering of DWARF.
const RAX: c_int = 0;

/// Says to the unwinder what `allocspec_catch` does with an exception (Itanium C++ ABI, 1.6.2).
unsafe extern "C" fn personality(
    _version: c_int,
    actions: c_int,
    _class: u64,
    exception: *mut Exception,
    context: *mut c_void,
) -> c_int {
    if actions & FORCED != 0 {
        return CONTINUE_UNWIND;
    }
    if actions & SEARCH != 0 {
        return HANDLER_FOUND;
    }
    if actions & HANDLER == 0 {
        return CONTINUE_UNWIND;
    }
    // SAFETY: the context is that of `allocspec_catch` at its call, where it can go on at its second half with the
    // exception in `rax`.
    unsafe {
        _Unwind_SetGR(context, RAX, exception.expose_provenance());
        _Unwind_SetIP(context, allocspec_caught as *const () as usize);
    }
    INSTALL_CONTEXT
}

/// The exceptions of the C++ runtimes of GCC and LLVM. The last byte tells a second reference to an exception from the
/// first.
const GNU: u64 = u64::from_be_bytes(*b"GNUCC++\0");
const LLVM: u64 = u64::from_be_bytes(*b"CLNGC++\0");

fn is_of_cxx(class: u64) -> bool {
    [GNU, LLVM].contains(&(class & !0xff))
}

/// How far before an exception its type stands, in both runtimes (Itanium C++ ABI, 2.2.1).
const TYPE_BEFORE: usize = 80;

/// `std::type_info` (Itanium C++ ABI, 2.9.5). What follows depends on the kind of type.
#[repr(C)]
struct TypeInfo {
    /// The functions of this kind of types. Before them stands the type of the kind itself.
    functions: *const *const TypeInfo,
    name: *const c_char,
}

/// That of a class with one base, which is public and whole.
#[repr(C)]
struct SingleBase {
    own: TypeInfo,
    base: *const TypeInfo,
}

/// That of a class with other bases, which follow it.
#[repr(C)]
struct SeveralBases {
    own: TypeInfo,
    flags: u32,
    count: u32,
}

/// One of them.
#[repr(C)]
struct Base {
    of: *const TypeInfo,
    offset_and_flags: isize,
}

const PUBLIC: isize = 2;

/// What an exception is.
///
/// # Safety
///
/// It is one that was caught.
unsafe fn told(exception: *const Exception) -> Thrown {
    // SAFETY: the caller's promise; what is of one of these runtimes has its type there, and a name.
    unsafe {
        match (*exception).class {
            GNU | LLVM => {}
            // A second reference does not say by itself of what type it is.
            class if is_of_cxx(class) => return Thrown::BadAlloc,
            _ => return Thrown::Other(c"no exception of C++"),
        }
        let of = *exception.byte_sub(TYPE_BEFORE).cast::<*const TypeInfo>();
        match may_be_bad_alloc(of) {
            true => Thrown::BadAlloc,
            false => Thrown::Other(CStr::from_ptr((*of).name)),
        }
    }
}

/// Whether a type is `std::bad_alloc`, or has it for a base as far as can be told.
///
/// Types are known by their names, and so are the kinds of types. A library that has a C++ runtime linked into it has
/// its own of both, at addresses that no lookup finds.
///
/// # Safety
///
/// It is a type of one of the runtimes above.
unsafe fn may_be_bad_alloc(of: *const TypeInfo) -> bool {
    // SAFETY: the caller's promise; what the kind of a type says of its layout is so.
    unsafe {
        if CStr::from_ptr((*of).name) == c"St9bad_alloc" {
            return true;
        }
        let kind = *(*of).functions.sub(1);
        if kind.is_null() {
            return true;
        }
        match CStr::from_ptr((*kind).name).to_bytes() {
            b"N10__cxxabiv120__si_class_type_infoE" => {
                may_be_bad_alloc((*of.cast::<SingleBase>()).base)
            }
            b"N10__cxxabiv121__vmi_class_type_infoE" => {
                let several = of.cast::<SeveralBases>();
                let bases = several.add(1).cast::<Base>();
                let bases = std::slice::from_raw_parts(bases, (*several).count as usize);
                let mut public = bases
                    .iter()
                    .filter(|base| base.offset_and_flags & PUBLIC != 0);
                public.any(|base| may_be_bad_alloc(base.of))
            }
            // The others of this namespace have no bases.
            other => !other.starts_with(b"N10__cxxabiv1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Throws an exception that is not of C++; those on its way are none of Rust's.
    unsafe extern "C-unwind" fn throws(exception: usize) {
        unsafe extern "C-unwind" {
            fn _Unwind_RaiseException(exception: *mut Exception) -> c_int;
        }
        // SAFETY: an exception that outlives the call.
        unsafe { _Unwind_RaiseException(std::ptr::with_exposed_provenance_mut(exception)) };
    }

    extern "C" fn sums(a: usize, b: usize, c: usize) -> usize {
        a + b + c
    }

    const fn type_info(functions: *const *const TypeInfo, name: &'static CStr) -> TypeInfo {
        TypeInfo {
            functions,
            name: name.as_ptr(),
        }
    }

    /// As in a library that has its own runtime: none of these is where a lookup by name would find it.
    #[test]
    fn a_type_is_known_by_the_names_of_its_kind_and_of_its_bases() {
        let kinds = [
            c"N10__cxxabiv117__class_type_infoE",
            c"N10__cxxabiv120__si_class_type_infoE",
            c"N10__cxxabiv121__vmi_class_type_infoE",
            c"N10__cxxabiv123__fundamental_type_infoE",
            c"6MyKind",
        ]
        .map(|name| type_info(std::ptr::null(), name));
        let tables = kinds
            .each_ref()
            .map(|kind| [std::ptr::from_ref(kind), std::ptr::null()]);
        let [class, single, several, fundamental, unknown] =
            tables.each_ref().map(|table| std::ptr::from_ref(&table[1]));
        let bad_alloc = type_info(class, c"St9bad_alloc");
        let other = type_info(class, c"5Other");
        let derived = |base| SingleBase {
            own: type_info(single, c"7Derived"),
            base,
        };
        let good = derived(&raw const bad_alloc);
        let twice = derived((&raw const good).cast());
        let bad = derived(&raw const other);
        #[repr(C)]
        struct Two(SeveralBases, [Base; 2]);
        let two = |of, flags| {
            let base = |of, offset_and_flags| Base {
                of,
                offset_and_flags,
            };
            let own = type_info(several, c"3Two");
            let head = SeveralBases {
                own,
                flags: 0,
                count: 2,
            };
            Two(head, [base(&raw const other, PUBLIC), base(of, flags)])
        };
        let both = two((&raw const twice).cast(), PUBLIC | 16 << 8);
        let private = two((&raw const twice).cast(), 16 << 8);
        let neither = two((&raw const bad).cast(), PUBLIC);
        let number = type_info(fundamental, c"i");
        let strange = type_info(unknown, c"7Strange");
        for (of, wanted) in [
            (&raw const bad_alloc, true),
            ((&raw const good).cast(), true),
            ((&raw const twice).cast(), true),
            ((&raw const both).cast(), true),
            (&raw const strange, true),
            (&raw const other, false),
            ((&raw const bad).cast(), false),
            ((&raw const private).cast(), false),
            ((&raw const neither).cast(), false),
            (&raw const number, false),
        ] {
            // SAFETY: laid out as the ABI has it.
            unsafe {
                let name = CStr::from_ptr((*of).name);
                assert_eq!(may_be_bad_alloc(of), wanted, "{name:?}");
            }
        }
    }

    #[test]
    fn what_returns_is_returned() {
        // SAFETY: a function of three numbers.
        let sum = unsafe {
            Throwing::at(sums as *const c_void)
                .map(|sums| sums.call([1, 20, 300], &Runtime::default()))
        };
        assert_eq!(sum, Some(Ok(std::ptr::without_provenance_mut(321))));
    }

    #[test]
    fn what_is_thrown_is_caught_as_often_as_it_is_thrown() {
        let mut exception = Exception {
            class: u64::from_be_bytes(*b"ALSPTEST"),
            cleanup: std::ptr::null(),
            private: [0; 2],
        };
        let argument = (&raw mut exception).expose_provenance();
        for _ in 0..3 {
            // SAFETY: as the function has it.
            let caught = unsafe {
                Throwing::at(throws as *const c_void)
                    .map(|it| it.call([argument, 0, 0], &Runtime::default()))
            };
            assert_eq!(caught, Some(Err(Thrown::Other(c"no exception of C++"))));
        }
    }

    /// Whatever throws on a system without a C++ library cannot be tried.
    #[test]
    fn the_exceptions_of_the_c_plus_plus_library_are_told_by_their_types() {
        // SAFETY: a well-behaved library; its functions are of these types.
        unsafe {
            let library = libc::dlopen(
                c"libstdc++.so.6".as_ptr(),
                libc::RTLD_NOW | libc::RTLD_GLOBAL,
            );
            if library.is_null() {
                return;
            }
            let function = |name: &CStr| {
                Throwing::at(libc::dlsym(library, name.as_ptr())).expect("a symbol of the ABI")
            };
            let runtime = Runtime::found_by(library);
            let call = |name, first| function(name).call([first, 0, 0], &runtime);
            for size in [usize::MAX, isize::MAX as usize] {
                assert_eq!(call(c"_Znwm", size), Err(Thrown::BadAlloc));
            }
            let block = call(c"_Znwm", 100).expect("memory");
            assert!(!block.is_null());
            assert!(call(c"_ZdlPv", block.expose_provenance()).is_ok());
            // A class that has bad_alloc for its base, and one that has not.
            let derived = call(c"__cxa_throw_bad_array_new_length", 0);
            assert_eq!(derived, Err(Thrown::BadAlloc));
            let length = c"too long".as_ptr() as usize;
            let other = call(c"_ZSt20__throw_length_errorPKc", length);
            assert_eq!(other, Err(Thrown::Other(c"St12length_error")));
            // As many as were thrown are caught: `std::uncaught_exceptions()`.
            let uncaught = call(c"_ZSt19uncaught_exceptionsv", 0).map(<*mut u8>::addr);
            assert_eq!(uncaught.map(|count| count as u32), Ok(0));
        }
    }
}
