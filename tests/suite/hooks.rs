//! Allocators of real interpreters that are got and set, and requests there that cannot be met.

use crate::interpreters::{every, scripted, with_hooks};
use crate::room::Room;
use allocspec::pymalloc::Version;
use std::path::Path;

/// Gets every allocator and sets what it got; tells which have a context.
const ROUND_TRIP: &str = "\
import ctypes
api = ctypes.pythonapi
class Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ('ctx', 'malloc', 'calloc', 'realloc', 'free')]
class Arenas(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ('ctx', 'alloc', 'free')]
def got(domain):
    allocator = Allocator()
    api.PyMem_GetAllocator(domain, ctypes.byref(allocator))
    return allocator
for domain in range(3):
    first = got(domain)
    api.PyMem_SetAllocator(domain, ctypes.byref(first))
    assert bytes(got(domain)) == bytes(first), domain
    assert first.malloc and first.calloc and first.realloc and first.free, domain
    print('without' if first.ctx is None else 'with')
arenas = Arenas()
api.PyObject_GetArenaAllocator(ctypes.byref(arenas))
api.PyObject_SetArenaAllocator(ctypes.byref(arenas))
print('without' if arenas.ctx is None else 'with')
";
/// Sets hooks that look at what they are asked; tells where that is not what it has to be.
const HOOKED: &str = "\
import ctypes, sys
hooks = ctypes.PyDLL(sys.argv[1])
print([hooks.seen_by_hooks(domain) for domain in range(3)])
";
/// Asks for more than there can be, and for more than there may be, until there is none. A call that leaves an exception
/// raises it.
const FAILING: &str = "\
import ctypes, resource
api = ctypes.pythonapi
pointer, number = ctypes.c_void_p, ctypes.c_size_t
def function(name, *arguments):
    function = getattr(api, name)
    function.restype, function.argtypes = pointer, arguments
    return function
failed = 0
for prefix in 'PyMem_Raw', 'PyMem_', 'PyObject_':
    if not hasattr(api, prefix + 'Malloc'):
        continue
    malloc = function(prefix + 'Malloc', number)
    realloc = function(prefix + 'Realloc', pointer, number)
    block = malloc(100)
    for size in 1 << 62, 1 << 63, (1 << 64) - 1:
        failed += (malloc(size) is None) + (realloc(block, size) is None)
    if hasattr(api, prefix + 'Calloc'):
        calloc = function(prefix + 'Calloc', number, number)
        for count in 1 << 30, 1 << 31, 1 << 32:
            failed += (calloc(count, 1 << 32) is None) + (calloc(1 << 32, count) is None)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, -1))
    while malloc(1 << 24) is not None:
        pass
    failed += realloc(block, 1 << 26) is None
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
try:
    api.PyErr_NoMemory()
except MemoryError:
    print(failed)
";

/// What a script prints; it must end well and say nothing else.
#[track_caller]
fn printed(python: &Path, malloc: &str, script: &str, arguments: &[&Path]) -> String {
    let output = scripted(python, malloc, script).args(arguments).output();
    let output = output.expect("the interpreter starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let ended = (output.status.code(), said.as_ref());
    assert_eq!(ended, (Some(0), ""), "{python:?} {malloc}");
    String::from_utf8(output.stdout).expect("a text")
}

#[test]
fn what_is_got_can_be_set_and_defaults_have_no_context() {
    for (python, _) in with_hooks() {
        for (malloc, of_blocks) in [
            ("pymalloc", "without\n"),
            ("malloc", "without\n"),
            ("pymalloc_debug", "with\n"),
        ] {
            let told = printed(&python, malloc, ROUND_TRIP, &[]);
            let expected = of_blocks.repeat(3) + "without\n";
            assert_eq!(told, expected, "{python:?} {malloc}");
        }
    }
}

#[test]
fn hooks_see_what_is_asked_while_they_are_set() {
    let room = Room::new();
    let Some(hooks) = room.compile("hooks") else {
        return;
    };
    for (python, _) in with_hooks() {
        for malloc in ["pymalloc", "malloc", "pymalloc_debug"] {
            let told = printed(&python, malloc, HOOKED, &[&hooks]);
            assert_eq!(told, "[0, 0, 0]\n", "{python:?} {malloc}");
        }
    }
}

#[test]
fn what_fails_raises_no_exception() {
    for (python, version) in every() {
        // Seven failures in each domain, and six of calloc.
        let failed = match version >= Version(3, 5, 0) {
            true => "39\n",
            false => "14\n",
        };
        for malloc in ["pymalloc", "debug"] {
            let told = printed(&python, malloc, FAILING, &[]);
            assert_eq!(told, failed, "{python:?} {malloc}");
        }
    }
}
