//! What a slot holds, as far as it decides which calls are defined on it.

use super::{Illegal, uses_block};
use crate::program::op::{Call, Op};
use crate::program::operator::Operator;

/// What a slot holds, as far as it decides which calls are defined on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holds {
    #[default]
    Nothing,
    /// A block of malloc, calloc, realloc or reallocarray.
    Plain,
    /// A block of aligned_alloc.
    Aligned,
    /// A block of a call that C does not know, or an aligned one that a realloc may or may not have replaced.
    Other,
    /// A block of this `operator new`.
    New(Operator),
}

impl Holds {
    /// What the slot holds after `call` on it.
    pub(super) fn after(self, call: Call) -> Holds {
        match call {
            Call::Malloc | Call::Calloc => Holds::Plain,
            call if call.reallocates() => match self {
                Holds::Nothing | Holds::Plain => Holds::Plain,
                Holds::Aligned | Holds::Other => Holds::Other,
                Holds::New(_) => self,
            },
            Call::AlignedAlloc => Holds::Aligned,
            Call::PosixMemalign | Call::Memalign | Call::Valloc | Call::Pvalloc => Holds::Other,
            call if call.frees() => Holds::Nothing,
            call if call.is_new() => call.operator().map_or(self, Holds::New),
            _ => self,
        }
    }

    /// The call that frees what the slot holds and is told nothing it need not be.
    pub(super) fn plain_free(self) -> Call {
        match self {
            Holds::New(new) => new.plain_delete(),
            _ => Call::Free,
        }
    }

    /// Whether `op` is defined on a slot that holds this.
    pub(super) fn permits(self, op: &Op) -> Result<(), Illegal> {
        let (call, slot) = (op.call, op.slot);
        if call.allocates() && self != Holds::Nothing {
            return Err(Illegal::Live(slot));
        }
        if uses_block(call) && self == Holds::Nothing {
            return Err(Illegal::Empty(slot));
        }
        match (self, call.operator()) {
            (Holds::New(new), Some(delete)) if delete.undoes(new) => return Ok(()),
            (Holds::New(_), None) => return Err(Illegal::OfNew(call, slot)),
            (_, Some(operator)) if operator.deletes => return Err(Illegal::NotOfNew(call, slot)),
            _ => {}
        }
        match call {
            Call::FreeSized if self != Holds::Plain => Err(Illegal::NotSized(slot)),
            Call::FreeAlignedSized if self != Holds::Aligned => Err(Illegal::NotAlignedSized(slot)),
            _ => Ok(()),
        }
    }
}
