//! The same operations on the C library's allocator, with every check and with none, by sizes and by live blocks.

#![allow(missing_docs, reason = "what the macros make has none")]

use allocspec::bench::checking::Checked;
use allocspec::bench::workload::{Unchecked, Workload};
use allocspec::run::c_library;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// As in the command: the model's memory is not the allocator's that is measured.
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn checking(criterion: &mut Criterion) {
    for largest in [64, 1024] {
        let mut group = criterion.benchmark_group(format!("1 to {largest} bytes"));
        for live in [256, 4096, 65_536] {
            let workload = Workload::mixed(live, largest, 0);
            group.throughput(Throughput::Elements(workload.operations()));
            let mut plain = Unchecked::new(c_library(), live);
            plain.run(&workload.fill);
            group.bench_function(BenchmarkId::new("unchecked", live), |bencher| {
                bencher.iter(|| plain.run(&workload.rounds));
            });
            let mut checked = Checked::new(c_library(), &workload).expect("memory for the model");
            group.bench_function(BenchmarkId::new("checked", live), |bencher| {
                bencher.iter(|| checked.run(&workload.rounds));
            });
        }
    }
}

criterion_group!(benches, checking);
criterion_main!(benches);
