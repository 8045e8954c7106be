//! The variables that choose an interpreter's allocators: what the documents say of them, shown on real interpreters.

use crate::interpreters::{PYTHON, PYTHON_DEBUG, is_here, managed, version_of};
use crate::room::Room;
use allocspec::pymalloc::{Domain, Style, Version};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Finds what allocates in each domain.
const MALLOCS: &str = "\
import ctypes, sys
names = 'PyMem_RawMalloc', 'PyMem_Malloc', 'PyObject_Malloc'
mallocs = [getattr(ctypes.pythonapi, name) for name in names]
for malloc in mallocs:
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
";

/// Shows the eight bytes before a block of each of [`MALLOCS`], and what the interpreter knows of its small blocks.
const SHOW: &str = "\
for malloc in mallocs:
    header = bytearray(ctypes.string_at(malloc(430) - 8, 8))
    print(''.join('%02x' % byte for byte in header))
sys._debugmallocstats()
";

/// Tells by how many KiB the C library's own blocks grow with a thousand blocks of 600 bytes of each of [`MALLOCS`].
const LIBRARY: &str = "\
fields = 'arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost'
class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in fields.split()]
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
for malloc in mallocs:
    before = mallinfo().uordblks
    for _ in range(1000):
        malloc(600)
    print((mallinfo().uordblks - before) // 1024)
";

/// Tells how many more blocks are counted after a thousand calls of each of [`MALLOCS`], small and large, and how many
/// in all. The place for the blocks is there before, lest it be counted.
const COUNT: &str = "\
import gc
blocks = (ctypes.c_void_p * 1000)()
gc.collect()
for malloc in mallocs:
    for size in (100, 600):
        before = sys.getallocatedblocks()
        for number in range(len(blocks)):
            blocks[number] = malloc(size)
        print(sys.getallocatedblocks() - before)
print(sys.getallocatedblocks())
";

/// Needs several arenas, and tells when it has done.
const MANY: &str = "\
import sys
many = [str(number) for number in range(100000)]
sys.stderr.write('done\\n')
sys.stderr.flush()
";

/// Where small blocks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beneath {
    Pools,
    CLibrary,
    Mimalloc,
}
use Beneath::{CLibrary, Mimalloc, Pools};

/// That, and whether debug hooks stand before it.
type Allocators = (Beneath, bool);

/// An interpreter that listens to the variables.
struct Interpreter {
    python: PathBuf,
    version: Version,
    /// Whether it is a debug build, which has debug hooks by itself.
    debug: bool,
}

impl Interpreter {
    fn own(&self) -> Allocators {
        (Pools, self.debug)
    }

    /// What a value of `PYTHONMALLOC` stands for; `None` if it is unknown.
    fn named(&self, value: &str) -> Option<Allocators> {
        let since = |minor| self.version >= Version(3, minor, 0);
        Some(match value {
            "" => self.own(),
            "default" if since(7) => self.own(),
            "malloc" => (CLibrary, false),
            "malloc_debug" => (CLibrary, true),
            "pymalloc" => (Pools, false),
            "pymalloc_debug" => (Pools, true),
            // 3.6 puts the hooks over what it started with, and never comes to pymalloc.
            "debug" if !since(7) => (CLibrary, true),
            "debug" => (Pools, true),
            "mimalloc" if since(13) => (Mimalloc, false),
            "mimalloc_debug" if since(13) => (Mimalloc, true),
            _ => return None,
        })
    }

    fn run(&self, options: &[&str], variables: &[(&str, &str)], script: &str) -> Output {
        run(&self.python, options, variables, script)
    }

