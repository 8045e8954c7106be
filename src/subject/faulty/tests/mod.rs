//! The sound variants keep a small model of all rules at once.

mod each_fault;
mod extensions;
mod life;

use super::*;
use crate::program::Call;
use crate::spec::RuleId;
use crate::subject::Subject;
use libc::{EINVAL, ENOMEM};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What the tests set `errno` to before a call.
const UNTOUCHED: i32 = 4242;

fn errno() -> i32 {
    // SAFETY: the location is valid in every thread.
    unsafe { *libc::__errno_location() }
}

/// Calls with a known `errno` before, and tells it after.
fn with_errno<T>(call: impl FnOnce() -> T) -> (T, i32) {
    sys::set_errno(UNTOUCHED);
    let result = call();
    (result, errno())
}

fn fill(block: *mut u8, size: usize, seed: u8) {
    for i in 0..size {
        // SAFETY: the tests own the block.
        unsafe { *block.add(i) = seed.wrapping_add(i as u8) };
    }
}

fn holds(block: *mut u8, size: usize, seed: u8) -> bool {
    // SAFETY: the tests own the block.
    (0..size).all(|i| unsafe { *block.add(i) } == seed.wrapping_add(i as u8))
}

/// How a child process that makes these calls ends: its exit status, or minus the signal it died of.
fn fate(calls: impl FnOnce()) -> i32 {
    // SAFETY: the child makes no calls but those of the subject, which takes no locks, and `_exit`.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::alarm(5);
            calls();
            libc::_exit(42);
        }
        let mut status = 0;
        libc::waitpid(child, &mut status, 0);
        if libc::WIFSIGNALED(status) {
            -libc::WTERMSIG(status)
        } else {
            libc::WEXITSTATUS(status)
        }
    }
}

