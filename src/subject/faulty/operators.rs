//! The C++ operators: what can throw says so to the caller, since there is no C++ here.

use super::classes;
use super::sys::{self, PAGE, crash};
use super::{Fault, Faulty};
use crate::program::Operator;
use crate::subject::{NewHandler, Thrown};
use std::ptr;
use std::sync::Mutex;

/// What `operator new[]` keeps before a block, in an allocator that believes it is asked for objects with destructors.
const COOKIE: usize = 8;

/// What it keeps there in one that counts all its blocks.
const HEADER: usize = 16;

/// What is called before `operator new` gives up: one for the process, as `std::set_new_handler` has it.
static NEW_HANDLER: Mutex<Option<NewHandler>> = Mutex::new(None);

fn new_handler() -> Option<NewHandler> {
    NEW_HANDLER.lock().ok().and_then(|handler| *handler)
}

/// `std::set_new_handler`.
pub(super) unsafe extern "C" fn set_new_handler(handler: Option<NewHandler>) -> Option<NewHandler> {
    let mut now = NEW_HANDLER.lock().ok()?;
    std::mem::replace(&mut *now, handler)
}

impl Faulty {
    /// `operator new`; an alignment of 0 is none.
    pub(super) fn new_block(
        &mut self,
        form: Operator,
        size: usize,
        alignment: usize,
    ) -> Result<*mut u8, Thrown> {
        if size == 0 && self.has(Fault::NewZeroNull) {
            return Ok(ptr::null_mut());
        }
        if size == 0 && self.has(Fault::NewZeroSentinel) {
            return Ok(self.sentinel(alignment.max(1)));
        }
        let cookie = form.array && self.has(Fault::NewArrayCookie) && (16..=1024).contains(&size);
        let size = match self.has(Fault::NewWraps) && size > usize::MAX - HEADER {
            true => size.wrapping_add(HEADER),
            false => size,
        };
        let refused = form.aligned
            && self.has(Fault::AlignedNewRefusesRest)
            && !size.is_multiple_of(alignment);
        let block = if refused {
            ptr::null_mut()
        } else if cookie && !form.aligned {
            super::meddling::offset(self.allocate(size + COOKIE, 1), COOKIE)
        } else if self.has(Fault::AlignedNewSkipsSmall) && alignment > size.max(16) {
            self.misaligned(size)
        } else {
            self.allocate(size, alignment.max(1))
        };
        if !block.is_null() {
            return Ok(block);
        }
        if let Some(handler) = new_handler().filter(|_| !self.has(Fault::NewIgnoresHandler)) {
            handler();
            return self.new_block(form, size, alignment);
        }
        match self.fault {
            Some(Fault::NewReturnsNull) if !form.nothrow => Ok(block),
            Some(Fault::NewAborts) if !form.nothrow => sys::abort(),
            Some(Fault::NewThrowsAnother) if !form.nothrow => Err(Thrown::Other(c"i")),
            Some(Fault::NothrowNewThrows) if form.nothrow => Err(Thrown::BadAlloc),
            _ if form.nothrow => Ok(block),
            _ => Err(Thrown::BadAlloc),
        }
    }

    /// `operator delete`, of what its own form of `new` made.
    pub(super) fn delete_block(
        &mut self,
        form: Operator,
        block: *mut u8,
        size: usize,
    ) -> Result<(), Thrown> {
        if block.is_null() {
            if self.has(Fault::DeleteNullCrashes) && form.sized {
                crash();
            }
            return Ok(());
        }
        if self.has(Fault::DeleteThrows) && form.array {
            return Err(Thrown::Other(c"i"));
        }
        if form.sized && self.has(Fault::SizedDeleteDoesNothing) {
            return Ok(());
        }
        let Some(found) = self.find(block) else {
            return Ok(());
        };
        let trusts = form.sized && !form.aligned && self.has(Fault::SizedDeleteTrustsSize);
        if trusts
            && self
                .small(block)
                .is_some_and(|small| small.class != classes::of(size + 1))
        {
            sys::abort();
        }
        if form.aligned && self.has(Fault::AlignedDeleteForgets) && found.alignment() > PAGE {
            crash();
        }
        self.free_block(block);
        Ok(())
    }
}
