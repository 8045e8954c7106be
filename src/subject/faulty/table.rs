//! A hash table from page numbers to what is known of the memory there, in address space held for it.
//!
//! Open addressing with linear probing; removal shifts the entries behind back, so that lookups stay short however
//! many blocks came and went. It never allocates: it works the same when the kernel has nothing left.

use super::sys::Region;

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry<V> {
    /// 0 where there is none.
    key: usize,
    value: V,
}

/// The table. Keys are not 0.
pub(in crate::subject) struct Table<V> {
    region: Region,
    bits: u32,
    len: usize,
    values: std::marker::PhantomData<V>,
}

impl<V: Copy> Table<V> {
    /// A table of up to three quarters of `2^bits` entries.
    pub(in crate::subject) fn new(bits: u32) -> Table<V> {
        Table {
            region: Region::hold(size_of::<Entry<V>>() << bits),
            bits,
            len: 0,
            values: std::marker::PhantomData,
        }
    }

    fn at(&self, index: usize) -> *mut Entry<V> {
        // SAFETY: the region has `2^bits` entries and `index` is below that.
        unsafe { self.region.base().cast::<Entry<V>>().add(index) }
    }

    fn home(&self, key: usize) -> usize {
        key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (usize::BITS - self.bits)
    }

    fn after(&self, index: usize) -> usize {
        (index + 1) & ((1 << self.bits) - 1)
    }

    /// The entry of `key`, or the empty one where it belongs.
    fn seek(&self, key: usize) -> *mut Entry<V> {
        let mut index = self.home(key);
        loop {
            let entry = self.at(index);
            // SAFETY: as in `at`; the region is zeroed, and 0 is a key.
            let found = unsafe { (*entry).key };
            if found == key || found == 0 {
                return entry;
            }
            index = self.after(index);
        }
    }

    /// What is known of `key`; nothing of 0.
    #[inline]
    pub(in crate::subject) fn get(&self, key: usize) -> Option<V> {
        let entry = self.seek(key);
        // SAFETY: an entry with a key has been written in full.
        unsafe { (key != 0 && (*entry).key == key).then(|| (*entry).value) }
    }

    /// Whether there is room for one key more.
    pub(in crate::subject) fn has_room(&self) -> bool {
        self.len < (3 << self.bits) / 4
    }

    /// Sets what is known of `key`. There must be room.
    pub(in crate::subject) fn set(&mut self, key: usize, value: V) {
        let entry = self.seek(key);
        // SAFETY: `seek` returns an entry of the table.
        unsafe {
            self.len += usize::from((*entry).key == 0);
            entry.write(Entry { key, value });
        }
    }

    /// Forgets `key`, which is in the table.
    pub(in crate::subject) fn remove(&mut self, key: usize) {
        let mask = (1 << self.bits) - 1;
        // SAFETY: both are pointers into the one table.
        let mut hole = unsafe { self.seek(key).offset_from_unsigned(self.at(0)) };
        let mut index = self.after(hole);
        loop {
            // SAFETY: as in `at`.
            let found = unsafe { (*self.at(index)).key };
            if found == 0 {
                break;
            }
            // An entry may fill the hole unless its home lies behind the hole.
            let from_home = index.wrapping_sub(self.home(found)) & mask;
            let from_hole = index.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                // SAFETY: as in `at`.
                unsafe { *self.at(hole) = *self.at(index) };
                hole = index;
            }
            index = self.after(index);
        }
        // SAFETY: as in `at`.
        unsafe { (*self.at(hole)).key = 0 };
        self.len -= 1;
    }

    /// Everything in the table.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, V)> {
        // An empty table is not worth the page faults.
        let end = if self.len == 0 { 0 } else { 1 << self.bits };
        // SAFETY: as in `get`.
        (0..end).filter_map(|index| unsafe {
            let entry = self.at(index);
            ((*entry).key != 0).then(|| ((*entry).key, (*entry).value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn behaves_as_a_map() {
        let mut table = Table::<u32>::new(6);
        let mut model = BTreeMap::new();
        let mut state = 1u64;
        for step in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let key = (state >> 40) as usize % 60 + 1;
            if state >> 63 == 0 && table.has_room() {
                table.set(key, step);
                model.insert(key, step);
            } else if model.remove(&key).is_some() {
                table.remove(key);
            }
            assert_eq!(table.get(key), model.get(&key).copied());
        }
        let all: BTreeMap<_, _> = table.iter().collect();
        assert_eq!(all, model);
    }
}
