//! The allocator of the Python interpreter that this process is.
//!
//! Between the interpreter and its sources stand the hooks that CPython has for them (PEP 445), or before 3.5 functions
//! in place of the C library's. They write down every request, fail the ones they are told to, and displace arenas, as
//! those of the reference do.
//!
//! An interpreter has blocks of its own in its pools. So before it is first called, every block that can be had without
//! a new arena is taken and kept: what is asked for afterwards finds pools that nobody else has touched.

use super::log::Countdown;
use super::{Event, Native, Source, Subject};
use crate::program::Call;
use crate::pymalloc::{Build, Domain, Edition, Version};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

mod hooks;
mod imports;
use hooks::{Hooks, Place};

/// Blocks of the size that is looked at first, by which an allocator with pools must have asked for an arena.
const MANY: usize = 1 << 15;

/// The families of functions, by name.
pub const DOMAINS: [(&str, Domain); 3] = [
    ("raw", Domain::Raw),
    ("mem", Domain::Mem),
    ("obj", Domain::Object),
];

/// The family of this name.
///
/// # Errors
///
/// Says what names there are.
pub fn domain(name: &str) -> Result<Domain, String> {
    let found = DOMAINS.iter().find(|(known, _)| *known == name);
    found
        .map(|&(_, domain)| domain)
        .ok_or_else(|| "write raw, mem or obj".into())
}

/// The name of a family.
pub fn name_of(domain: Domain) -> &'static str {
    let found = DOMAINS.iter().find(|(_, known)| *known == domain);
    found.map_or("", |(name, _)| name)
}

/// What the functions of a family are called, but for `Malloc` and so on.
pub const fn prefix(domain: Domain) -> &'static str {
    match domain {
        Domain::Raw => "PyMem_Raw",
        Domain::Mem => "PyMem_",
        Domain::Object => "PyObject_",
    }
}

/// The symbol of the function that is like this one of C's.
fn symbol_of(domain: Domain, name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{}{}{rest}", prefix(domain), first.to_ascii_uppercase())
}

/// The function of this name and type, if the process has one.
macro_rules! function {
    ($name:expr, $type:ty) => {{
        let address = symbol($name);
        // SAFETY: CPython's functions of these names have this type.
        (!address.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, $type>(address) })
    }};
}
use function;

fn symbol(name: &str) -> *mut c_void {
    match CString::new(name) {
        // SAFETY: the name is a C string.
        Ok(name) => unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) },
        Err(_) => ptr::null_mut(),
    }
}

/// An interpreter whose sources are hooked.
#[derive(Clone, Copy)]
pub struct Hooked {
    native: Native,
    /// The hooks, which live as long as the process.
    hooks: *mut Hooks,
    count: Option<unsafe extern "C" fn() -> isize>,
}

/// What was found of the interpreter.
pub struct Found {
    /// The version and its build; the build is that which most have if what it is cannot be seen.
    pub edition: Edition,
    /// C names, the symbols for them, and whether it has those.
    pub symbols: Vec<(String, String, bool)>,
    /// Those functions alone.
    pub native: Native,
    /// The same with hooks on the sources, or why they cannot be seen.
    pub hooked: Result<Hooked, String>,
    /// Whether small blocks come from pymalloc's pools, with nothing in between.
    pub pools: bool,
    /// Whether it runs without a global lock. Then mimalloc serves the mem and object domains, and pages that have become
    /// empty serve others only once every thread has passed a point that code in C never comes to by itself.
    pub free_threaded: bool,
}

/// Looks at the interpreter that this process is, and prepares it to be called.
///
/// # Errors
///
/// Why it cannot be called.
///
/// # Safety
///
/// The caller holds the interpreter's lock, and nobody but it calls the interpreter from here on.
pub unsafe fn prepare(domain: Domain) -> Result<Found, String> {
    let version = version()?;
    let usual = version
        .build()
        .ok_or_else(|| format!("CPython {version} is not known: 2.5 to 3.15 are"))?;
    let mut native = Native::default();
    let mut symbols = Vec::new();
    for name in ["malloc", "calloc", "realloc", "free"] {
        let of_domain = symbol_of(domain, name);
        let address = symbol(&of_domain);
        if !address.is_null() {
            // SAFETY: CPython's functions have the types of their namesakes in C.
            unsafe { native.set(name, address) };
        }
        symbols.push((name.to_owned(), of_domain, !address.is_null()));
    }
    if !native.provides(Call::Malloc) || !native.provides(Call::Free) {
        let names = ["malloc", "free"].map(|name| symbol_of(domain, name));
        return Err(format!(
            "CPython {version} has no {}: choose another --domain",
            names.join(" and ")
        ));
    }
    // SAFETY: the caller's promise.
    let hooked = unsafe { hook(native, domain, version) };
    let (build, hooked, pools) = match hooked {
        Ok((hooked, build)) => (build, Ok(hooked), true),
        Err(reason) => {
            // SAFETY: the caller's promise.
            let pools = domain != Domain::Raw && unsafe { has_pools(native, usual) };
            (usual, Err(reason), pools)
        }
    };
    Ok(Found {
        edition: Edition { version, build },
        symbols,
        native,
        hooked,
        pools,
        free_threaded: is_free_threaded(),
    })
}

