//! The agent: a small shared library that is loaded into a Python interpreter and plays there what the supervisor says.
//!
//! The build script compiles it, and the program carries it along. It has no standard library, for an interpreter's
//! process is no place for a second one, and takes from the process it is loaded into what it needs.

#![no_std]

#[allow(dead_code, reason = "the rest is for the other side")]
#[path = "../play.rs"]
mod play;
#[allow(dead_code, reason = "the rest is for the other side")]
#[path = "../stage.rs"]
mod stage;
#[allow(dead_code, reason = "the rest is for the other side")]
#[path = "../wire.rs"]
mod wire;

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use play::{Player, SLOTS, play};
use stage::{HOME, Stage, map};
use wire::{Board, NO_ARENAS, NO_MEMORY, READY, STATISTICS, STEPS, TEXT, WORDS};

/// `PyMemAllocatorEx`
#[repr(C)]
#[derive(Clone, Copy)]
struct Domain {
    context: *mut c_void,
    malloc: extern "C" fn(*mut c_void, usize) -> *mut u8,
    calloc: extern "C" fn(*mut c_void, usize, usize) -> *mut u8,
    realloc: extern "C" fn(*mut c_void, *mut u8, usize) -> *mut u8,
    free: extern "C" fn(*mut c_void, *mut u8),
}

/// `PyObjectArenaAllocator`
#[repr(C)]
#[derive(Clone, Copy)]
struct Arenas {
    context: *mut c_void,
    alloc: extern "C" fn(*mut c_void, usize) -> *mut u8,
    free: extern "C" fn(*mut c_void, *mut u8, usize),
}

/// `PYMEM_DOMAIN_RAW`
const RAW: c_int = 0;

