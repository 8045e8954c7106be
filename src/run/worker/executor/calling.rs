//! The calls that operations stand for, with the arguments that a live block of the slot asks for.

use super::Executor;
use crate::program::{Call, NO_SLOT, Op, Operator};
use crate::shadow::block::Block;
use crate::shadow::{MEMPTR_BEFORE, Reply, Request, Thrown};
use crate::subject::Subject;
use std::ptr;

impl<S: Subject> Executor<'_, S> {
    /// Makes the call that an operation stands for.
    #[inline(always)]
    pub(super) fn call(&mut self, op: &Op, request: &Request) -> Reply {
        let block = request.before.pointer();
        let (a, b) = (op.a as usize, op.b as usize);
        let subject = &mut self.subject;
        if let Some(form) = op.call.operator() {
            // SAFETY: as below.
            return unsafe { Self::operator(subject, form, op, &request.before) };
        }
        // SAFETY: `block` is null or a live block of the subject, as a legal program and the shadow see to; sizes and
        // alignments may be anything, the profile having been asked before whether they are defined.
        let pointer = unsafe {
            match op.call {
                Call::Malloc => subject.malloc(a),
                Call::Calloc => subject.calloc(a, b),
                Call::Realloc => subject.realloc(block, a),
                Call::Reallocarray => subject.reallocarray(block, a, b),
                Call::Reallocf => subject.reallocf(block, a),
                Call::Recallocarray => {
                    let (old, count, size) = op.recallocarray_arguments(request.before.requested);
                    subject.recallocarray(block, old as usize, count as usize, size as usize)
                }
                Call::AlignedAlloc => subject.aligned_alloc(a, b),
                Call::Memalign => subject.memalign(a, b),
                Call::Valloc => subject.valloc(a),
                Call::Pvalloc => subject.pvalloc(a),
                Call::PosixMemalign => return Self::posix_memalign(subject, a, b),
                Call::Free => {
                    subject.free(block);
                    ptr::null_mut()
                }
                Call::FreeSized | Call::FreeAlignedSized => {
                    Self::sized_free(subject, op, request);
                    ptr::null_mut()
                }
                Call::Freezero => {
                    let told = request.before.requested.max(op.a);
                    subject.freezero(block, told as usize);
                    ptr::null_mut()
                }
                Call::UsableSize | Call::Stretch => {
                    let usable = subject.malloc_usable_size(block);
                    return Reply {
                        value: usable as u64,
                        ..Reply::default()
                    };
                }
                Call::Trim => {
                    let released = subject.malloc_trim(a);
                    return Reply {
                        value: released as u64,
                        ..Reply::default()
                    };
                }
                _ => ptr::null_mut(),
            }
        };
        Reply {
            value: pointer.expose_provenance() as u64,
            ..Reply::default()
        }
    }

    /// # Safety
    ///
    /// As for [`Subject`].
    #[inline(never)]
    unsafe fn operator(subject: &mut S, form: Operator, op: &Op, block: &Block) -> Reply {
        let mut reply = Reply::default();
        // SAFETY: the caller's promise.
        unsafe {
            if form.deletes {
                reply.thrown = Self::delete(subject, form, block, op).err();
                return reply;
            }
            let (size, alignment) = match form.aligned {
                true => (op.b, op.a),
                false => (op.a, 0),
            };
            match subject.operator_new(form, size as usize, alignment as usize) {
                Ok(block) => reply.value = block.expose_provenance() as u64,
                Err(thrown) => reply.thrown = Some(thrown),
            }
        }
        reply
    }

    /// Deletes a block, or a null pointer with the arguments of the operation.
    ///
    /// # Errors
    ///
    /// What it threw.
    ///
    /// # Safety
    ///
    /// As for [`Subject`].
    pub(super) unsafe fn delete(
        subject: &mut S,
        form: Operator,
        block: &Block,
        op: &Op,
    ) -> Result<(), Thrown> {
        let (size, alignment) = match (block.is_live(), form.aligned) {
            (true, _) => (block.requested, block.alignment),
            (false, true) => (op.b, op.a),
            (false, false) => (op.a, 0),
        };
        // SAFETY: the caller's promise.
        unsafe { subject.operator_delete(form, block.pointer(), size as usize, alignment as usize) }
    }

    /// # Safety
    ///
    /// As for [`Subject`].
    unsafe fn posix_memalign(subject: &mut S, alignment: usize, size: usize) -> Reply {
        let before = MEMPTR_BEFORE as usize;
        let mut words = [!before, before, !before].map(ptr::without_provenance_mut::<u8>);
        let variable = words.as_mut_ptr().wrapping_add(1);
        // SAFETY: `variable` is a pointer variable of ours; the rest is the caller's promise.
        let code = unsafe { subject.posix_memalign(variable, alignment, size) };
        let words = words.map(|word| word.expose_provenance() as u64);
        Reply {
            value: words[1],
            code,
            beside: [words[0], words[2]],
            ..Reply::default()
        }
    }

    /// Frees by size where that is defined for the block, plainly where it is not.
    ///
    /// # Safety
    ///
    /// As for [`Subject`].
    unsafe fn sized_free(subject: &mut S, op: &Op, request: &Request) {
        let block = &request.before;
        let pointer = block.pointer();
        let aligned = op.call == Call::FreeAlignedSized;
        // SAFETY: the caller's promise; sizes and alignments are those the block was last asked for with.
        unsafe {
            match (op.slot, aligned) {
                (NO_SLOT, false) => subject.free_sized(pointer, op.a as usize),
                (NO_SLOT, true) => {
                    subject.free_aligned_sized(pointer, op.a as usize, op.b as usize)
                }
                _ if aligned && block.maker == Call::AlignedAlloc && block.alignment != 0 => {
                    let (alignment, size) = (block.alignment as usize, block.requested as usize);
                    subject.free_aligned_sized(pointer, alignment, size);
                }
                _ if !aligned && block.alignment == 0 => {
                    subject.free_sized(pointer, block.requested as usize);
                }
                _ => subject.free(pointer),
            }
        }
    }
}
