//! The hooks between an interpreter and its sources: those of PEP 445, or functions in place of the C library's.

use super::super::Event;
use super::super::log::{Countdown, Log};
use super::function;
use super::imports::{self, C_LIBRARY, Import, KERNEL, MAP};
use super::symbol;
use crate::pymalloc::{Allocator, ArenaAllocator, Version};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

/// `PYMEM_DOMAIN_RAW`
const RAW: c_int = 0;

/// The functions of CPython that see to hooks.
#[derive(Clone, Copy)]
pub(super) struct Setters {
    get: unsafe extern "C" fn(c_int, *mut Allocator),
    set: unsafe extern "C" fn(c_int, *const Allocator),
    get_arenas: unsafe extern "C" fn(*mut ArenaAllocator),
    set_arenas: unsafe extern "C" fn(*const ArenaAllocator),
}

impl Setters {
    fn find() -> Option<Setters> {
        Some(Setters {
            get: function!(
                "PyMem_GetAllocator",
                unsafe extern "C" fn(c_int, *mut Allocator)
            )?,
            set: function!(
                "PyMem_SetAllocator",
                unsafe extern "C" fn(c_int, *const Allocator)
            )?,
            get_arenas: function!(
                "PyObject_GetArenaAllocator",
                unsafe extern "C" fn(*mut ArenaAllocator)
            )?,
            set_arenas: function!(
                "PyObject_SetArenaAllocator",
                unsafe extern "C" fn(*const ArenaAllocator)
            )?,
        })
    }
}

/// Where hooks can be put.
pub(super) enum Place {
    /// Where CPython provides for them.
    Setters(Setters),
    /// Where it imports functions of the C library.
    Imports(Vec<Import>),
}

impl Place {
    /// Where hooks can be put in an interpreter of this version.
    ///
    /// # Errors
    ///
    /// Says why they cannot.
    pub(super) fn find(version: Version) -> Result<Place, String> {
        // Before 3.5 the structure that describes an allocator has another form, and before 3.4 there is none.
        if version >= Version(3, 5, 0)
            && let Some(setters) = Setters::find()
        {
            return Ok(Place::Setters(setters));
        }
        let found = imports::of("PyObject_Malloc")?;
        let lacks = |names: &[&str]| !found.iter().any(|import| names.contains(&import.name()));
        match [&["malloc"][..], &["realloc"], &["free"], &MAP, &["munmap"]]
            .iter()
            .find(|names| lacks(names))
        {
            Some(names) => {
                let Version(major, minor, _) = version;
                let name = names[0];
                Err(format!(
                    "CPython {major}.{minor} has no hooks on its sources that could be used, and this one does not \
                     import {name} either"
                ))
            }
            None => Ok(Place::Imports(found)),
        }
    }
}

/// What the hooks know, and what stood there before them.
pub(super) struct Hooks {
    pub(super) log: Log,
    raw: Allocator,
    arenas: ArenaAllocator,
    pub(super) failing_raw: Countdown,
    pub(super) failing_arena: Countdown,
    /// Bytes by which arenas are displaced.
    pub(super) shift: usize,
    /// Arenas that are displaced, by their address, with that and the size of what they lie in.
    displaced: Vec<(*mut u8, *mut u8, usize)>,
    /// Whether arenas are refused, and whether one was.
    pub(super) refuse: bool,
    pub(super) refused: bool,
    /// The size of the last arena asked for.
    pub(super) arena: usize,
}

impl Hooks {
    /// Puts hooks on the raw domain and the arena allocator.
    ///
    /// # Errors
    ///
    /// When the kernel does not let them be put there.
    ///
    /// # Safety
    ///
    /// As for [`prepare`](super::prepare).
    pub(super) unsafe fn install(place: &Place) -> Result<*mut Hooks, String> {
        match place {
            // SAFETY: the caller's promise, here and below.
            Place::Setters(setters) => Ok(unsafe { Hooks::install_by(*setters) }),
            Place::Imports(imports) => {
                let hooks = Hooks::above(C_LIBRARY, KERNEL);
                imports::serve(hooks.cast());
                // SAFETY: the caller's promise.
                unsafe { imports::replace(imports)? };
                Ok(hooks)
            }
        }
    }

    /// Hooks above these sources, which nobody calls yet.
    fn above(raw: Allocator, arenas: ArenaAllocator) -> *mut Hooks {
        Box::into_raw(Box::new(Hooks {
            log: Log::new(),
            raw,
            arenas,
            failing_raw: Countdown::NEVER,
            failing_arena: Countdown::NEVER,
            shift: 0,
            displaced: Vec::with_capacity(64),
            refuse: false,
            refused: false,
            arena: 0,
        }))
    }

    /// # Safety
    ///
    /// As for [`install`](Hooks::install).
    unsafe fn install_by(setters: Setters) -> *mut Hooks {
        let mut raw = MaybeUninit::uninit();
        let mut arenas = MaybeUninit::uninit();
        // SAFETY: the functions fill what they are given. The hooks have the context that they are written for.
        unsafe {
            (setters.get)(RAW, raw.as_mut_ptr());
            (setters.get_arenas)(arenas.as_mut_ptr());
            let hooks = Hooks::above(raw.assume_init(), arenas.assume_init());
            let own = Allocator {
                ctx: hooks.cast(),
                malloc: raw_malloc,
                calloc: raw_calloc,
                realloc: raw_realloc,
                free: raw_free,
            };
            (setters.set)(RAW, &raw const own);
            let own = ArenaAllocator {
                ctx: hooks.cast(),
                alloc: arena_alloc,
                free: arena_free,
            };
            (setters.set_arenas)(&raw const own);
            hooks
        }
    }

