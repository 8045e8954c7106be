//! How arenas and pools are used, counted and told as CPython does (`_PyObject_DebugMallocStats`).

use super::alloc::Pymalloc;
use super::arena::Statistics;
use super::fault::Faults;
use super::layout::{Geometry, Layout, MAX_CLASSES};
use super::radix::ArenaMap;
use super::source::{ArenaSource, Raw};
use std::fmt;

/// The pools in use of one class; empty pools belong to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassUsage {
    /// Pools with at least one block in use.
    pub pools: usize,
    /// Blocks in use.
    pub used: usize,
    /// Blocks of these pools that are not.
    pub available: usize,
}

/// How memory is used. Its [`Display`](fmt::Display) form is the text that `sys._debugmallocstats` prints of pymalloc, line for line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The numbers of the layout.
    pub geometry: Geometry,
    /// The pools of each class; of the layout's, the first so many.
    pub classes: [ClassUsage; MAX_CLASSES],
    /// What became of arenas.
    pub arenas: Statistics,
    /// Pools of these arenas that are not in use: empty ones, and those never carved.
    pub unused_pools: usize,
    /// Bytes of arenas that do not start at a pool boundary that no pool covers.
    pub lost_to_alignment: usize,
    /// Nodes of the address map that are allocated, level by level from the root.
    pub nodes: [usize; 2],
}

impl<L: Layout, R: Raw, A: ArenaSource, F: Faults> Pymalloc<L, R, A, F> {
    /// How memory is used at present. Visits every pool.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            geometry: Geometry::of::<L>(),
            classes: [ClassUsage::default(); MAX_CLASSES],
            arenas: self.arenas.statistics,
            unused_pools: 0,
            lost_to_alignment: 0,
            nodes: self.arenas.map.nodes(),
        };
        let entries = self.arenas.entries().iter();
        for arena in entries.filter(|arena| !arena.address.is_null()) {
            usage.unused_pools += arena.nfreepools as usize;
            if !arena.address.addr().is_multiple_of(L::POOL_SIZE) {
                usage.lost_to_alignment += L::POOL_SIZE;
            }
            for pool in arena.pools::<L>() {
                // SAFETY: carved pools have a header, and those in use a class.
                let (count, class) = unsafe { ((*pool).count as usize, (*pool).szidx as usize) };
                if count != 0 {
                    usage.classes[class].pools += 1;
                    usage.classes[class].used += count;
                    usage.classes[class].available += L::blocks_per_pool(class) - count;
                }
            }
        }
        usage
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Geometry {
            alignment,
            threshold,
            pool,
            header,
            arena,
            ..
        } = self.geometry;
        let size = |class: usize| (class + 1) * alignment;
        let classes = threshold / alignment;
        writeln!(
            f,
            "Small block threshold = {threshold}, in {classes} size classes."
        )?;
        writeln!(
            f,
            "\nclass   size   num pools   blocks in use  avail blocks"
        )?;
        writeln!(f, "-----   ----   ---------   -------------  ------------")?;
        let mut sum = ClassUsage::default();
        let (mut used, mut available, mut quantization) = (0, 0, 0);
        for (class, usage) in self.classes.iter().enumerate().take(classes) {
            let ClassUsage {
                pools,
                used: blocks,
                available: free,
            } = *usage;
            if pools == 0 {
                continue;
            }
            let size = size(class);
            writeln!(f, "{class:5} {size:6} {pools:11} {blocks:15} {free:13}")?;
            sum.pools += pools;
            used += blocks * size;
            available += free * size;
            quantization += pools * ((pool - header) % size);
        }
        let Statistics {
            current,
            highwater,
            total,
        } = self.arenas;
        writeln!(f)?;
        row(f, "# arenas allocated total", total)?;
        row(f, "# arenas reclaimed", total - current)?;
        row(f, "# arenas highwater mark", highwater)?;
        row(f, "# arenas allocated current", current)?;
        let held = current * arena;
        row(f, &format!("{current} arenas * {arena} bytes/arena"), held)?;
        writeln!(f)?;
        let unused = self.unused_pools * pool;
        let headers = sum.pools * header;
        row(f, "# bytes in allocated blocks", used)?;
        row(f, "# bytes in available blocks", available)?;
        let label = format!("{} unused pools * {pool} bytes", self.unused_pools);
        row(f, &label, unused)?;
        row(f, "# bytes lost to pool headers", headers)?;
        row(f, "# bytes lost to quantization", quantization)?;
        row(f, "# bytes lost to arena alignment", self.lost_to_alignment)?;
        let all = used + available + unused + headers + quantization + self.lost_to_alignment;
        row(f, "Total", all)?;
        self.write_map(f)
    }
}

impl Usage {
    /// What the address map takes, where it takes anything.
    fn write_map(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Geometry { root, nodes, .. } = self.geometry;
        if root == 0 {
            return Ok(());
        }
        let [middles, bottoms] = self.nodes;
        writeln!(f, "\narena map counts")?;
        row(f, "# arena map mid nodes", middles)?;
        row(f, "# arena map bot nodes", bottoms)?;
        writeln!(f)?;
        let (middles, bottoms) = (middles * nodes[0], bottoms * nodes[1]);
        row(f, "# bytes lost to arena map root", root)?;
        row(f, "# bytes lost to arena map mid", middles)?;
        row(f, "# bytes lost to arena map bot", bottoms)?;
        row(f, "Total", root + middles + bottoms)
    }
}

/// A line of the text (`printone`).
fn row(f: &mut fmt::Formatter<'_>, label: &str, value: usize) -> fmt::Result {
    let digits = value.to_string();
    let mut number = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            number.push(',');
        }
        number.push(digit);
    }
    writeln!(f, "{label:35}={number:>21}")
}
