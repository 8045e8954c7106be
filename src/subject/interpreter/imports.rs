//! The C functions that an interpreter calls, read off and replaced where its file imports them.
//!
//! CPython before 3.5 has no hooks that could be used. But what its allocator asks for it asks of the C library, through
//! addresses that the dynamic linker wrote beside the code (System V ABI, AMD64 supplement, section 5.2, "Global Offset
//! Table"); other addresses are written there.

use super::hooks::{arena_alloc, arena_free, raw_calloc, raw_free, raw_malloc, raw_realloc};
use super::symbol;
use crate::pymalloc::{Allocator, ArenaAllocator};
use object::read::elf::ElfFile64;
use object::{
    Endianness, Object, ObjectSymbol, ObjectSymbolTable, RelocationFlags, RelocationTarget, elf,
};
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The names of the function that maps memory.
pub(super) const MAP: [&str; 2] = ["mmap", "mmap64"];

/// Gives the address of a function.
type AddressOf = fn() -> *const c_void;

/// The functions of the C library that CPython's allocator calls, and those put in their place.
const IMPORTED: [(&str, AddressOf); 7] = [
    ("malloc", || import_malloc as *const c_void),
    ("calloc", || import_calloc as *const c_void),
    ("realloc", || import_realloc as *const c_void),
    ("free", || import_free as *const c_void),
    (MAP[0], || import_mmap as *const c_void),
    (MAP[1], || import_mmap as *const c_void),
    ("munmap", || import_munmap as *const c_void),
];

/// A place where a function of the C library is imported.
pub(super) struct Import {
    /// Which of [`IMPORTED`].
    number: usize,
    place: *mut *const c_void,
    /// The address that the linker wrote there.
    original: *const c_void,
}

/// Where an object is.
struct Loaded {
    path: PathBuf,
    /// What is added to the addresses in its file.
    bias: usize,
}

/// The object that holds an address.
fn object_at(address: *const c_void) -> Option<Loaded> {
    struct Search {
        address: usize,
        found: Option<Loaded>,
    }
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: the linker passes a record with so many headers, and what `dl_iterate_phdr` was given.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        // SAFETY: as above.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let bias = info.dlpi_addr as usize;
        let holds = headers.iter().any(|header| {
            let start = bias + header.p_vaddr as usize;
            header.p_type == libc::PT_LOAD
                && (start..start + header.p_memsz as usize).contains(&search.address)
        });
        if holds {
            // SAFETY: a C string; that of the program itself is empty.
            let name = unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes();
            let path = match name {
                b"" => Path::new("/proc/self/exe"),
                name => Path::new(OsStr::from_bytes(name)),
            };
            search.found = Some(Loaded {
                path: path.into(),
                bias,
            });
        }
        c_int::from(holds)
    }
    let mut search = Search {
        address: address.addr(),
        found: None,
    };
    // SAFETY: `look` is called with what is passed here, and keeps none of it.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.found
}

/// Where the object that defines `function` imports what its allocator calls.
///
/// # Errors
///
/// When the object's file cannot be read.
pub(super) fn of(function: &str) -> Result<Vec<Import>, String> {
    let loaded = object_at(symbol(function)).ok_or("its own file cannot be told")?;
    let path = loaded.path.display();
    let bytes = std::fs::read(&loaded.path).map_err(|error| format!("{path}: {error}"))?;
    let file = ElfFile64::<Endianness>::parse(bytes.as_slice())
        .map_err(|error| format!("{path}: {error}"))?;
    let (Some(symbols), Some(relocations)) =
        (file.dynamic_symbol_table(), file.dynamic_relocations())
    else {
        return Err(format!("{path} imports nothing"));
    };
    let mut imports = Vec::new();
    for (offset, relocation) in relocations {
        let (RelocationFlags::Elf { r_type }, RelocationTarget::Symbol(index)) =
            (relocation.flags(), relocation.target())
        else {
            continue;
        };
        let name = symbols.symbol_by_index(index).ok();
        let name = name.as_ref().and_then(|symbol| symbol.name().ok());
        let number = IMPORTED
            .iter()
            .position(|&(wanted, _)| Some(wanted) == name);
        if let Some(number) = number
            && [elf::R_X86_64_JUMP_SLOT, elf::R_X86_64_GLOB_DAT].contains(&r_type)
        {
            let place = loaded.bias.wrapping_add(offset as usize);
            let place: *mut *const c_void = ptr::with_exposed_provenance_mut(place);
            imports.push(Import {
                number,
                place,
                // SAFETY: the linker has the file mapped, and this word of it.
                original: unsafe { place.read() },
            });
        }
    }
    Ok(imports)
}