    /// Takes the hooks away, which were not used for anything that lasts.
    ///
    /// # Safety
    ///
    /// As for [`prepare`](super::prepare); `hooks` are those that were installed last.
    pub(super) unsafe fn remove(hooks: *mut Hooks, place: &Place) {
        // SAFETY: the caller's promise. Nobody has the hooks once the interpreter does not.
        unsafe {
            match place {
                Place::Setters(setters) => {
                    (setters.set)(RAW, &raw const (*hooks).raw);
                    (setters.set_arenas)(&raw const (*hooks).arenas);
                }
                Place::Imports(imports) => {
                    for import in imports {
                        import.restore();
                    }
                }
            }
            drop(Box::from_raw(hooks));
        }
    }

    /// What the raw source answers, or null if this is the request that is to fail.
    fn ask_raw(&mut self, ask: impl FnOnce(&Allocator) -> *mut c_void) -> *mut c_void {
        match self.failing_raw.strikes() {
            true => ptr::null_mut(),
            false => ask(&self.raw),
        }
    }

    fn alloc_arena(&mut self, size: usize) -> *mut u8 {
        self.arena = size;
        if self.refuse {
            self.refused = true;
            return ptr::null_mut();
        }
        if self.failing_arena.strikes() {
            return ptr::null_mut();
        }
        // Behind a displaced arena there is room for another, so that one that reaches too far is seen to.
        let room = if self.shift == 0 {
            0
        } else {
            self.shift + size
        };
        // SAFETY: what stood there before the hook is called as it was.
        let base = unsafe { (self.arenas.alloc)(self.arenas.ctx, size + room) }.cast::<u8>();
        if base.is_null() || self.shift == 0 {
            return base;
        }
        let arena = base.wrapping_add(self.shift);
        self.displaced.push((arena, base, size + room));
        arena
    }

    fn free_arena(&mut self, arena: *mut u8, size: usize) {
        let displaced = self.displaced.iter().position(|&(own, ..)| own == arena);
        let (_, base, size) = match displaced {
            Some(index) => self.displaced.swap_remove(index),
            None => (arena, arena, size),
        };
        // SAFETY: it was obtained from there.
        unsafe { (self.arenas.free)(self.arenas.ctx, base.cast(), size) };
    }
}

/// The hooks behind a context.
///
/// # Safety
///
/// `context` is what [`Hooks::install`] gave to the interpreter, which calls one hook at a time.
unsafe fn of<'a>(context: *mut c_void) -> &'a mut Hooks {
    // SAFETY: the caller's promise.
    unsafe { &mut *context.cast() }
}

pub(super) unsafe extern "C-unwind" fn raw_malloc(
    context: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the interpreter passes the context; what stood there before the hook is called as it was. So below.
    unsafe {
        let hooks = of(context);
        let block = hooks.ask_raw(|raw| (raw.malloc)(raw.ctx, size));
        let result = block.addr();
        hooks.log.note(Event::RawMalloc { size, result });
        block
    }
}

pub(super) unsafe extern "C-unwind" fn raw_calloc(
    context: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    // SAFETY: as above.
    unsafe {
        let hooks = of(context);
        let block = hooks.ask_raw(|raw| (raw.calloc)(raw.ctx, count, size));
        let result = block.addr();
        hooks.log.note(Event::RawCalloc {
            count,
            size,
            result,
        });
        block
    }
}

pub(super) unsafe extern "C-unwind" fn raw_realloc(
    context: *mut c_void,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: as above.
    unsafe {
        let hooks = of(context);
        let moved = hooks.ask_raw(|raw| (raw.realloc)(raw.ctx, block, size));
        hooks.log.note(Event::RawRealloc {
            block: block.addr(),
            size,
            result: moved.addr(),
        });
        moved
    }
}

pub(super) unsafe extern "C-unwind" fn raw_free(context: *mut c_void, block: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        let hooks = of(context);
        hooks.log.note(Event::RawFree {
            block: block.addr(),
        });
        (hooks.raw.free)(hooks.raw.ctx, block);
    }
}

pub(super) unsafe extern "C-unwind" fn arena_alloc(
    context: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: as above.
    let hooks = unsafe { of(context) };
    let arena = hooks.alloc_arena(size);
    hooks.log.note(Event::ArenaAlloc {
        size,
        result: arena.addr(),
    });
    arena.cast()
}

pub(super) unsafe extern "C-unwind" fn arena_free(
    context: *mut c_void,
    base: *mut c_void,
    size: usize,
) {
    // SAFETY: as above.
    let hooks = unsafe { of(context) };
    hooks.log.note(Event::ArenaFree {
        base: base.addr(),
        size,
    });
    hooks.free_arena(base.cast(), size);
}