/// Lets the process, a child of the test, map no more.
fn limit() {
    let limit = libc::rlimit {
        rlim_cur: 1,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: reads the struct.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
}

/// Lets this system call of the process, a child of the test, fail.
fn refuse(number: libc::c_long) {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let refused = libc::SECCOMP_RET_ERRNO | ENOMEM as u32;
    let mut filter = [
        (load, 0, 0),
        (equal, 1, number as u32),
        (answer, 0, refused),
        (answer, 0, libc::SECCOMP_RET_ALLOW),
    ]
    .map(|(code, jf, k)| libc::sock_filter { code, jt: 0, jf, k });
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: plain requests to the kernel; the program is as long as it says.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}

struct Live {
    size: usize,
    seed: u8,
}

/// Random calls of every kind, against a model of which bytes are whose and what they hold.
fn agrees_with_model(variant: Variant, max_size: usize) {
    let mut subject = Faulty::sound(variant);
    let mut live: BTreeMap<usize, Live> = BTreeMap::new();
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    for step in 0..60_000 {
        let seed = step as u8;
        let power = random(max_size.ilog2() as usize + 1);
        let size = random(2) * random(1 << power);
        let alignment: usize = 1 << random(15);
        let at = random(live.len().max(1));
        let chosen = live.keys().nth(at).copied();
        let grows = live.len() < 300;
        let mut made = None;
        // SAFETY: only live blocks of the subject are passed to it.
        unsafe {
            let old = std::ptr::with_exposed_provenance_mut::<u8>(chosen.unwrap_or(0));
            match random(if grows { 10 } else { 14 }) {
                0..2 => made = Some((with_errno(|| subject.malloc(size)), 1)),
                2..4 => {
                    let result = with_errno(|| subject.calloc(size.div_ceil(3), 3));
                    let total = size.div_ceil(3) * 3;
                    let block = result.0;
                    assert!(block.is_null() || (0..total).all(|i| *block.add(i) == 0));
                    made = Some((result, 1));
                }
                4 => {
                    let result = with_errno(|| subject.aligned_alloc(alignment, size));
                    made = Some((result, alignment));
                }
                5 => {
                    let result = with_errno(|| subject.memalign(alignment, size));
                    made = Some((result, alignment));
                }
                6 => {
                    let mut block = std::ptr::null_mut();
                    let alignment = alignment.max(8);
                    let code = subject.posix_memalign(&mut block, alignment, size);
                    let null = block.is_null();
                    assert!(code == 0 && (!null || size == 0) || code == ENOMEM && null);
                    made = Some(((block, if null { ENOMEM } else { UNTOUCHED }), alignment));
                }
                7 | 8 => {
                    if let Some(address) = chosen {
                        let Live {
                            size: old_size,
                            seed: old_seed,
                        } = live[&address];
                        assert!(holds(old, old_size, old_seed));
                        let (new, errno) = with_errno(|| subject.realloc(old, size));
                        assert_eq!(errno == UNTOUCHED, !new.is_null());
                        let kept = if new.is_null() && size > 0 { old } else { new };
                        let common = if kept == old {
                            old_size
                        } else {
                            old_size.min(size)
                        };
                        if kept != old || size == 0 || !new.is_null() {
                            live.remove(&address);
                        }
                        if !new.is_null() {
                            assert!(holds(new, common.min(size), old_seed));
                            made = Some(((new, UNTOUCHED), 1));
                        } else if kept == old && size > 0 {
                            assert!(holds(old, old_size, old_seed));
                        }
                    }
                }
                9 => {
                    assert!(subject.malloc_trim(0) < 2);
                }
                _ => {
                    if let Some(address) = chosen {
                        let Live { size, seed } = live[&address];
                        assert!(holds(old, size, seed));
                        assert!(subject.malloc_usable_size(old) >= size);
                        let (_, errno) = with_errno(|| match step % 3 {
                            0 => subject.free_sized(old, size),
                            1 => subject.free_aligned_sized(old, 1, size),
                            _ => subject.free(old),
                        });
                        assert_eq!(errno, UNTOUCHED);
                        live.remove(&address);
                    }
                }
            }
        }
        let Some(((block, errno), alignment)) = made else {
            continue;
        };
        if block.is_null() {
            assert!(size == 0 || errno == ENOMEM);
            continue;
        }
        assert_eq!(errno, UNTOUCHED);
        let fits = if size == 0 {
            1
        } else {
            1 << size.ilog2().min(4)
        };
        assert!(block.addr().is_multiple_of(alignment.max(fits)));
        let start = block.expose_provenance();
        let before = live.range(..=start).next_back();
        assert!(before.is_none_or(|(at, it)| at + it.size.max(1) <= start));
        let after = live.range(start + 1..).next();
        assert!(after.is_none_or(|(at, _)| start + size.max(1) <= *at));
        fill(block, size, seed);
        live.insert(start, Live { size, seed });
    }
    for (address, Live { size, seed }) in live {
        let block = std::ptr::with_exposed_provenance_mut(address);
        assert!(holds(block, size, seed));
        // SAFETY: a live block.
        unsafe { subject.free(block) };
    }
}

#[test]
fn plain_variant_is_sound() {
    agrees_with_model(Variant::Plain, 200_000);
}

#[test]
fn odd_variant_is_sound() {
    agrees_with_model(Variant::Odd, 200_000);
}

#[test]
fn pool_variant_is_sound() {
    agrees_with_model(Variant::Pool, 20_000);
}

#[test]
fn pool_is_whole_again_after_every_block_is_freed() {
    let mut subject = Faulty::sound(Variant::Pool);
    // SAFETY: only live blocks of the subject are passed to it.
    unsafe {
        for round in 1..50 {
            let mut blocks = Vec::new();
            loop {
                let block = subject.malloc(round * 37);
                if block.is_null() {
                    break;
                }
                blocks.push(block);
            }
            assert!(blocks.len() > (1 << 20) / (round * 37 + 16));
            let (even, odd): (Vec<_>, Vec<_>) =
                blocks.chunks(2).map(|it| (it[0], it.get(1))).unzip();
            even.into_iter().for_each(|block| subject.free(block));
            odd.into_iter()
                .flatten()
                .for_each(|block| subject.free(*block));
            let all = subject.malloc(1 << 20);
            assert!(!all.is_null());
            subject.free(all);
        }
    }
}

#[test]
fn variants_choose_as_they_say() {
    let mut plain = Faulty::sound(Variant::Plain);
    let mut odd = Faulty::sound(Variant::Odd);
    let mut pool = Faulty::sound(Variant::Pool);
    // SAFETY: only live blocks of the subject are passed to it.
    unsafe {
        assert!(!plain.malloc(0).is_null());
        assert!(odd.malloc(0).is_null() && odd.calloc(0, 3).is_null());
        assert!(!pool.malloc(0).is_null());

        let block = odd.malloc(1000);
        let moved = odd.realloc(block, 1000);
        assert_ne!(moved, block);
        let block = odd.malloc(1 << 20);
        fill(block, 5000, 1);
        let moved = odd.realloc(block, 2 << 20);
        assert!(moved != block && holds(moved, 5000, 1));

        let (one, two) = (pool.malloc(1), pool.malloc(1));
        assert_eq!(one.addr().abs_diff(two.addr()), 1);
        assert_eq!(
            with_errno(|| pool.realloc(one, 0)),
            (std::ptr::null_mut(), EINVAL)
        );
    }
}

#[test]
fn survives_many_live_blocks_and_reuses_their_memory() {
    let mut subject = Faulty::new(None);
    // SAFETY: only live blocks of the subject are passed to it.
    unsafe {
        let blocks: Vec<_> = (0..400_000).map(|i| subject.malloc(i % 200)).collect();
        let mut sorted = blocks.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), blocks.len());
        blocks.into_iter().for_each(|block| subject.free(block));
        let again = subject.malloc(32_000);
        // A span that served small blocks serves this one.
        assert!(sorted.first() <= Some(&again) && Some(&again) <= sorted.last());
    }
}

