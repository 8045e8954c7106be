//! The reference beside CPython's own allocator and the C library's.

#![allow(missing_docs, reason = "what the macros make has none")]

use allocspec::bench::reference::{Draws, Usage, broken_in, cpython, exercise, reference};
use allocspec::run::c_library;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn usages(criterion: &mut Criterion) {
    let draws = Draws::new();
    let others = std::iter::once(("glibc".to_owned(), c_library())).chain(cpython());
    let others: Vec<_> = others.collect();
    for (_, other) in &others {
        broken_in(&mut { *other }, &draws);
    }
    for usage in Usage::ALL {
        let mut group = criterion.benchmark_group(usage.words());
        let mut heap = reference();
        broken_in(&mut *heap, &draws);
        let pairs = exercise(&mut *heap, usage, &draws);
        group.throughput(Throughput::Elements(2 * pairs as u64));
        group.bench_function("reference", |bencher| {
            bencher.iter(|| exercise(&mut *heap, usage, &draws));
        });
        for (name, other) in &others {
            let mut other = *other;
            group.bench_function(name, |bencher| {
                bencher.iter(|| exercise(&mut other, usage, &draws));
            });
        }
    }
}

criterion_group!(benches, usages);
criterion_main!(benches);
