//! Does an address lie in an arena?
//!
//! Every free and every realloc asks it, of pointers that may be anybody's, so the answer must not read what it is
//! asked about. Address space is divided into slots of the size of an arena; a tree of three levels leads from an
//! address to its slot. An arena need not start where a slot does: then it covers the end of one slot and the start of
//! the next, and a slot remembers the two independently, because they may belong to two arenas.

use super::source::{Pages, Raw};
use std::ptr;

/// The set of arenas, by address.
pub trait ArenaMap {
    /// The set without arenas.
    const EMPTY: Self;
    /// The bytes of the root, which is part of the allocator; 0 if CPython has none.
    const ROOT_SIZE: usize;
    /// The bytes of the nodes asked of the raw domain, level by level from the root; 0 for none.
    const NODE_SIZES: [usize; 2];

    /// Whether `address` lies in an arena of the set.
    fn contains(&self, address: usize) -> bool;

    /// Adds the arena at `base`, which overlaps none of the set.
    ///
    /// # Errors
    ///
    /// When `raw` has no memory for the bookkeeping; the set is as it was.
    fn insert(&mut self, base: usize, raw: &mut impl Raw) -> Result<(), OutOfMemory>;

    /// Takes out the arena at `base`, which is in the set.
    fn remove(&mut self, base: usize);

    /// Takes out `arenas`, which are all there are, and gives all bookkeeping back, zeroed as it was obtained.
    ///
    /// # Safety
    ///
    /// `raw` is what every [`insert`](ArenaMap::insert) was given.
    unsafe fn clear(&mut self, arenas: impl Iterator<Item = usize> + Clone, raw: &mut impl Raw);

    /// The nodes allocated so far, level by level from the root.
    fn nodes(&self) -> [usize; 2];
}

/// There is no memory for bookkeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Which part of a slot arenas cover (`arena_coverage_t`). Zeroed memory says none.
#[repr(C)]
struct Coverage {
    /// An arena covers the slot from here on; -1 for the whole slot, 0 for none of it.
    tail_hi: i32,
    /// An arena covers the slot up to here; 0 for none of it.
    tail_lo: i32,
}

#[repr(C)]
struct Bottom<const BOTTOM: usize> {
    slots: [Coverage; BOTTOM],
}

#[repr(C)]
struct Middle<const MIDDLE: usize, const BOTTOM: usize> {
    children: [*mut Bottom<BOTTOM>; MIDDLE],
}

/// A radix tree over arenas of 2<sup>`ARENA_BITS`</sup> bytes with so many entries a node, all powers of two.
///
/// Nodes come from the raw domain when they are first needed and are never given back. Bits above those that the three
/// levels and an arena cover are not looked at.
pub struct Radix<const ARENA_BITS: u32, const ROOT: usize, const MIDDLE: usize, const BOTTOM: usize>
{
    root: [*mut Middle<MIDDLE, BOTTOM>; ROOT],
    nodes: [usize; 2],
}

impl<const ARENA_BITS: u32, const ROOT: usize, const MIDDLE: usize, const BOTTOM: usize>
    Radix<ARENA_BITS, ROOT, MIDDLE, BOTTOM>
{
    const ARENA_SIZE: usize = 1 << ARENA_BITS;
    const MIDDLE_SHIFT: u32 = ARENA_BITS + BOTTOM.ilog2();
    const ROOT_SHIFT: u32 = Self::MIDDLE_SHIFT + MIDDLE.ilog2();

    /// The place of an address in the nodes of each level.
    #[inline(always)]
    const fn path(address: usize) -> (usize, usize, usize) {
        (
            (address >> Self::ROOT_SHIFT) & (ROOT - 1),
            (address >> Self::MIDDLE_SHIFT) & (MIDDLE - 1),
            (address >> ARENA_BITS) & (BOTTOM - 1),
        )
    }

    /// The slot of an address, null if its nodes do not exist.
    #[inline(always)]
    fn slot(&self, address: usize) -> *mut Coverage {
        let (root, middle, bottom) = Self::path(address);
        let node = self.root[root];
        if node.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: nodes live as long as the tree; the indices are within them.
        unsafe {
            let leaf = (*node).children[middle];
            if leaf.is_null() {
                ptr::null_mut()
            } else {
                &raw mut (*leaf).slots[bottom]
            }
        }
    }

    /// The slot of an address, whose nodes are created as needed.
    fn make_slot(
        &mut self,
        address: usize,
        raw: &mut impl Raw,
    ) -> Result<*mut Coverage, OutOfMemory> {
        let (root, middle, bottom) = Self::path(address);
        let [middles, bottoms] = &mut self.nodes;
        // SAFETY: as in `slot`.
        unsafe {
            let node = make_node(&mut self.root[root], middles, raw)?;
            let leaf = make_node(&mut (*node).children[middle], bottoms, raw)?;
            Ok(&raw mut (*leaf).slots[bottom])
        }
    }
}

/// The node in `place`, which is created if there is none. Zeroed memory is a node without entries.
fn make_node<T>(
    place: &mut *mut T,
    count: &mut usize,
    raw: &mut impl Raw,
) -> Result<*mut T, OutOfMemory> {
    if place.is_null() {
        let node = raw.calloc(1, size_of::<T>());
        if node.is_null() {
            return Err(OutOfMemory);
        }
        *place = node.cast();
        *count += 1;
    }
    Ok(*place)
}