    /// The allocators that it is seen to have.
    #[track_caller]
    fn seen(&self, options: &[&str], variables: &[(&str, &str)]) -> Allocators {
        let output = self.run(options, variables, &[MALLOCS, SHOW].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        let case = format!("{:?} {options:?} {variables:?}", self.python);
        assert!(output.status.success(), "{case}\n{told}");
        let beneath = [
            ("Small block threshold = 512,", Pools),
            ("Small block threshold = 16384,", Mimalloc),
        ];
        let beneath = beneath.iter().find(|(words, _)| told.contains(words));
        let beneath = beneath.map_or(CLibrary, |&(_, beneath)| beneath);
        let forbidden = format!("{:02x}", Style::of(self.version).forbidden).repeat(7);
        let header = |domain| format!("{:02x}{forbidden}", domain as u8);
        let headers = [Domain::Raw, Domain::Mem, Domain::Object].map(header);
        let shown = String::from_utf8_lossy(&output.stdout);
        let shown: Vec<&str> = shown.lines().collect();
        assert_eq!(shown.len(), headers.len(), "{case}");
        let hooks: Vec<bool> = (headers.iter().zip(shown))
            .map(|(header, shown)| header == shown)
            .collect();
        assert!(
            hooks.iter().all(|&hook| hook == hooks[0]),
            "{case}: hooks on some domains: {hooks:?}"
        );
        (beneath, hooks[0])
    }

    /// The numbers that a script, which follows [`MALLOCS`], tells under a value of `PYTHONMALLOC`.
    #[track_caller]
    fn numbers(&self, value: &str, script: &str) -> Vec<i64> {
        let variables = [("PYTHONMALLOC", value)];
        let output = self.run(&[], &variables, &[MALLOCS, script].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?} {value}\n{told}", self.python);
        let shown = String::from_utf8_lossy(&output.stdout);
        let numbers = shown.lines().map(|line| line.parse().expect("a number"));
        numbers.collect()
    }

    /// The statistics that it tells before [`MANY`] has done, and after: the arenas taken until then, for each time.
    fn told(&self, options: &[&str], variables: &[(&str, &str)]) -> (Vec<usize>, Vec<usize>) {
        let output = self.run(options, variables, MANY);
        let told = String::from_utf8_lossy(&output.stderr);
        let (before, after) = told.split_once("done\n").expect("the script was run");
        (arenas(before), arenas(after))
    }
}

fn arenas(told: &str) -> Vec<usize> {
    let lines = told.lines();
    let totals = lines.filter_map(|line| line.strip_prefix("# arenas allocated total"));
    let number = |line: &str| {
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number of arenas")
    };
    totals.map(number).collect()
}

fn run(python: &Path, options: &[&str], variables: &[(&str, &str)], script: &str) -> Output {
    let mut command = Command::new(python);
    for variable in ["PYTHONMALLOC", "PYTHONMALLOCSTATS", "PYTHONDEVMODE"] {
        command.env_remove(variable);
    }
    command
        .args(options)
        .args(["-s", "-S", "-c", script])
        .current_dir("/")
        .envs(variables.iter().copied());
    command.output().expect("the interpreter starts")
}

fn interpreters() -> Vec<Interpreter> {
    let debians = [PYTHON, PYTHON_DEBUG].into_iter();
    let debians = debians.filter(|python| is_here(python)).map(PathBuf::from);
    let all = debians.chain(managed()).map(|python| {
        let ask = "import sys; print(hasattr(sys, 'gettotalrefcount'))";
        Interpreter {
            version: version_of(&python),
            debug: run(&python, &[], &[], ask).stdout.starts_with(b"True"),
            python,
        }
    });
    all.filter(|python| python.version >= Version(3, 6, 0))
        .collect()
}

#[test]
fn every_value_chooses_its_allocators() {
    let values = [
        "",
        "default",
        "malloc",
        "malloc_debug",
        "pymalloc",
        "pymalloc_debug",
        "debug",
        "mimalloc",
        "mimalloc_debug",
    ];
    for python in interpreters() {
        assert_eq!(python.seen(&[], &[]), python.own(), "{:?}", python.python);
        for value in values {
            if let Some(allocators) = python.named(value) {
                let seen = python.seen(&[], &[("PYTHONMALLOC", value)]);
                assert_eq!(seen, allocators, "{:?} {value}", python.python);
            }
        }
    }
}

/// `default` is unknown to 3.6, and mimalloc is before 3.13.
#[test]
fn any_other_value_is_fatal() {
    let values = [
        "nonsense",
        "Malloc",
        "debug ",
        "default",
        "mimalloc",
        "mimalloc_debug",
    ];
    for python in interpreters() {
        for value in values {
            if python.named(value).is_none() {
                let output = python.run(&[], &[("PYTHONMALLOC", value)], "print('it runs')");
                let told = String::from_utf8_lossy(&output.stderr).to_lowercase();
                assert_eq!(output.status.code(), Some(1), "{:?} {told}", python.python);
                assert_eq!(output.stdout, b"", "{:?}", python.python);
                for words in ["pythonmalloc", "unknown", "allocator"] {
                    assert!(told.contains(words), "{:?} {told}", python.python);
                }
            }
        }
    }
}

#[test]
fn the_environment_is_ignored_if_asked() {
    for python in interpreters() {
        let isolated = python.version >= Version(3, 7, 0);
        for option in ["-E", "-I"] {
            // 3.6 looks for `-E` alone before it chooses its allocators.
            let ignores = option == "-E" || isolated;
            let variables = [("PYTHONMALLOC", "malloc_debug"), ("PYTHONDEVMODE", "1")];
            let expected = match ignores {
                true => python.own(),
                false => (CLibrary, true),
            };
            let seen = python.seen(&[option], &variables);
            assert_eq!(seen, expected, "{:?} {option}", python.python);
            let unknown = python.run(&[option], &[("PYTHONMALLOC", "nonsense")], "pass");
            assert_eq!(unknown.status.success(), ignores, "{:?}", python.python);
            let told = python.told(&[option], &[("PYTHONMALLOCSTATS", "1")]);
            assert_eq!(told, (vec![], vec![]), "{:?} {option}", python.python);
        }
    }
}

#[test]
fn development_mode_adds_the_hooks_unless_something_is_chosen() {
    let all = interpreters().into_iter();
    for python in all.filter(|python| python.version >= Version(3, 7, 0)) {
        let dev = ("PYTHONDEVMODE", "1");
        assert_eq!(python.seen(&["-X", "dev"], &[]), (Pools, true));
        assert_eq!(python.seen(&[], &[dev]), (Pools, true));
        for value in ["default", "malloc"] {
            let seen = python.seen(&[], &[dev, ("PYTHONMALLOC", value)]);
            assert_eq!(Some(seen), python.named(value), "{:?}", python.python);
        }
    }
}

/// They are told before each arena is taken, and at the end; 3.12 has no pools left to tell of by then.
#[test]
fn statistics_are_told_when_asked_for() {
    for python in interpreters() {
        let told = |value, malloc| {
            let variables = [("PYTHONMALLOCSTATS", value), ("PYTHONMALLOC", malloc)];
            python.told(&[], &variables)
        };
        let (before, after) = told("1", "pymalloc");
        let all: Vec<usize> = before.iter().chain(&after).copied().collect();
        let expected: Vec<usize> = (0..all.len()).collect();
        assert_eq!(all, expected, "{:?}", python.python);
        assert!(before.len() > 2, "{:?}: {all:?}", python.python);
        let silent = (Version(3, 12, 0)..Version(3, 13, 0)).contains(&python.version);
        assert_eq!(after.is_empty(), silent, "{:?}: {all:?}", python.python);
        for (value, malloc) in [("", "pymalloc"), ("1", "malloc")] {
            assert_eq!(told(value, malloc), (vec![], vec![]), "{:?}", python.python);
        }
    }
}

/// The serial numbers of debug blocks are gone since.
#[test]
fn hooks_of_before_3_8_tell_how_often_they_were_called() {
    for python in interpreters() {
        let old = python.version < Version(3, 8, 0);
        for (value, tells) in [("pymalloc_debug", old), ("pymalloc", false)] {
            let variables = [("PYTHONMALLOC", value)];
            let output = python.run(&[], &variables, "import sys; sys._debugmallocstats()");
            let told = String::from_utf8_lossy(&output.stderr);
            let case = format!("{:?} {value}\n{told}", python.python);
            assert!(told.contains("Small block threshold"), "{case}");
            let serial = told.contains("# times object malloc called");
            assert_eq!(serial, tells, "{case}");
        }
    }
}

/// An interpreter looks for pymalloc where tracemalloc then stands, and so tells nothing of pools, as over the C
/// library. With hooks, 3.13 looks behind it.
#[test]
fn tracemalloc_hides_the_pools() {
    let all = interpreters().into_iter();
    for python in all.filter(|python| python.version >= Version(3, 7, 0)) {
        let beneath = match python.version >= Version(3, 13, 0) {
            true => Pools,
            false => CLibrary,
        };
        for (value, expected) in [("debug", (beneath, true)), ("pymalloc", (CLibrary, false))] {
            let seen = python.seen(&["-X", "tracemalloc"], &[("PYTHONMALLOC", value)]);
            assert_eq!(seen, expected, "{:?} {value}", python.python);
        }
    }
}

#[test]
fn mimalloc_leaves_the_raw_domain_to_the_c_library() {
    for python in interpreters() {
        if python.named("mimalloc").is_some() {
            let grown = python.numbers("mimalloc", LIBRARY);
            assert!(
                matches!(grown[..], [(580..), (..100), (..100)]),
                "{:?} {grown:?}",
                python.python
            );
        }
    }
}

/// Those too large for pools are among them, raw blocks are not. The interpreter may make a few of its own meanwhile.
#[test]
fn live_blocks_are_counted_by_pymalloc_alone() {
    for python in interpreters() {
        let counted = python.numbers("pymalloc", COUNT);
        let (total, grown) = counted.split_last().expect("a total");
        let rounded: Vec<i64> = grown.iter().map(|grown| grown / 20 * 20).collect();
        let case = format!("{:?} {counted:?}", python.python);
        assert_eq!(rounded, [0, 0, 1000, 1000, 1000, 1000], "{case}");
        assert!(*total > 4000, "{case}");
        let counted = python.numbers("malloc", COUNT);
        assert_eq!(counted, [0; 7], "{:?}", python.python);
    }
}

/// Neither is a word to those of before 3.6; debug builds of 2.7 listen to the second.
#[test]
fn older_ones_do_not_listen() {
    for python in managed() {
        if version_of(&python) < Version(3, 6, 0) {
            let variables = [("PYTHONMALLOC", "nonsense"), ("PYTHONMALLOCSTATS", "1")];
            let output = run(&python, &[], &variables, MANY);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                (output.status.code(), told.as_ref()),
                (Some(0), "done\n"),
                "{python:?}"
            );
        }
    }
}

/// A check finds the interpreter as it is by itself, whatever the user has set.
#[test]
fn what_the_user_has_set_does_not_reach_the_subject() {
    if is_here(PYTHON) {
        let room = Room::new();
        let mut command = room.command(&["check", "--python", PYTHON, "--rule", "threshold-512"]);
        command
            .args(["--strict", "--time", "2s"])
            .env("PYTHONMALLOC", "nonsense")
            .env("PYTHONMALLOCSTATS", "1")
            .env("PYTHONHOME", "/nowhere");
        let run = room.run(command);
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
        assert!(run.stdout.contains("pass  threshold-512"), "{}", run.stdout);
    }
}
