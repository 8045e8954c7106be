//! The faults that show only where there are several threads, and the rule each of them breaks.

use crate::spec::RuleId;
use crate::subject::faulty::fault::faults;

faults! {
    ThreadSafe {
        /// calloc takes a freed block from the list without the lock
        CallocUnlocked = "calloc-unlocked",
        /// the aligned functions take a freed block from the list without the lock
        MemalignUnlocked = "memalign-unlocked",
    }
    HappensBefore {
        /// free writes its link into the block when others can have it already
        FreePublishesEarly = "free-publishes-early",
    }
    XthreadFree {
        /// free of another thread's block puts it on that thread's list as well as on that of all
        RemoteFreeTwice = "remote-free-twice",
        /// free crashes if the thread that made the block has ended
        OwnerGoneCrashes = "owner-gone-crashes",
    }
    XthreadReallocFirst {
        /// realloc, free and malloc_usable_size of a block crash as the first call of a thread
        ForeignFirstCrashes = "foreign-first-crashes",
    }
    ConcurrentRealloc {
        /// realloc to 128 KiB or more keeps the new place in a variable that all threads have
        LargeReallocUnlocked = "large-realloc-unlocked",
    }
    ThreadExitLive {
        /// a thread that ends frees the blocks that it has made
        ExitReclaims = "exit-reclaims",
    }
    TsdDestructor {
        /// malloc crashes once the thread has given its cache back at its end
        CacheGoneCrashes = "cache-gone-crashes",
    }
    BoundedThreads {
        /// a thread keeps some of the blocks that it frees for itself, and they are lost when it ends
        CacheLostAtExit = "cache-lost-at-exit",
        /// each thread maps an arena before its first call, which is never unmapped
        ArenaLostAtExit = "arena-lost-at-exit",
    }
    BoundedXthreadFree {
        /// free loses a block that another thread has made
        RemoteFreeLost = "remote-free-lost",
    }
    BoundedConcurrent {
        /// free loses every third block that it is given when other threads have made calls since the thread's last one
        ContendedFreeLost = "contended-free-lost",
    }
    NoStaleSuccess {
        /// once a request has failed, malloc finds no memory for other threads
        FailureLeavesOthersNothing = "failure-leaves-others-nothing",
    }
}

impl Fault {
    /// Rules that the fault cannot but break together with its own.
    pub const fn consequences(self) -> &'static [RuleId] {
        match self {
            // Of what was freed no size is known.
            Fault::ExitReclaims => &[RuleId::UsableGe],
            // What a thread leaves when it ends is freed by another.
            Fault::RemoteFreeLost => &[RuleId::BoundedThreads],
            _ => &[],
        }
    }
}