/// Frees the node in `place`, if there is one.
///
/// # Safety
///
/// It came from `raw`, and nothing else leads to it.
unsafe fn free_node<T>(place: &mut *mut T, count: &mut usize, raw: &mut impl Raw) {
    let node = std::mem::replace(place, ptr::null_mut());
    if !node.is_null() {
        *count -= 1;
        // SAFETY: the caller's promise.
        unsafe { raw.free(node.cast()) };
    }
}

/// The places that lead to nodes. They are few and far between, so most are passed by many at once.
fn nodes_in<T>(places: &mut [*mut T]) -> impl Iterator<Item = &mut *mut T> {
    let any = |places: &[*mut T]| places.iter().fold(0, |all, node| all | node.addr()) != 0;
    let chunks = places.chunks_mut(64).filter(move |places| any(places));
    chunks.flatten().filter(|node| !node.is_null())
}

impl<const ARENA_BITS: u32, const ROOT: usize, const MIDDLE: usize, const BOTTOM: usize> ArenaMap
    for Radix<ARENA_BITS, ROOT, MIDDLE, BOTTOM>
{
    const EMPTY: Self = Radix {
        root: [ptr::null_mut(); ROOT],
        nodes: [0; 2],
    };
    const ROOT_SIZE: usize = size_of::<*mut u8>() * ROOT;
    const NODE_SIZES: [usize; 2] = [
        size_of::<Middle<MIDDLE, BOTTOM>>(),
        size_of::<Bottom<BOTTOM>>(),
    ];

    #[inline(always)]
    fn contains(&self, address: usize) -> bool {
        let slot = self.slot(address);
        if slot.is_null() {
            return false;
        }
        // SAFETY: a slot lives as long as the tree.
        let (hi, lo) = unsafe { ((*slot).tail_hi, (*slot).tail_lo) };
        let tail = (address & (Self::ARENA_SIZE - 1)) as i32;
        tail < lo || (tail >= hi && hi != 0)
    }

    fn insert(&mut self, base: usize, raw: &mut impl Raw) -> Result<(), OutOfMemory> {
        let tail = (base & (Self::ARENA_SIZE - 1)) as i32;
        let slot = self.make_slot(base, raw)?;
        // SAFETY: as above.
        unsafe {
            (*slot).tail_hi = if tail == 0 { -1 } else { tail };
            if tail != 0 {
                match self.make_slot(base.wrapping_add(Self::ARENA_SIZE), raw) {
                    Ok(next) => (*next).tail_lo = tail,
                    Err(error) => {
                        (*slot).tail_hi = 0;
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, base: usize) {
        let misaligned = base & (Self::ARENA_SIZE - 1) != 0;
        let slot = self.slot(base);
        // SAFETY: as above; the slots of an arena in the set exist.
        unsafe {
            (*slot).tail_hi = 0;
            if misaligned {
                (*self.slot(base.wrapping_add(Self::ARENA_SIZE))).tail_lo = 0;
            }
        }
    }

    unsafe fn clear(&mut self, arenas: impl Iterator<Item = usize> + Clone, raw: &mut impl Raw) {
        arenas.clone().for_each(|base| self.remove(base));
        let [middles, bottoms] = &mut self.nodes;
        // SAFETY: nodes live until they are freed here, and came from `raw` by the caller's promise.
        unsafe {
            // Nearly always the arenas lead to all leaves, and there is nothing to search for.
            for address in arenas.flat_map(|base| [base, base.wrapping_add(Self::ARENA_SIZE)]) {
                let (root, middle, _) = Self::path(address);
                if let Some(node) = self.root[root].as_mut() {
                    free_node(&mut node.children[middle], bottoms, raw);
                }
            }
            for place in nodes_in(&mut self.root).take(*middles) {
                for leaf in nodes_in(&mut (**place).children).take(*bottoms) {
                    free_node(leaf, bottoms, raw);
                }
                free_node(place, middles, raw);
            }
        }
    }

    fn nodes(&self) -> [usize; 2] {
        self.nodes
    }
}

/// The same set, whose nodes come from elsewhere than the raw domain: nobody sees that there are any.
pub struct OwnNodes<M>(M);

impl<M: ArenaMap> ArenaMap for OwnNodes<M> {
    const EMPTY: Self = OwnNodes(M::EMPTY);
    const ROOT_SIZE: usize = 0;
    const NODE_SIZES: [usize; 2] = [0; 2];

    #[inline(always)]
    fn contains(&self, address: usize) -> bool {
        self.0.contains(address)
    }
    fn insert(&mut self, base: usize, _: &mut impl Raw) -> Result<(), OutOfMemory> {
        self.0.insert(base, &mut Pages)
    }
    fn remove(&mut self, base: usize) {
        self.0.remove(base);
    }
    unsafe fn clear(&mut self, arenas: impl Iterator<Item = usize> + Clone, _: &mut impl Raw) {
        // SAFETY: see `insert`.
        unsafe { self.0.clear(arenas, &mut Pages) };
    }
    fn nodes(&self) -> [usize; 2] {
        [0; 2]
    }
}