/// Puts the hooks' functions where these are imported, at all places or none.
///
/// # Errors
///
/// When the kernel does not let a place be written.
///
/// # Safety
///
/// As for [`Import::replace`].
pub(super) unsafe fn replace(imports: &[Import]) -> Result<(), String> {
    for (index, import) in imports.iter().enumerate() {
        // SAFETY: the caller's promise; those before this one were replaced.
        unsafe {
            if let Err(reason) = import.replace() {
                imports[..index].iter().for_each(|import| import.restore());
                return Err(reason);
            }
        }
    }
    Ok(())
}

impl Import {
    /// The name of the function.
    pub(super) fn name(&self) -> &'static str {
        IMPORTED[self.number].0
    }

    /// Puts the hooks' function there.
    ///
    /// # Errors
    ///
    /// When the kernel does not let the place be written.
    ///
    /// # Safety
    ///
    /// Nobody calls the function meanwhile, and [`serve`] has been called.
    unsafe fn replace(&self) -> Result<(), String> {
        const PAGE: usize = 4096;
        let page = self.place.map_addr(|address| address & !(PAGE - 1));
        // SAFETY: the page is mapped and holds addresses, no code. The function has the type of its namesake.
        unsafe {
            // The linker may have made it read-only.
            if libc::mprotect(page.cast(), PAGE, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                let error = std::io::Error::last_os_error();
                return Err(format!("its imports cannot be replaced: {error}"));
            }
            self.place.write_volatile(IMPORTED[self.number].1());
        }
        Ok(())
    }

    /// Puts back what was there.
    ///
    /// # Safety
    ///
    /// It was replaced, and nobody calls the function meanwhile.
    pub(super) unsafe fn restore(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.place.write_volatile(self.original) };
    }
}

/// The context of the hooks: the functions of the C library are given none.
static CONTEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Lets functions that are put in place of imported ones serve these hooks.
pub(super) fn serve(context: *mut c_void) {
    CONTEXT.store(context, Relaxed);
}

/// The C library's functions, as what the hooks stand above.
pub(super) const C_LIBRARY: Allocator = Allocator {
    ctx: ptr::null_mut(),
    malloc: c_malloc,
    calloc: c_calloc,
    realloc: c_realloc,
    free: c_free,
};

unsafe extern "C-unwind" fn c_malloc(_context: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the interpreter's promise to the function's namesake.
    unsafe { libc::malloc(size) }
}

unsafe extern "C-unwind" fn c_calloc(
    _context: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: the interpreter's promise to the function's namesake.
    unsafe { libc::calloc(count, size) }
}

unsafe extern "C-unwind" fn c_realloc(
    _context: *mut c_void,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the interpreter's promise to the function's namesake.
    unsafe { libc::realloc(block, size) }
}

unsafe extern "C-unwind" fn c_free(_context: *mut c_void, block: *mut c_void) {
    // SAFETY: the interpreter's promise to the function's namesake.
    unsafe { libc::free(block) }
}

/// Anonymous mappings, as what the hooks stand above.
pub(super) const KERNEL: ArenaAllocator = ArenaAllocator {
    ctx: ptr::null_mut(),
    alloc: map,
    free: unmap,
};

unsafe extern "C-unwind" fn map(_context: *mut c_void, size: usize) -> *mut c_void {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh anonymous mapping touches no memory that exists.
    let base = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    match base == libc::MAP_FAILED {
        true => ptr::null_mut(),
        false => base,
    }
}

unsafe extern "C-unwind" fn unmap(_context: *mut c_void, base: *mut c_void, size: usize) {
    // SAFETY: the interpreter's promise to the function's namesake.
    unsafe { libc::munmap(base, size) };
}

fn context() -> *mut c_void {
    CONTEXT.load(Relaxed)
}

unsafe extern "C-unwind" fn import_malloc(size: usize) -> *mut c_void {
    // SAFETY: the context is that of the hooks. So below.
    unsafe { raw_malloc(context(), size) }
}

unsafe extern "C-unwind" fn import_calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: as above.
    unsafe { raw_calloc(context(), count, size) }
}

unsafe extern "C-unwind" fn import_realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: as above.
    unsafe { raw_realloc(context(), block, size) }
}

unsafe extern "C-unwind" fn import_free(block: *mut c_void) {
    // SAFETY: as above.
    unsafe { raw_free(context(), block) }
}

/// Only anonymous memory at no place in particular can be an arena.
unsafe extern "C-unwind" fn import_mmap(
    address: *mut c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    descriptor: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: as above; else it is passed on as it is.
    unsafe {
        if !address.is_null() || flags & libc::MAP_ANONYMOUS == 0 {
            return libc::mmap(address, size, protection, flags, descriptor, offset);
        }
        let arena = arena_alloc(context(), size);
        match arena.is_null() {
            true => libc::MAP_FAILED,
            false => arena,
        }
    }
}

unsafe extern "C-unwind" fn import_munmap(base: *mut c_void, size: usize) -> c_int {
    // SAFETY: as above.
    unsafe { arena_free(context(), base, size) };
    0
}
