//! The faults that can be planted in [`Faulty`](super::Faulty), and the rule each of them breaks.
//!
//! A fault breaks its own rule and, as far as can be, no other first: it is there to prove that the check of that
//! rule catches what it is for. What a fault does is in its one-line description; where it bites, the allocator asks
//! for it by name.

use crate::spec::RuleId;

macro_rules! faults {
    ($($rule:ident { $(#[doc = $doc:literal] $name:ident = $text:literal,)+ })*) => {
        /// One planted fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($(#[doc = $doc] $name,)+)* }

        impl Fault {
            /// Every fault, in the order of the rules they break.
            pub const ALL: &'static [Fault] = &[$($(Fault::$name,)+)*];

            /// The name used on the command line and in the catalogue.
            pub const fn name(self) -> &'static str {
                match self { $($(Fault::$name => $text,)+)* }
            }

            /// The rule whose check must catch the fault.
            pub const fn rule(self) -> RuleId {
                match self { $($(Fault::$name)|+ => RuleId::$rule,)* }
            }

            /// What the fault does, in one line.
            pub const fn description(self) -> &'static str {
                match self { $($(Fault::$name => $doc.trim_ascii(),)+)* }
            }
        }
    };
}

pub(in crate::subject) use faults;

faults! {
    AllocNonnullUsable {
        /// a mapped block lacks its last page unless the size is a whole number of pages
        MappedRoundsDown = "mapped-rounds-down",
        /// every 128th malloc returns an address with a tag in its upper byte
        TaggedPointer = "tagged-pointer",
    }
    Disjoint {
        /// every 128th small malloc returns an address 16 bytes into the live block returned before it
        IssuesInsideBlock = "issues-inside-block",
        /// every 4th mapped block starts one page into the mapped block before it, if that is live and larger
        IssuesInsideMapping = "issues-inside-mapping",
        /// every 128th malloc returns an address in the program itself
        IssuesProgramMemory = "issues-program-memory",
    }
    DistinctNonzero {
        /// every 1000th small malloc returns the block of the malloc before it again, though that is live
        DoubleIssue = "double-issue",
        /// small blocks have numbers of 16 bits: with 65,536 of them live malloc returns the first again
        IndexWraps = "index-wraps",
    }
    ContentStable {
        /// every 16th free writes a link into the live block behind the freed one
        FreeWritesNeighbour = "free-writes-neighbour",
        /// malloc_trim gives the pages of live blocks back to the kernel
        TrimDiscardsLive = "trim-discards-live",
        /// every 64th call discards the last page of the youngest mapped block
        PurgesLivePage = "purges-live-page",
    }
    MetadataInviolate {
        /// malloc keeps a footer in the last 8 requested bytes if the size is 8 mod 16, and free aborts if it changed
        FooterInBlock = "footer-in-block",
    }
    StartAddress {
        /// free loses the base of a block aligned to more than a page, and crashes
        FreeLosesAlignedBase = "free-loses-aligned-base",
        /// malloc_usable_size looks for a header in front of a block aligned to more than a page, and crashes
        UsableLosesAlignedBase = "usable-loses-aligned-base",
    }
    FreeMakesAvailable {
        /// free does nothing
        FreeDoesNothing = "free-does-nothing",
        /// freed mapped blocks are neither unmapped nor used again
        MappedNeverReturned = "mapped-never-returned",
        /// every eighth free loses the block
        FreeLosesSome = "free-loses-some",
    }
    CallReturns {
        /// free aborts the 500th time
        AbortsInFree = "aborts-in-free",
        /// realloc never returns the 300th time
        HangsInRealloc = "hangs-in-realloc",
        /// malloc ends the process with status 0 the 700th time
        ExitsInMalloc = "exits-in-malloc",
    }
    NoOutput {
        /// malloc of 1 MiB or more writes a warning to standard error
        WarnsOfLarge = "warns-of-large",
        /// a request that cannot be met writes "out of memory" to standard output
        PrintsOutOfMemory = "prints-out-of-memory",
    }
    NoStaleSuccess {
        /// once a request was too large for any address space, malloc finds no memory any more
        FailsAfterHuge = "fails-after-huge",
        /// once an alignment was refused, malloc finds no memory any more
        FailsAfterBadAlignment = "fails-after-bad-alignment",
        /// a request for which the kernel has no memory keeps the lock, and the next call waits for it for ever
        FailureKeepsLock = "failure-keeps-lock",
    }
    OomReturnsNull {
        /// aborts when the kernel has no memory
        AbortsOnOom = "aborts-on-oom",
        /// the aligned functions use the result of a failed mapping
        AlignedOomCrashes = "aligned-oom-crashes",
        /// a new span is used though the second of the two mappings it needs failed
        SecondMappingUnchecked = "second-mapping-unchecked",
    }
    OomRecovers {
        /// a size class for which the kernel had no memory once is empty for ever, whatever is freed
        ClassStaysEmpty = "class-stays-empty",
        /// once a mapping failed, no block is mapped any more
        MappingFailureSticks = "mapping-failure-sticks",
    }
    FirstCallAny {
        /// calloc crashes as the very first call
        FirstCallocCrashes = "first-calloc-crashes",
        /// realloc(NULL) crashes as the very first call
        FirstReallocCrashes = "first-realloc-crashes",
        /// the functions that take an alignment crash as the very first call
        FirstAlignedCrashes = "first-aligned-crashes",
    }
    AlignFundamentalAny {
        /// blocks of up to 8 bytes are aligned to 8
        TinyAlignedToEight = "tiny-aligned-to-eight",
    }
    AlignFundamentalFit {
        /// malloc of 16 to 31 bytes returns 8 mod 16
        MallocAtOffsetEight = "malloc-at-offset-eight",
        /// calloc of several elements keeps their number in 8 bytes before a small block
        CallocCookie = "calloc-cookie",
    }
    AlignAlignedAlloc {
        /// aligned_alloc forgets the alignment if the size is smaller
        AlignedAllocSkipsSmall = "aligned-alloc-skips-small",
        /// aligned_alloc aligns to no more than a page
        AlignedAllocStopsAtPage = "aligned-alloc-stops-at-page",
    }
    AlignPosixMemalign {
        /// posix_memalign forgets an alignment below a page if the size is smaller
        PosixMemalignSkipsSmall = "posix-memalign-skips-small",
    }
    AlignMemalign {
        /// memalign aligns to half of what was asked
        MemalignHalves = "memalign-halves",
    }
    AlignValloc {
        /// valloc of up to 1 KiB is not page-aligned
        VallocUnaligned = "valloc-unaligned",
    }
    AlignPvalloc {
        /// pvalloc of up to 1 KiB is not page-aligned
        PvallocUnaligned = "pvalloc-unaligned",
        /// pvalloc takes the size as it is, and of page-aligned blocks that is what is usable
        PvallocNotRounded = "pvalloc-not-rounded",
    }
    AlignZeroSize {
        /// the aligned functions forget the alignment if the size is 0
        ZeroSizeUnaligned = "zero-size-unaligned",
    }
    AlignLarge {
        /// posix_memalign aligns to a page where 64 KiB or more was asked
        PosixMemalignStopsAtPage = "posix-memalign-stops-at-page",
        /// posix_memalign adds twice the alignment to the size and wraps at 2^63
        PosixMemalignWraps = "posix-memalign-wraps",
    }
    AlignAfterRealloc {
        /// realloc moves small blocks to an address that is 8 mod 16
        ReallocAtOffsetEight = "realloc-at-offset-eight",
    }
    AlignReallocFirst {
        /// realloc of an over-aligned block copies nothing
        ReallocOfAlignedCopiesNothing = "realloc-of-aligned-copies-nothing",
        /// realloc of an over-aligned block crashes
        ReallocOfAlignedCrashes = "realloc-of-aligned-crashes",
    }
    HugeMustFail {
        /// malloc adds a header to the size and wraps
        HeaderWraps = "header-wraps",
        /// malloc adds a header to the size and wraps, but only if a block of the smallest class was freed before
        HeaderWrapsIfWarm = "header-wraps-if-warm",
        /// memalign adds the alignment to the size and wraps
        MemalignWraps = "memalign-wraps",
        /// realloc adds a header to the size, wraps, and finds that the block is large enough
        ReallocWraps = "realloc-wraps",
        /// malloc keeps the lower 48 bits of a size above 2^56
        SizeCutToFortyEightBits = "size-cut-to-48-bits",
        /// operator new adds a header to the size and wraps
        NewWraps = "new-wraps",
    }
    PtrdiffMax {
        /// malloc drops the sign bit of the size
        SignBitDropped = "sign-bit-dropped",
    }
    SizeBoundaries {
        /// malloc of 4 GiB to 4 GiB + 1 MiB keeps the lower 32 bits of the size
        SizeCutToThirtyTwoBits = "size-cut-to-32-bits",
        /// malloc of exactly the largest small size, 32 KiB, finds no class
        LargestClassMissing = "largest-class-missing",
    }
    MallocErrno {
        /// malloc, calloc and realloc leave errno alone when the size is beyond any address space
        HugeLeavesErrno = "huge-leaves-errno",
        /// calloc leaves errno alone when the product overflows
        CallocOverflowLeavesErrno = "calloc-overflow-leaves-errno",
        /// aligned_alloc sets errno to EINVAL when there is no memory
        AlignedAllocWrongErrno = "aligned-alloc-wrong-errno",
        /// malloc, calloc and realloc leave errno alone when the kernel has no memory
        FailedMappingLeavesErrno = "failed-mapping-leaves-errno",
    }
    ErrnoNeverZeroed {
        /// calloc sets errno to 0
        CallocZeroesErrno = "calloc-zeroes-errno",
        /// malloc_usable_size sets errno to 0
        UsableZeroesErrno = "usable-zeroes-errno",
    }
    ErrnoSuccess {
        /// malloc of a mapped block leaves ENOENT in errno though it succeeds
        SuccessLeavesEnoent = "success-leaves-enoent",
    }
    FreeErrno {
        /// free of a mapped block leaves EINVAL in errno
        FreeClobbersErrno = "free-clobbers-errno",
        /// free leaves in errno what munmap put there, when that fails
        FreeShowsUnmapErrno = "free-shows-unmap-errno",
    }
    FreeErrnoExt {
        /// free_sized and free_aligned_sized leave EINVAL in errno
        SizedFreeClobbersErrno = "sized-free-clobbers-errno",
    }
    CallocWrap {
        /// calloc multiplies without looking
        CallocUnchecked = "calloc-unchecked",
        /// calloc looks for overflow only if the first argument is 2^32 or more
        CallocChecksCountOnly = "calloc-checks-count-only",
    }
    CallocNoFalseWrap {
        /// calloc refuses a product that does not fit 32 bits
        CallocThirtyTwoBits = "calloc-32-bits",
    }
    CallocZero {
        /// calloc trusts the kernel to have zeroed blocks of 129 to 512 bytes, recycled or not
        CallocTrustsFresh = "calloc-trusts-fresh",
        /// calloc zeroes whole words only
        CallocSkipsTail = "calloc-skips-tail",
        /// the mapped block freed last is kept and reused, and calloc believes it zero
        CallocTrustsKeptMapping = "calloc-trusts-kept-mapping",
    }
    CallocZeroAfterOom {
        /// once the kernel had no memory, calloc zeroes no small block
        CallocDirtyAfterOom = "calloc-dirty-after-oom",
        /// the mapped block freed last is discarded, kept and reused, and calloc believes it zero though madvise failed
        CallocTrustsFailedDiscard = "calloc-trusts-failed-discard",
    }
    CallocArgsSym {
        /// calloc finds no memory for elements of 4 KiB or more if they are fewer than their bytes
        CallocElementLimit = "calloc-element-limit",
    }
    ReallocNullIsMalloc {
        /// realloc(NULL, n) returns NULL
        ReallocNullFails = "realloc-null-fails",
    }
    ReallocContent {
        /// realloc copies 16 bytes too few out of small blocks
        ReallocCopiesShort = "realloc-copies-short",
        /// growing a mapped block of a function that takes no alignment loses its first page
        ReallocLosesPage = "realloc-loses-page",
    }
    ReallocBounds {
        /// a small block that shrinks is copied in full into the smaller one
        ReallocCopiesOldSize = "realloc-copies-old-size",
        /// growing a mapped block reads as many bytes of it as the new one has
        ReallocOverReads = "realloc-over-reads",
    }
    ReallocOldDead {
        /// realloc frees the block although it keeps it in place
        ReallocFreesInPlace = "realloc-frees-in-place",
        /// realloc does not free the block it moved away from
        ReallocForgetsOld = "realloc-forgets-old",
    }
    ReallocFailKeeps {
        /// realloc frees the block before it fails
        ReallocFreesOnFailure = "realloc-frees-on-failure",
        /// realloc has changed the first byte of the block when it fails
        ReallocScribblesOnFailure = "realloc-scribbles-on-failure",
        /// when mremap fails, realloc has dropped the first page of the block already
        FailedRemapDropsPage = "failed-remap-drops-page",
    }
    ReallocShrinkSucceeds {
        /// realloc to less than half always needs new memory, and fails if there is none
        ReallocShrinkNeedsMemory = "realloc-shrink-needs-memory",
    }
    ReallocUsableRoundtrip {
        /// realloc to exactly the usable size fails if that is more than was asked before
        ReallocToUsableFails = "realloc-to-usable-fails",
    }
    ReallocarrayOverflow {
        /// reallocarray multiplies without looking
        ReallocarrayUnchecked = "reallocarray-unchecked",
        /// reallocarray sets errno to EOVERFLOW when the product overflows
        ReallocarrayWrongErrno = "reallocarray-wrong-errno",
    }
    ReallocarrayNull {
        /// reallocarray(NULL, n, m) returns NULL
        ReallocarrayNullFails = "reallocarray-null-fails",
    }
    MallocZeroChoice {
        /// malloc(0) always returns the same address
        MallocZeroSentinel = "malloc-zero-sentinel",
        /// malloc(0) returns the live small block allocated last
        MallocZeroAliases = "malloc-zero-aliases",
    }
    ZeroFreeable {
        /// free of a block of size 0 crashes
        ZeroFreeCrashes = "zero-free-crashes",
        /// realloc of a block of size 0 crashes
        ZeroReallocCrashes = "zero-realloc-crashes",
    }
    CallocZeroSize {
        /// calloc of no bytes always returns the same address
        CallocZeroSentinel = "calloc-zero-sentinel",
    }
    AlignedZeroSize {
        /// aligned_alloc of no bytes always returns the same address
        AlignedZeroSentinel = "aligned-zero-sentinel",
    }
    PmaZeroSize {
        /// posix_memalign of no bytes always returns the same address
        PosixMemalignZeroSentinel = "posix-memalign-zero-sentinel",
    }
    FreeNull {
        /// free(NULL) crashes
        FreeNullCrashes = "free-null-crashes",
    }
    UsableNull {
        /// malloc_usable_size(NULL) crashes
        UsableNullCrashes = "usable-null-crashes",
        /// malloc_usable_size(NULL) is 16
        UsableNullNonzero = "usable-null-nonzero",
    }
    SizedFreeNull {
        /// free_sized(NULL) and free_aligned_sized(NULL) crash
        SizedFreeNullCrashes = "sized-free-null-crashes",
    }
    FreeSizedEquiv {
        /// free_sized aborts if the block is not of the class of the size, as after a realloc in place
        FreeSizedTrustsHint = "free-sized-trusts-hint",
        /// free_sized does nothing
        FreeSizedDoesNothing = "free-sized-does-nothing",
    }
    FreeAlignedSizedEquiv {
        /// free_aligned_sized forgets the alignment, and crashes if the size is smaller
        FreeAlignedSizedForgets = "free-aligned-sized-forgets",
        /// free_aligned_sized does nothing
        FreeAlignedSizedDoesNothing = "free-aligned-sized-does-nothing",
    }
    ReallocZeroErrno {
        /// realloc(p, 0) frees the block and returns NULL, errno as it was
        ReallocZeroLeavesErrno = "realloc-zero-leaves-errno",
    }
    AlignedAllocInvalid {
        /// aligned_alloc rounds an invalid alignment up to a power of two
        AlignedAllocAcceptsAny = "aligned-alloc-accepts-any",
    }
    AlignedAllocSmall {
        /// aligned_alloc refuses alignments smaller than a pointer
        AlignedAllocRefusesSmall = "aligned-alloc-refuses-small",
    }
    AlignedAllocNonmultiple {
        /// aligned_alloc refuses sizes that are no multiple of the alignment
        AlignedAllocRefusesNonmultiple = "aligned-alloc-refuses-nonmultiple",
    }
    PmaEinval {
        /// posix_memalign accepts any multiple of 8, rounded up to a power of two
        PosixMemalignAcceptsMultiples = "posix-memalign-accepts-multiples",
        /// posix_memalign accepts the alignments 1, 2 and 4
        PosixMemalignAcceptsSmall = "posix-memalign-accepts-small",
        /// posix_memalign returns ENOMEM for an invalid alignment
        PosixMemalignWrongError = "posix-memalign-wrong-error",
    }
    PmaReturnsError {
        /// posix_memalign returns -1 and sets errno when there is no memory
        PosixMemalignMinusOne = "posix-memalign-minus-one",
        /// posix_memalign returns 0 when there is no memory
        PosixMemalignFalseSuccess = "posix-memalign-false-success",
    }
    PmaMemptr {
        /// posix_memalign stores an error pointer when there is no memory
        PosixMemalignStoresGarbage = "posix-memalign-stores-garbage",
    }
    PmaMemptrUntouched {
        /// posix_memalign stores NULL when there is no memory
        PosixMemalignStoresNull = "posix-memalign-stores-null",
    }
    PmaMemptrSuccess {
        /// posix_memalign also writes the word after the pointer
        PosixMemalignWritesPast = "posix-memalign-writes-past",
    }
    MemalignInvalid {
        /// memalign crashes if the boundary is no power of two
        MemalignInvalidCrashes = "memalign-invalid-crashes",
    }
    MemalignErrno {
        /// memalign, valloc and pvalloc leave errno alone when there is no memory
        MemalignLeavesErrno = "memalign-leaves-errno",
    }
    ReallocfFrees {
        /// reallocf keeps the block when it fails
        ReallocfKeepsOnFailure = "reallocf-keeps-on-failure",
    }
    RecallocarrayNull {
        /// recallocarray(NULL, 0, n, m) returns NULL
        RecallocarrayNullFails = "recallocarray-null-fails",
        /// recallocarray(NULL, 0, n, m) clears nothing
        RecallocarrayNullDirty = "recallocarray-null-dirty",
    }
    RecallocarrayZero {
        /// recallocarray does not clear what it adds to a block
        RecallocarrayDirtyTail = "recallocarray-dirty-tail",
    }
    RecallocarrayOverflow {
        /// recallocarray multiplies without looking
        RecallocarrayUnchecked = "recallocarray-unchecked",
    }
    RecallocarrayClears {
        /// recallocarray frees the old block as it is
        RecallocarrayLeavesOld = "recallocarray-leaves-old",
        /// recallocarray shrinks a block where it is, and leaves the rest as it is
        RecallocarrayLeavesRest = "recallocarray-leaves-rest",
    }
    FreezeroNull {
        /// freezero(NULL) crashes
        FreezeroNullCrashes = "freezero-null-crashes",
    }
    FreezeroClears {
        /// freezero is free
        FreezeroJustFrees = "freezero-just-frees",
        /// freezero clears all but the last 32 bytes
        FreezeroStopsShort = "freezero-stops-short",
        /// freezero clears the first 64 KiB, and of mapped blocks the one freed last stays mapped
        FreezeroClearsStart = "freezero-clears-start",
    }
    CxxNewThrows {
        /// operator new returns NULL when there is no memory
        NewReturnsNull = "new-returns-null",
        /// operator new aborts when there is no memory
        NewAborts = "new-aborts",
        /// operator new throws an int when there is no memory
        NewThrowsAnother = "new-throws-another",
    }
    CxxNothrowNull {
        /// operator new throws std::bad_alloc though it is told std::nothrow
        NothrowNewThrows = "nothrow-new-throws",
    }
    CxxNewZero {
        /// operator new of 0 bytes returns NULL
        NewZeroNull = "new-zero-null",
        /// operator new of 0 bytes always returns the same address
        NewZeroSentinel = "new-zero-sentinel",
    }
    AlignCxxNew {
        /// operator new[] of 16 bytes to 1 KiB keeps a number in the 8 bytes before the block
        NewArrayCookie = "new-array-cookie",
    }
    CxxAligned {
        /// operator new forgets the alignment if the size is smaller
        AlignedNewSkipsSmall = "aligned-new-skips-small",
        /// operator new finds no memory for a size that is no multiple of the alignment
        AlignedNewRefusesRest = "aligned-new-refuses-rest",
    }
    CxxDeleteNull {
        /// operator delete of NULL crashes if it is told a size
        DeleteNullCrashes = "delete-null-crashes",
    }
    CxxSizedEquiv {
        /// operator delete that is told a size expects the block in the class of one byte more, and aborts
        SizedDeleteTrustsSize = "sized-delete-trusts-size",
        /// operator delete that is told a size does nothing
        SizedDeleteDoesNothing = "sized-delete-does-nothing",
    }
    CxxAlignedDelete {
        /// operator delete that is told an alignment of more than a page loses the base of the block, and crashes
        AlignedDeleteForgets = "aligned-delete-forgets",
    }
    CxxDeleteNothrow {
        /// operator delete[] throws an int in place of releasing the block
        DeleteThrows = "delete-throws",
    }
    CxxNewHandler {
        /// operator new gives up without calling the new handler
        NewIgnoresHandler = "new-ignores-handler",
    }
    UsableGe {
        /// malloc_usable_size counts only whole pages of a mapped block
        UsableRoundsDown = "usable-rounds-down",
        /// malloc_usable_size forgets the last byte of a small block of 1 mod 16 bytes
        UsableForgetsByte = "usable-forgets-byte",
    }
    UsableStable {
        /// malloc_usable_size is the size asked every second time
        UsableAlternates = "usable-alternates",
    }
    UsableDisjoint {
        /// malloc_usable_size counts the first 16 bytes of the next small block
        UsableCountsNext = "usable-counts-next",
    }
    UsableWritable {
        /// an allocation writes a cookie at the end of the small block whose usable size was asked last
        SlackHoldsCookie = "slack-holds-cookie",
    }
    BoundedSteady {
        /// every 1024th free loses the block
        FreeLosesOneIn1024 = "free-loses-one-in-1024",
    }
    BoundedSawtooth {
        /// of more than 90 spans every 64th that no longer holds a live block is lost
        EmptiedSpanLost = "emptied-span-lost",
    }
    BoundedAligned {
        /// what is mapped to align a block to more than a page is not unmapped with the block
        AlignmentSlackLost = "alignment-slack-lost",
    }
    BoundedRealloc {
        /// every 256th realloc loses the old block if it moves
        ReallocLosesOneIn256 = "realloc-loses-one-in-256",
    }
    BoundedFifo {
        /// every 32nd mapped block that is freed while a younger one is live is lost
        OlderMappingLost = "older-mapping-lost",
    }
    ForkSt {
        /// small blocks lie in memory that a child shares with its parent
        ChildStoresInParent = "child-stores-in-parent",
        /// which small blocks are free is written in memory that a child shares with its parent
        ChildFreesInParent = "child-frees-in-parent",
    }
    ForkMtChild {
        /// a child begins with the lock taken if another thread had it when it was made
        ForkIgnoresLock = "fork-ignores-lock",
    }
    ForkMtParent {
        /// who forks among threads keeps the lock that it took for that
        ForkKeepsLock = "fork-keeps-lock",
    }
    SignalInterrupt {
        /// a mapping waits for a moment first, and takes a signal that comes meanwhile for want of memory
        InterruptionIsNoMemory = "interruption-is-no-memory",
    }
    NotCancellationPoint {
        /// a mapping opens and closes a file
        MappingOpensFile = "mapping-opens-file",
    }
    StackSmall {
        /// a mapping takes 128 KiB of stack
        MappingNeedsStack = "mapping-needs-stack",
    }
    ClosedDescriptors {
        /// a mapping aborts if standard error cannot be written
        MappingNeedsStderr = "mapping-needs-stderr",
    }
    NoProc {
        /// a mapping aborts if there is nothing in /proc
        MappingNeedsProc = "mapping-needs-proc",
    }
    AtexitUse {
        /// a handler of its own, registered with atexit, leaves nothing to allocate from
        GoneAtExit = "gone-at-exit",
    }
    VforkSpawn {
        /// once a signal has told that a child has ended, the next call crashes
        ChildEndCrashes = "child-end-crashes",
    }
    CtorUse {
        /// crashes if it is called before constructors have run
        NeedsConstructor = "needs-constructor",
    }
}

impl Fault {
    /// Rules that the fault cannot but break together with its own.
    pub const fn consequences(self) -> &'static [RuleId] {
        match self {
            // Where the argument order is wrong, so is the answer to a product that fits.
            Fault::CallocElementLimit => &[RuleId::CallocNoFalseWrap, RuleId::NoStaleSuccess],
            // Near the end of user space a block of so many bytes is seen not to be one before it is written.
            Fault::SizeCutToThirtyTwoBits => &[RuleId::AllocNonnullUsable],
            // A block that shrinks and grows where it is stays as misaligned as malloc made it.
            Fault::MallocAtOffsetEight => &[RuleId::AlignAfterRealloc],
            // What was freed is asked about and resized as if it were live.
            Fault::ReallocFreesInPlace => &[
                RuleId::UsableGe,
                RuleId::ReallocContent,
                RuleId::ReallocUsableRoundtrip,
            ],
            // Threads beside the program write where they are told to, wherever that is.
            Fault::TaggedPointer | Fault::IssuesProgramMemory => &[RuleId::CallReturns],
            // To write is a point where a thread can be cancelled.
            Fault::WarnsOfLarge | Fault::PrintsOutOfMemory => &[RuleId::NotCancellationPoint],
            // One system call that fails is a lack of memory as well.
            Fault::ClassStaysEmpty => &[RuleId::NoStaleSuccess],
            // What is asked for in vain may be no bytes at all.
            Fault::NewReturnsNull => &[RuleId::CxxNewZero],
            // Some of the calls that purge are reallocs, of the block itself or beside it.
            Fault::PurgesLivePage => &[RuleId::ReallocContent, RuleId::ReallocBounds],
            // Whoever waits while memory is short is not told NULL, and whoever waits later is told nothing either.
            Fault::FailureKeepsLock => &[RuleId::OomReturnsNull, RuleId::CallReturns],
            // What the child freed is no block any more, and is asked about.
            Fault::ChildFreesInParent => {
                &[RuleId::UsableGe, RuleId::ForkMtChild, RuleId::ForkMtParent]
            }
            // Other threads do not help against that.
            Fault::ChildStoresInParent => &[RuleId::ForkMtChild, RuleId::ForkMtParent],
            Fault::ReallocFreesOnFailure => &[RuleId::UsableGe, RuleId::ReallocContent],
            _ => &[],
        }
    }

    /// The fault of this name.
    pub fn parse(name: &str) -> Option<Fault> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    /// Whether it is a fault of the C++ operators.
    pub fn is_in_operators(self) -> bool {
        self == Fault::NewWraps
            || matches!(
                self.rule(),
                RuleId::AlignCxxNew
                    | RuleId::CxxAligned
                    | RuleId::CxxAlignedDelete
                    | RuleId::CxxDeleteNothrow
                    | RuleId::CxxDeleteNull
                    | RuleId::CxxNewHandler
                    | RuleId::CxxNewThrows
                    | RuleId::CxxNewZero
                    | RuleId::CxxNothrowNull
                    | RuleId::CxxSizedEquiv
            )
    }

    /// Every fault that breaks `rule`.
    pub fn breaking(rule: RuleId) -> impl Iterator<Item = Fault> {
        Self::ALL
            .iter()
            .copied()
            .filter(move |fault| fault.rule() == rule)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