/// What CPython in this process says of itself.
fn told_version() -> Option<String> {
    let told = function!("Py_GetVersion", unsafe extern "C" fn() -> *const c_char)?;
    // SAFETY: it returns a C string that nobody changes.
    let text = unsafe { CStr::from_ptr(told()) };
    Some(text.to_string_lossy().into_owned())
}

/// Whether CPython was built to run without a global lock.
fn is_free_threaded() -> bool {
    told_version().is_some_and(|text| text.contains("free-threading build"))
}

/// The version of CPython that is in this process.
fn version() -> Result<Version, String> {
    let text = told_version().ok_or("it does not say what version it is of")?;
    let numbers = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let numbers = numbers.into_iter().next().unwrap_or_default();
    numbers
        .parse()
        .map_err(|_| format!("it says that it is of version {text:?}"))
}

/// Puts hooks on the sources and takes what there is in pools. Answers with the build that the layout seen is of.
///
/// # Safety
///
/// As for [`prepare`].
unsafe fn hook(
    native: Native,
    domain: Domain,
    version: Version,
) -> Result<(Hooked, Build), String> {
    if domain == Domain::Raw {
        return Err("the raw domain has neither pools nor sources of its own".into());
    }
    let place = Place::find(version)?;
    let malloc = symbol_of(domain, "malloc");
    let count = ["_Py_GetGlobalAllocatedBlocks", "_Py_GetAllocatedBlocks"];
    let count = count
        .iter()
        .find_map(|name| function!(*name, unsafe extern "C" fn() -> isize));
    // SAFETY: the caller's promise; the hooks stay as long as the process, or are taken away before they are dropped.
    unsafe {
        if has_debug_layer(native) {
            return Err(format!(
                "the debug hooks stand between {malloc} and its sources: --malloc pymalloc takes them away"
            ));
        }
        let hooks = Hooks::install(&place)?;
        let mut hooked = Hooked {
            native,
            hooks,
            count,
        };
        let layout = hooked.settle();
        let build = match layout {
            None => Err(format!("{malloc} does not ask for arenas: it is not pymalloc")),
            Some(seen) => version.build_with(seen).ok_or_else(|| {
                let (alignment, pool, arena) = seen;
                format!(
                    "its blocks {alignment} bytes apart, pools of {pool} and arenas of {arena} bytes make no layout \
                     that is known"
                )
            }),
        };
        if build.is_err() {
            Hooks::remove(hooks, &place);
        }
        Ok((hooked, build?))
    }
}

/// Whether the smallest blocks lie as close together as in pools of this build: what an interpreter has otherwise, the
/// C library, packs none so.
///
/// # Safety
///
/// As for [`prepare`].
unsafe fn has_pools(mut native: Native, build: Build) -> bool {
    let mut blocks = [ptr::null_mut::<u8>(); 64];
    for block in &mut blocks {
        // SAFETY: the caller's promise, here and below; each block is freed once.
        *block = unsafe { native.malloc(1) };
    }
    let apart = blocks
        .windows(2)
        .map(|pair| pair[0].addr().abs_diff(pair[1].addr()));
    let least = apart.min();
    for block in blocks {
        // SAFETY: as above.
        unsafe { native.free(block) };
    }
    least == Some(build.geometry().alignment)
}

