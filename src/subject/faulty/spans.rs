//! Small blocks, cut from spans of one size class each.
//!
//! What is known of a block is kept beside the span, never in it: a stack of the free ones and a note on each. A freed
//! block is the first to be issued again, with what was written to it. A span without live blocks serves any class,
//! unless its class has no other.

use super::Fault;
use super::classes::{self, COUNT, MAX_SMALL};
use super::sys::{self, Region};
use super::table::Table;

/// Bytes of a span, and its alignment.
pub(super) const SPAN: usize = 256 << 10;

/// The number of spans there may be: 8 GiB.
const MAX_SPANS: usize = 1 << 15;

/// No span.
const NONE: u16 = u16::MAX;

/// What is known of a small block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Note(u32);

impl Note {
    const FREE: Note = Note(u32::MAX);
    const FOOTER: u32 = 1 << 31;

    fn new(size: usize, alignment: usize) -> Note {
        debug_assert!(size <= MAX_SMALL);
        Note(size as u32 | alignment.ilog2() << 20)
    }

    /// The bytes asked for.
    pub(super) fn size(self) -> usize {
        (self.0 & 0xf_ffff) as usize
    }

    /// The alignment asked for; 1 by functions that take none.
    pub(super) fn alignment(self) -> usize {
        1 << (self.0 >> 20 & 0x3f)
    }

    /// Whether the block was marked by [`Spans::mark_footer`].
    pub(super) fn has_footer(self) -> bool {
        self.0 & Note::FOOTER != 0
    }
}

#[derive(Clone, Copy)]
struct Span {
    base: *mut u8,
    /// Indices of the free blocks among those cut, youngest last.
    stack: *mut u16,
    notes: *mut Note,
    stride: u32,
    capacity: u32,
    /// How many blocks were ever cut from the span since it serves its class.
    cut: u32,
    free: u32,
    class: u8,
    /// Neighbours in the list of the class, or in the list of spare spans.
    previous: u16,
    next: u16,
}

impl Span {
    fn live(&self) -> u32 {
        self.cut - self.free
    }

    fn has_room(&self) -> bool {
        self.free > 0 || self.cut < self.capacity
    }

    fn notes_len(capacity: u32) -> usize {
        (capacity as usize * (size_of::<Note>() + size_of::<u16>())).next_multiple_of(sys::PAGE)
    }
}

/// A live small block: where it lies and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Small {
    span: u16,
    index: u32,
    /// The class of its span.
    pub(super) class: usize,
    /// Bytes from the address asked about to the end of the block.
    pub(super) usable: usize,
    /// The request it answers.
    pub(super) note: Note,
}

/// All spans.
pub(super) struct Spans {
    /// From an address divided by [`SPAN`] to the span there.
    index: Table<u16>,
    spans: Region,
    count: u16,
    /// For each class, the list of spans with room.
    open: [u16; COUNT],
    /// Spans that serve no class.
    spare: u16,
    fault: Option<Fault>,
    exhausted: [bool; COUNT],
    /// How many were emptied.
    emptied: u64,
}

impl Spans {
    pub(super) fn new(fault: Option<Fault>) -> Spans {
        let spans = Region::hold(MAX_SPANS * size_of::<Span>());
        if fault == Some(Fault::ChildFreesInParent) {
            spans.share();
        }
        Spans {
            index: Table::new(MAX_SPANS.ilog2() + 1),
            spans,
            count: 0,
            open: [NONE; COUNT],
            spare: NONE,
            fault,
            exhausted: [false; COUNT],
            emptied: 0,
        }
    }

    fn span(&mut self, id: u16) -> &mut Span {
        debug_assert!(id < self.count);
        // SAFETY: the first `count` entries have been written, and `id` is one of them.
        unsafe { &mut *self.spans.base().cast::<Span>().add(id.into()) }
    }

    /// A block of `class`, or null; `size` and `alignment` are noted.
    pub(super) fn allocate(&mut self, class: usize, size: usize, alignment: usize) -> *mut u8 {
        if self.exhausted[class] {
            return std::ptr::null_mut();
        }
        if self.open[class] == NONE && !self.open_span(class) {
            self.exhausted[class] = self.fault == Some(Fault::ClassStaysEmpty);
            return std::ptr::null_mut();
        }
        let id = self.open[class];
        let span = self.span(id);
        let index = if span.free > 0 {
            span.free -= 1;
            // SAFETY: the stack has room for every block of the span, and `free` entries.
            u32::from(unsafe { *span.stack.add(span.free as usize) })
        } else {
            span.cut += 1;
            span.cut - 1
        };
        // SAFETY: there is a note for each block.
        unsafe { *span.notes.add(index as usize) = Note::new(size, alignment) };
        let block = span
            .base
            .wrapping_add(index as usize * span.stride as usize);
        if !span.has_room() {
            self.unlink(id);
        }
        block
    }

    /// The live block that contains `address`.
    #[inline]
    pub(super) fn find(&mut self, address: *mut u8) -> Option<Small> {
        let id = self.index.get(address.addr() / SPAN)?;
        let span = self.span(id);
        let offset = (address.addr() % SPAN) as u32;
        let index = offset / span.stride.max(1);
        if index >= span.cut {
            return None;
        }
        // SAFETY: there is a note for each block.
        let note = unsafe { *span.notes.add(index as usize) };
        (note != Note::FREE).then_some(Small {
            span: id,
            index,
            class: span.class.into(),
            usable: ((index + 1) * span.stride - offset) as usize,
            note,
        })
    }