unsafe extern "C" {
    fn PyObject_Malloc(size: usize) -> *mut u8;
    fn PyObject_Calloc(count: usize, size: usize) -> *mut u8;
    fn PyObject_Realloc(block: *mut u8, size: usize) -> *mut u8;
    fn PyObject_Free(block: *mut u8);
    fn PyMem_GetAllocator(domain: c_int, allocator: *mut Domain);
    fn PyMem_SetAllocator(domain: c_int, allocator: *const Domain);
    fn PyObject_GetArenaAllocator(allocator: *mut Arenas);
    fn PyObject_SetArenaAllocator(allocator: *const Arenas);
    fn _PyObject_DebugMallocStats(out: *mut c_void);

    fn mmap(
        at: *mut c_void,
        size: usize,
        access: c_int,
        kind: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn read(fd: c_int, to: *mut c_void, size: usize) -> isize;
    fn write(fd: c_int, from: *const c_void, size: usize) -> isize;
    fn fmemopen(memory: *mut c_void, size: usize, mode: *const c_char) -> *mut c_void;
    fn fclose(file: *mut c_void) -> c_int;
    fn ftell(file: *mut c_void) -> i64;
    fn fflush(file: *mut c_void) -> c_int;
    fn _exit(status: c_int) -> !;
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process.
    unsafe { abort() }
}

/// What the core library's tables of frames name. Nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// What the hooks need before the stage is set: what was there before them.
struct Before {
    raw: Domain,
    arenas: Arenas,
    /// Whether arenas are refused.
    refuse: bool,
    /// Whether the raw domain was asked for a block.
    fell_back: bool,
    /// The size of the last arena.
    arena: usize,
    /// The size to which the vector of arenas was to be resized, which is refused.
    vector: usize,
}

extern "C" fn before_malloc(context: *mut c_void, size: usize) -> *mut u8 {
    // SAFETY: the context of these hooks; the interpreter has one thread that gets here.
    let before = unsafe { &mut *context.cast::<Before>() };
    before.fell_back = true;
    (before.raw.malloc)(before.raw.context, size)
}
extern "C" fn before_calloc(context: *mut c_void, count: usize, size: usize) -> *mut u8 {
    // SAFETY: as above.
    let before = unsafe { &*context.cast::<Before>() };
    (before.raw.calloc)(before.raw.context, count, size)
}
extern "C" fn before_realloc(context: *mut c_void, _: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: as above. Nothing but the vector is resized while the state is prepared.
    unsafe { (*context.cast::<Before>()).vector = size };
    ptr::null_mut()
}
extern "C" fn before_free(context: *mut c_void, block: *mut u8) {
    // SAFETY: as above.
    let before = unsafe { &*context.cast::<Before>() };
    (before.raw.free)(before.raw.context, block);
}
extern "C" fn before_arena(context: *mut c_void, size: usize) -> *mut u8 {
    // SAFETY: as above.
    let before = unsafe { &mut *context.cast::<Before>() };
    if before.refuse {
        return ptr::null_mut();
    }
    before.arena = size;
    (before.arenas.alloc)(before.arenas.context, size)
}
extern "C" fn before_arena_free(context: *mut c_void, base: *mut u8, size: usize) {
    // SAFETY: as above.
    let before = unsafe { &*context.cast::<Before>() };
    (before.arenas.free)(before.arenas.context, base, size);
}

extern "C" fn raw_malloc(stage: *mut c_void, size: usize) -> *mut u8 {
    // SAFETY: the context of these hooks is the stage, which only they use while an allocator is called.
    unsafe { (*stage.cast::<Stage>()).raw_malloc(size) }
}
extern "C" fn raw_calloc(stage: *mut c_void, count: usize, size: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { (*stage.cast::<Stage>()).raw_calloc(count, size) }
}
extern "C" fn raw_realloc(stage: *mut c_void, block: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: as above; blocks are the raw domain's, of which all that is older is the vector.
    unsafe { (*stage.cast::<Stage>()).raw_realloc(block, size) }
}
extern "C" fn raw_free(stage: *mut c_void, block: *mut u8) {
    // SAFETY: as above.
    unsafe { (*stage.cast::<Stage>()).raw_free(block) }
}
extern "C" fn arena_alloc(stage: *mut c_void, size: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { (*stage.cast::<Stage>()).arena_alloc(size) }
}
extern "C" fn arena_free(stage: *mut c_void, base: *mut u8, size: usize) {
    // SAFETY: as above.
    unsafe { (*stage.cast::<Stage>()).arena_free(base, size) }
}

/// The interpreter's own allocator.
struct Interpreter;

impl Player for Interpreter {
    unsafe fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the thread holds the interpreter's lock; the rest is the caller's promise, as below.
        unsafe { PyObject_Malloc(size) }
    }
    unsafe fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { PyObject_Calloc(count, size) }
    }
    unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { PyObject_Realloc(block, size) }
    }
    unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: as above.
        unsafe { PyObject_Free(block) }
    }
}

/// Takes every block that the allocator can give without a new arena, and keeps it.
unsafe fn drain(before: *mut Before) {
    // SAFETY: the hooks have the only other pointer, and use it only within the calls.
    unsafe {
        (*before).refuse = true;
        for size in (8..=512).rev().step_by(8) {
            (*before).fell_back = false;
            while !(*before).fell_back {
                PyObject_Malloc(size);
            }
        }
    }
}

/// Brings the allocator into a state that is known: every pool of every arena is full, every entry of the vector of
/// arenas in use. Learns the layout on the way. Answers whether that went as it must.
unsafe fn prepare(before: *mut Before, board: &mut Board) -> bool {
    // SAFETY: as in `drain`.
    unsafe {
        drain(before);
        (*before).refuse = false;
        (*before).vector = 0;
        let first = PyObject_Malloc(1).addr();
        board.alignment = PyObject_Malloc(1).addr().wrapping_sub(first) as u64;
        // From its first block to that of the next pool is the size of a pool.
        let largest = PyObject_Malloc(512).addr();
        let mut last = largest;
        while (*before).vector == 0 && board.pool == 0 {
            let next = PyObject_Malloc(512).addr();
            if next != last + 512 {
                board.pool = next.wrapping_sub(largest) as u64;
            }
            last = next;
        }
        (*before).fell_back = false;
        while (*before).vector == 0 && !(*before).fell_back {
            PyObject_Malloc(512);
        }
        board.arena = (*before).arena as u64;
        board.vector = (*before).vector as u64;
        drain(before);
    }
    board.arena != 0 && board.vector != 0
}