/// Whether blocks have the header of the debug layer, which ends in seven forbidden bytes after the letter of a domain.
///
/// # Safety
///
/// As for [`prepare`].
unsafe fn has_debug_layer(mut native: Native) -> bool {
    // SAFETY: the caller's promise. Before a block lies another, or the header of a pool or of the C library's.
    unsafe {
        let block = native.malloc(1);
        if block.is_null() {
            return false;
        }
        let header = block.sub(8).cast::<[u8; 8]>().read_unaligned();
        native.free(block);
        let forbidden = header[1];
        b"rmo".contains(&header[0])
            && [0xfb, 0xfd].contains(&forbidden)
            && header[1..].iter().all(|&byte| byte == forbidden)
    }
}

impl Hooked {
    /// Takes what is in pools, learns the layout from a first arena of its own, and takes that too. `None` if the
    /// allocator has no arenas.
    ///
    /// # Safety
    ///
    /// As for [`prepare`].
    unsafe fn settle(&mut self) -> Option<(usize, usize, usize)> {
        // SAFETY: the caller's promise. What is taken is never used.
        unsafe {
            let refused = self.drain(512, MANY);
            if !refused {
                return None;
            }
            self.drain_all();
            let first = self.native.malloc(1).addr();
            let alignment = self.native.malloc(1).addr().wrapping_sub(first);
            // From its first block to that of the next pool is the size of a pool.
            let largest = self.native.malloc(512).addr();
            let mut last = largest;
            let mut pool = 0;
            for _ in 0..MANY {
                let next = self.native.malloc(512).addr();
                if next != last + 512 {
                    pool = next.wrapping_sub(largest);
                    break;
                }
                last = next;
            }
            let arena = (*self.hooks).arena;
            self.drain_all();
            (*self.hooks).log.clear();
            Some((alignment, pool, arena))
        }
    }

    /// Takes every block of every class that can be had without an arena.
    ///
    /// # Safety
    ///
    /// As for [`prepare`].
    unsafe fn drain_all(&mut self) {
        for size in (8..=512).rev().step_by(8) {
            // SAFETY: the caller's promise.
            unsafe { self.drain(size, usize::MAX) };
        }
    }

    /// Takes blocks of this size until there are none without an arena, or so many were taken. Answers whether an arena
    /// was asked for.
    ///
    /// # Safety
    ///
    /// As for [`prepare`].
    unsafe fn drain(&mut self, size: usize, most: usize) -> bool {
        // SAFETY: the hooks use what they have only within calls.
        unsafe {
            (*self.hooks).refuse = true;
            (*self.hooks).refused = false;
            let mut taken = 0;
            while !(*self.hooks).refused && taken < most {
                self.native.malloc(size);
                taken += 1;
            }
            (*self.hooks).refuse = false;
            (*self.hooks).refused
        }
    }

    /// Whether the interpreter can be asked for the number of its blocks.
    pub fn counts(&self) -> bool {
        self.count.is_some()
    }

    fn hooks(&self) -> &Hooks {
        // SAFETY: never freed; the hooks write to it only while the interpreter is called, which takes the subject
        // mutably.
        unsafe { &*self.hooks }
    }

    fn hooks_mut(&mut self) -> &mut Hooks {
        // SAFETY: as above, and copies of the subject are used one at a time, in processes of their own.
        unsafe { &mut *self.hooks }
    }
}

impl Subject for Hooked {
    const HOOKED: bool = true;

    fn provides(&self, call: Call) -> bool {
        self.native.provides(call)
    }

    #[inline]
    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the contract of [`Subject`], as below.
        unsafe { self.native.malloc(size) }
    }
    #[inline]
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.native.calloc(count, size) }
    }
    #[inline]
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.native.realloc(block, size) }
    }
    #[inline]
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: as above.
        unsafe { self.native.free(block) }
    }

    #[inline]
    fn events(&self) -> &[Event] {
        self.hooks().log.events()
    }
    #[inline]
    fn clear_events(&mut self) {
        self.hooks_mut().log.clear();
    }
    fn fail(&mut self, source: Source, nth: u64) {
        match source {
            Source::Raw => self.hooks_mut().failing_raw = Countdown::to(nth),
            Source::Arena => self.hooks_mut().failing_arena = Countdown::to(nth),
        }
    }
    fn shift_arenas(&mut self, bytes: usize) {
        self.hooks_mut().shift = bytes;
    }
    fn live_blocks(&self) -> Option<usize> {
        // SAFETY: the function has this type, and the thread holds the lock.
        let count = self.count.map(|count| unsafe { count() })?;
        usize::try_from(count).ok()
    }
}
