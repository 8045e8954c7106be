//! The functions that BSD adds: one that frees what it cannot resize, and those for memory that holds secrets.

use super::sys::{crash, set_errno};
use super::{Fault, Faulty};
use libc::{EINVAL, ENOMEM};
use std::ptr;

impl Faulty {
    /// `reallocf`.
    ///
    /// # Safety
    ///
    /// `block` is null or live.
    pub(super) unsafe fn resize_or_free(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: as the caller says.
        let new = unsafe { self.resize_or_allocate(block, size) };
        if new.is_null() && size > 0 && !self.has(Fault::ReallocfKeepsOnFailure) {
            self.release(block);
        }
        new
    }

    /// `recallocarray`, which moves every block so that nothing of it can stay behind.
    ///
    /// # Safety
    ///
    /// `block` is null, or live and of `old` times `size` bytes.
    pub(super) unsafe fn resize_cleared(
        &mut self,
        block: *mut u8,
        old: usize,
        count: usize,
        size: usize,
    ) -> *mut u8 {
        let total = match count.checked_mul(size) {
            Some(total) => total,
            None if self.has(Fault::RecallocarrayUnchecked) => count.wrapping_mul(size),
            None => return failed(ENOMEM),
        };
        let old = match old.checked_mul(size) {
            _ if block.is_null() => 0,
            Some(old) => old,
            None => return failed(EINVAL),
        };
        if block.is_null() && total > 0 && self.has(Fault::RecallocarrayNullFails) {
            return failed(ENOMEM);
        }
        if self.has(Fault::RecallocarrayLeavesRest) && !block.is_null() && total <= old {
            // SAFETY: as the caller says.
            return unsafe { self.resize_or_allocate(block, total) };
        }
        let new = self.allocate(total, 1);
        if new.is_null() {
            return self.answer(total, new);
        }
        let kept = old.min(total);
        let dirty = match block.is_null() {
            true => self.has(Fault::RecallocarrayNullDirty),
            false => self.has(Fault::RecallocarrayDirtyTail),
        };
        // SAFETY: both blocks have so many bytes, and they are two.
        unsafe {
            ptr::copy_nonoverlapping(block, new, kept);
            if !dirty {
                ptr::write_bytes(new.add(kept), 0, total - kept);
            }
            if !block.is_null() && !self.has(Fault::RecallocarrayLeavesOld) {
                ptr::write_bytes(block, 0, old);
            }
        }
        self.release(block);
        new
    }

    /// `freezero`.
    ///
    /// # Safety
    ///
    /// `block` is null, or live and of `size` bytes at least.
    pub(super) unsafe fn free_cleared(&mut self, block: *mut u8, size: usize) {
        if block.is_null() {
            if self.has(Fault::FreezeroNullCrashes) {
                crash();
            }
            return;
        }
        let cleared = match self.fault {
            Some(Fault::FreezeroJustFrees) => 0,
            Some(Fault::FreezeroStopsShort) => size.saturating_sub(32),
            Some(Fault::FreezeroClearsStart) => size.min(64 << 10),
            _ => size,
        };
        // SAFETY: as the caller says.
        unsafe { ptr::write_bytes(block, 0, cleared) };
        self.free_block(block);
    }
}

fn failed(errno: i32) -> *mut u8 {
    set_errno(errno);
    ptr::null_mut()
}