#[test]
fn serves_large_alignments_and_sizes_and_refuses_absurd_ones() {
    let mut subject = Faulty::new(None);
    // SAFETY: only live blocks of the subject are passed to it.
    unsafe {
        for power in 3..=30 {
            let mut block = std::ptr::null_mut();
            assert_eq!(subject.posix_memalign(&mut block, 1 << power, 100), 0);
            assert!(block.addr().is_multiple_of(1 << power));
            fill(block, 100, 7);
            let block = subject.realloc(block, 40_000);
            assert!(holds(block, 100, 7));
            subject.free(block);
        }
        for alignment in [1 << 62, 1 << 63] {
            let mut block = std::ptr::null_mut();
            for size in [0, 1, isize::MAX as usize] {
                assert_eq!(subject.posix_memalign(&mut block, alignment, size), ENOMEM);
            }
        }
        let size = (5 << 30) + 3;
        let block = subject.calloc(1, size);
        *block.add(size - 1) = 1;
        let block = subject.realloc(block, size + 10_000);
        assert_eq!(*block.add(size - 1), 1);
        subject.free(block);
        for size in [
            usize::MAX,
            usize::MAX - 4096,
            1 << 63,
            isize::MAX as usize,
            1 << 57,
        ] {
            for result in [
                with_errno(|| subject.malloc(size)),
                with_errno(|| subject.calloc(1, size)),
                with_errno(|| subject.calloc(size, 3)),
                with_errno(|| subject.aligned_alloc(64, size)),
                with_errno(|| subject.memalign(1 << 20, size)),
                with_errno(|| subject.pvalloc(size)),
                with_errno(|| subject.realloc(std::ptr::null_mut(), size)),
                with_errno(|| subject.reallocarray(std::ptr::null_mut(), size, 3)),
            ] {
                assert_eq!(result, (std::ptr::null_mut(), ENOMEM));
            }
        }
    }
}

#[test]
fn a_limit_on_the_process_is_a_limit_on_the_allocator() {
    for &variant in &[Variant::Plain, Variant::Odd] {
        let mut subject = Faulty::sound(variant);
        // SAFETY: only live blocks of the subject are passed to it.
        let fate = fate(|| unsafe {
            let large = subject.malloc(1 << 20);
            let small = subject.malloc(500);
            limit();
            let huge = with_errno(|| subject.malloc(1 << 33));
            let mut count = 0;
            while !subject.malloc(500).is_null() {
                count += 1;
            }
            let failed = huge == (std::ptr::null_mut(), ENOMEM) && (1..10_000).contains(&count);
            let shrunk = !subject.realloc(large, 3000).is_null();
            subject.free(small);
            let recovered = !subject.malloc(500).is_null();
            libc::_exit(i32::from(failed) + 2 * i32::from(shrunk) + 4 * i32::from(recovered));
        });
        assert_eq!(fate, 7, "{variant:?}");
    }
}

#[test]
fn faults_have_distinct_names_and_cover_the_rules() {
    let names: std::collections::BTreeSet<_> = Fault::ALL.iter().map(|it| it.name()).collect();
    assert_eq!(names.len(), Fault::ALL.len());
    for &fault in Fault::ALL {
        assert_eq!(Fault::parse(fault.name()), Some(fault));
        assert!(!fault.description().is_empty());
    }
    // Rules about libraries, and facts that no behaviour breaks.
    let without = [
        RuleId::InterposeCore,
        RuleId::InterposeComplete,
        RuleId::CxxPairComplete,
        RuleId::CxxPairSized,
        RuleId::CxxPairDelete,
        RuleId::AlignExtendedSupported,
        RuleId::MallocZeroErrno,
        RuleId::ReallocP0,
        RuleId::AlignedAllocUnsupported,
        RuleId::PmaErrno,
    ];
    let of_c = RuleId::AllocNonnullUsable.index()..=RuleId::UsableWritable.index();
    for index in of_c {
        let rule = RuleId::from_index(index).unwrap();
        assert_eq!(
            Fault::breaking(rule).next().is_none(),
            without.contains(&rule),
            "{rule}"
        );
    }
}

#[test]
fn provides_every_entry_point() {
    let subject = Faulty::new(None);
    for &call in Call::ALL {
        assert_eq!(subject.provides(call), call.is_entry_point());
    }
}