    /// Makes a live block available again.
    pub(super) fn release(&mut self, block: Small) {
        let id = block.span;
        let span = self.span(id);
        let had_room = span.has_room();
        // SAFETY: the stack has room for every block of the span, and there is a note for each.
        unsafe {
            *span.stack.add(span.free as usize) = block.index as u16;
            *span.notes.add(block.index as usize) = Note::FREE;
        }
        span.free += 1;
        if self.open[block.class] != id {
            if had_room {
                self.unlink(id);
            }
            self.link(id);
        }
        let span = self.span(id);
        if span.live() == 0 && span.next != NONE {
            self.unlink(id);
            self.emptied += 1;
            let lost = self.fault == Some(Fault::EmptiedSpanLost)
                && self.count > 90
                && self.emptied.is_multiple_of(64);
            if !lost {
                self.retire(id);
            }
        }
    }

    /// Notes that a live block now answers a request of `size` bytes.
    pub(super) fn resize(&mut self, block: Small, size: usize) {
        // SAFETY: there is a note for each block.
        unsafe {
            *self.span(block.span).notes.add(block.index as usize) = Note::new(size, 1);
        }
    }

    /// Marks a live block as having a footer.
    pub(super) fn mark_footer(&mut self, block: Small) {
        // SAFETY: there is a note for each block.
        unsafe {
            (*self.span(block.span).notes.add(block.index as usize)).0 |= Note::FOOTER;
        }
    }

    /// Whether `class` has a block that was freed before.
    pub(super) fn is_warm(&mut self, class: usize) -> bool {
        let id = self.open[class];
        id != NONE && self.span(id).free > 0
    }

    /// Gives the pages of spare spans back to the kernel. Whether there were any.
    pub(super) fn trim(&mut self) -> bool {
        let any = self.spare != NONE;
        let mut id = self.spare;
        while id != NONE {
            let span = *self.span(id);
            sys::discard(span.base, SPAN);
            id = span.next;
        }
        if self.fault == Some(Fault::TrimDiscardsLive) {
            for id in 0..self.count {
                sys::discard(self.span(id).base, SPAN);
            }
        }
        any
    }

    /// Makes a spare span or a new one serve `class`. Whether there was one.
    fn open_span(&mut self, class: usize) -> bool {
        if self.spare == NONE && !self.add_span() {
            return false;
        }
        let stride = classes::bytes(class) as u32;
        let capacity = SPAN as u32 / stride;
        let notes = sys::map(Span::notes_len(capacity));
        if notes.is_null() {
            if self.fault == Some(Fault::SecondMappingUnchecked) {
                sys::crash();
            }
            return false;
        }
        if self.fault == Some(Fault::ChildFreesInParent) {
            sys::share(notes, Span::notes_len(capacity));
        }
        let id = self.spare;
        let span = self.span(id);
        span.notes = notes.cast();
        span.stack = notes
            .wrapping_add(capacity as usize * size_of::<Note>())
            .cast();
        span.stride = stride;
        span.capacity = capacity;
        span.cut = 0;
        span.free = 0;
        span.class = class as u8;
        self.spare = span.next;
        self.link(id);
        true
    }

    /// Maps a new spare span. Whether that was possible.
    fn add_span(&mut self) -> bool {
        if usize::from(self.count) == MAX_SPANS {
            return false;
        }
        let base = sys::map_aligned(SPAN, SPAN);
        if base.is_null() {
            return false;
        }
        if self.fault == Some(Fault::ChildStoresInParent) {
            sys::share(base, SPAN);
        }
        let id = self.count;
        self.count += 1;
        let span = Span {
            base,
            stack: std::ptr::null_mut(),
            notes: std::ptr::null_mut(),
            stride: 0,
            capacity: 0,
            cut: 0,
            free: 0,
            class: 0,
            previous: NONE,
            next: self.spare,
        };
        // SAFETY: `id` is below `MAX_SPANS`.
        unsafe { self.spans.base().cast::<Span>().add(id.into()).write(span) };
        self.index.set(base.addr() / SPAN, id);
        self.spare = id;
        true
    }

    /// Turns an unlinked span without live blocks into a spare one.
    fn retire(&mut self, id: u16) {
        let spare = self.spare;
        let span = self.span(id);
        sys::unmap(span.notes.cast(), Span::notes_len(span.capacity));
        span.capacity = 0;
        span.cut = 0;
        span.free = 0;
        span.next = spare;
        self.spare = id;
    }

    /// Puts a span in front of the list of its class.
    fn link(&mut self, id: u16) {
        let class = usize::from(self.span(id).class);
        let next = self.open[class];
        let span = self.span(id);
        span.previous = NONE;
        span.next = next;
        if next != NONE {
            self.span(next).previous = id;
        }
        self.open[class] = id;
    }

    /// Takes a span out of the list of its class.
    fn unlink(&mut self, id: u16) {
        let Span {
            previous,
            next,
            class,
            ..
        } = *self.span(id);
        if previous == NONE {
            self.open[usize::from(class)] = next;
        } else {
            self.span(previous).next = next;
        }
        if next != NONE {
            self.span(next).previous = previous;
        }
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        for id in 0..self.count {
            let span = *self.span(id);
            sys::unmap(span.base, SPAN);
            sys::unmap(span.notes.cast(), Span::notes_len(span.capacity));
        }
    }
}