/// Answers with a word.
fn answer(word: u64) {
    // SAFETY: the word is ours. If nobody listens any more, the next command will not come.
    unsafe { write(1, ptr::from_ref(&word).cast(), size_of::<u64>()) };
}

/// The next command; ends the process if there will be none.
fn command() -> u64 {
    let mut word = 0u64;
    let size = size_of::<u64>();
    // SAFETY: the word is ours.
    unsafe {
        if read(0, ptr::from_mut(&mut word).cast(), size) != size as isize {
            _exit(0);
        }
    }
    word
}

/// Puts the interpreter's statistics into memory. Answers with their length.
unsafe fn statistics(text: &mut [u8; TEXT]) -> u64 {
    // SAFETY: the stream writes into the text and is closed before that is used again.
    unsafe {
        let file = fmemopen(text.as_mut_ptr().cast(), TEXT, c"w".as_ptr());
        if file.is_null() {
            return 0;
        }
        _PyObject_DebugMallocStats(file);
        fflush(file);
        let length = ftell(file);
        fclose(file);
        length as u64
    }
}

/// Serves the supervisor, whose [`Board`] is in this file, until it goes. To be called by the interpreter's only thread,
/// with its lock held. Never returns: the allocator is not fit for anybody else afterwards.
#[unsafe(no_mangle)]
extern "C" fn allocspec_agent(board: c_int) -> ! {
    const READ_WRITE: c_int = 1 | 2;
    const SHARED: c_int = 1;
    // SAFETY: the file is as long as a board, and the supervisor and this process take turns with it. The hooks get
    // what they are written for.
    unsafe {
        let board = mmap(
            ptr::null_mut(),
            size_of::<Board>(),
            READ_WRITE,
            SHARED,
            board,
            0,
        );
        let slots: *mut [*mut u8; SLOTS] = map(0, size_of::<[*mut u8; SLOTS]>()).cast();
        if board.addr() as isize == -1 || slots.is_null() {
            answer(NO_MEMORY);
            _exit(0);
        }
        let board = &mut *board.cast::<Board>();

        let mut raw = core::mem::MaybeUninit::uninit();
        let mut arenas = core::mem::MaybeUninit::uninit();
        PyMem_GetAllocator(RAW, raw.as_mut_ptr());
        PyObject_GetArenaAllocator(arenas.as_mut_ptr());
        let mut before = Before {
            raw: raw.assume_init(),
            arenas: arenas.assume_init(),
            refuse: true,
            fell_back: false,
            arena: 0,
            vector: 0,
        };
        let before = ptr::from_mut(&mut before);
        PyMem_SetAllocator(
            RAW,
            &Domain {
                context: before.cast(),
                malloc: before_malloc,
                calloc: before_calloc,
                realloc: before_realloc,
                free: before_free,
            },
        );
        PyObject_SetArenaAllocator(&Arenas {
            context: before.cast(),
            alloc: before_arena,
            free: before_arena_free,
        });
        if !prepare(before, board) {
            answer(NO_ARENAS);
            _exit(0);
        }

        let stage = Stage::set_up(HOME, board.arena as usize);
        if stage.is_null() {
            answer(NO_MEMORY);
            _exit(0);
        }
        PyMem_SetAllocator(
            RAW,
            &Domain {
                context: stage.cast(),
                malloc: raw_malloc,
                calloc: raw_calloc,
                realloc: raw_realloc,
                free: raw_free,
            },
        );
        PyObject_SetArenaAllocator(&Arenas {
            context: stage.cast(),
            alloc: arena_alloc,
            free: arena_free,
        });
        answer(READY);
        loop {
            match command() {
                STATISTICS => answer(statistics(&mut board.text)),
                count => {
                    (*stage).record_into(board.record.as_mut_ptr(), WORDS);
                    let steps = &board.steps[..(count as usize).min(STEPS)];
                    play(&mut Interpreter, stage, steps, &mut *slots);
                    board.failed = (*stage).failed;
                    answer((*stage).recorded() as u64);
                }
            }
        }
    }
}
