//! The rules that the code can check, by name.
//!
//! The catalogue under `conformance/rules/` says what each rule means; this list is what the compiler knows of it.
//! A test holds the two equal.

macro_rules! rule_ids {
    ($($name:ident = $id:literal,)*) => {
        /// A rule of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum RuleId {
            $(#[doc = concat!("`", $id, "`")] $name,)*
        }

        impl RuleId {
            /// Every rule, in catalogue order.
            pub const ALL: &'static [RuleId] = &[$(RuleId::$name,)*];

            /// The identifier used in the catalogue, in traces and in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(RuleId::$name => $id,)* }
            }
        }
    };
}

rule_ids! {
    // Addresses and contents.
    AllocNonnullUsable = "alloc-nonnull-usable",
    Disjoint = "disjoint",
    DistinctNonzero = "distinct-nonzero",
    ContentStable = "content-stable",
    MetadataInviolate = "metadata-inviolate",
    StartAddress = "start-address",
    FreeMakesAvailable = "free-makes-available",
    CallReturns = "call-returns",
    NoOutput = "no-output",
    NoStaleSuccess = "no-stale-success",
    OomReturnsNull = "oom-returns-null",
    OomRecovers = "oom-recovers",
    FirstCallAny = "first-call-any",
    InterposeCore = "interpose-core",
    InterposeComplete = "interpose-complete",
    // Alignment.
    AlignFundamentalAny = "align-fundamental-any",
    AlignFundamentalFit = "align-fundamental-fit",
    AlignAlignedAlloc = "align-aligned-alloc",
    AlignPosixMemalign = "align-posix-memalign",
    AlignMemalign = "align-memalign",
    AlignValloc = "align-valloc",
    AlignPvalloc = "align-pvalloc",
    AlignZeroSize = "align-zero-size",
    AlignLarge = "align-large",
    AlignExtendedSupported = "align-extended-supported",
    AlignAfterRealloc = "align-after-realloc",
    AlignReallocFirst = "align-realloc-first",
    // Sizes, overflow, failure, errno.
    HugeMustFail = "huge-must-fail",
    PtrdiffMax = "ptrdiff-max",
    SizeBoundaries = "size-boundaries",
    MallocErrno = "malloc-errno",
    ErrnoNeverZeroed = "errno-never-zeroed",
    ErrnoSuccess = "errno-success",
    FreeErrno = "free-errno",
    FreeErrnoExt = "free-errno-ext",
    CallocWrap = "calloc-wrap",
    CallocNoFalseWrap = "calloc-no-false-wrap",
    CallocZero = "calloc-zero",
    CallocZeroAfterOom = "calloc-zero-after-oom",
    CallocArgsSym = "calloc-args-sym",
    ReallocNullIsMalloc = "realloc-null-is-malloc",
    ReallocContent = "realloc-content",
    ReallocBounds = "realloc-bounds",
    ReallocOldDead = "realloc-old-dead",
    ReallocFailKeeps = "realloc-fail-keeps",
    ReallocShrinkSucceeds = "realloc-shrink-succeeds",
    ReallocUsableRoundtrip = "realloc-usable-roundtrip",
    ReallocarrayOverflow = "reallocarray-overflow",
    ReallocarrayNull = "reallocarray-null",
    // Zero sizes, NULL, sized free.
    MallocZeroChoice = "malloc-zero-choice",
    MallocZeroErrno = "malloc-zero-errno",
    ZeroFreeable = "zero-freeable",
    CallocZeroSize = "calloc-zero-size",
    AlignedZeroSize = "aligned-zero-size",
    PmaZeroSize = "pma-zero-size",
    FreeNull = "free-null",
    UsableNull = "usable-null",
    SizedFreeNull = "sized-free-null",
    FreeSizedEquiv = "free-sized-equiv",
    FreeAlignedSizedEquiv = "free-aligned-sized-equiv",
    ReallocP0 = "realloc-p0",
    ReallocZeroErrno = "realloc-zero-errno",
    // Arguments of the aligned functions.
    AlignedAllocInvalid = "aligned-alloc-invalid",
    AlignedAllocSmall = "aligned-alloc-small",
    AlignedAllocNonmultiple = "aligned-alloc-nonmultiple",
    AlignedAllocUnsupported = "aligned-alloc-unsupported",
    PmaEinval = "pma-einval",
    PmaReturnsError = "pma-returns-error",
    PmaErrno = "pma-errno",
    PmaMemptr = "pma-memptr",
    PmaMemptrUntouched = "pma-memptr-untouched",
    PmaMemptrSuccess = "pma-memptr-success",
    MemalignInvalid = "memalign-invalid",
    MemalignErrno = "memalign-errno",
    // BSD functions.
    ReallocfFrees = "reallocf-frees",
    RecallocarrayNull = "recallocarray-null",
    RecallocarrayZero = "recallocarray-zero",
    RecallocarrayOverflow = "recallocarray-overflow",
    RecallocarrayClears = "recallocarray-clears",
    FreezeroNull = "freezero-null",
    FreezeroClears = "freezero-clears",
    // C++ operators.
    CxxNewThrows = "cxx-new-throws",
    CxxNothrowNull = "cxx-nothrow-null",
    CxxNewZero = "cxx-new-zero",
    AlignCxxNew = "align-cxx-new",
    CxxAligned = "cxx-aligned",
    CxxDeleteNull = "cxx-delete-null",
    CxxSizedEquiv = "cxx-sized-equiv",
    CxxAlignedDelete = "cxx-aligned-delete",
    CxxDeleteNothrow = "cxx-delete-nothrow",
    CxxNewHandler = "cxx-new-handler",
    CxxPairComplete = "cxx-pair-complete",
    CxxPairSized = "cxx-pair-sized",
    CxxPairDelete = "cxx-pair-delete",
    // Introspection.
    UsableGe = "usable-ge",
    UsableStable = "usable-stable",
    UsableDisjoint = "usable-disjoint",
    UsableWritable = "usable-writable",
    // Memory over a long life.
    BoundedSteady = "bounded-steady",
    BoundedSawtooth = "bounded-sawtooth",
    BoundedAligned = "bounded-aligned",
    BoundedRealloc = "bounded-realloc",
    BoundedFifo = "bounded-fifo",
    BoundedThreads = "bounded-threads",
    BoundedXthreadFree = "bounded-xthread-free",
    BoundedConcurrent = "bounded-concurrent",
    // Fork, and what a process may meet with.
    ForkSt = "fork-st",
    ForkMtChild = "fork-mt-child",
    ForkMtParent = "fork-mt-parent",
    SignalInterrupt = "signal-interrupt",
    NotCancellationPoint = "not-cancellation-point",
    StackSmall = "stack-small",
    ClosedDescriptors = "closed-descriptors",
    NoProc = "no-proc",
    AtexitUse = "atexit-use",
    VforkSpawn = "vfork-spawn",
    CtorUse = "ctor-use",
    // Threads.
    ThreadSafe = "thread-safe",
    HappensBefore = "happens-before",
    XthreadFree = "xthread-free",
    XthreadReallocFirst = "xthread-realloc-first",
    ConcurrentRealloc = "concurrent-realloc",
    ThreadExitLive = "thread-exit-live",
    TsdDestructor = "tsd-destructor",
    // CPython: zero sizes and the size limit.
    ZeroMallocNonnull = "zero-malloc-nonnull",
    ZeroMallocDistinct = "zero-malloc-distinct",
    ZeroBlockOwned = "zero-block-owned",
    ZeroNotInPools = "zero-not-in-pools",
    ZeroBumpInDefaultRaw = "zero-bump-in-default-raw",
    LimitSsizeMax = "limit-ssize-max",
    // CPython: realloc and calloc.
    ReallocZeroKeepsBlock = "realloc-zero-keeps-block",
    ReallocZeroFail = "realloc-zero-fail",
    ReallocZeroRawArg = "realloc-zero-raw-arg",
    ReallocOversizeEarly = "realloc-oversize-early",
    ReallocNeverFree = "realloc-never-free",
    CallocZeroElems = "calloc-zero-elems",
    CallocZeroRawArg = "calloc-zero-raw-arg",
    CallocOverflow = "calloc-overflow",
    CallocLimitInclusive = "calloc-limit-inclusive",
    CallocArgsUnmerged = "calloc-args-unmerged",
    CallocSmallNoRaw = "calloc-small-no-raw",
    // CPython: pymalloc's classes, thresholds and realloc policy.
    AlignPymalloc = "align-pymalloc",
    ClassIndex = "class-index",
    ClassUsable = "class-usable",
    Threshold512 = "threshold-512",
    ThresholdCalloc = "threshold-calloc",
    ShrinkQuarter = "shrink-quarter",
    ShrinkSameClassMoves = "shrink-same-class-moves",
    ShrinkMoveTarget = "shrink-move-target",
    GrowWithinClass = "grow-within-class",
    CrossUp = "cross-up",
    CrossUpFail = "cross-up-fail",
    CrossDownStaysRaw = "cross-down-stays-raw",
    RawReallocDelegates = "raw-realloc-delegates",
    ReallocCountNeutral = "realloc-count-neutral",
    // CPython: where memory comes from.
    HookFallbackRaw = "hook-fallback-raw",
    HookPairing = "hook-pairing",
    ArenaOnDemand = "arena-on-demand",
    ArenaSizeExact = "arena-size-exact",
    ArenaFreeSamePtr = "arena-free-same-ptr",
    ArenaDefaultBackend = "arena-default-backend",
    ArenaFailFallback = "arena-fail-fallback",
    ArenaAnyAlignment = "arena-any-alignment",
}

impl RuleId {
    /// The rule of this identifier.
    pub fn parse(id: &str) -> Option<RuleId> {
        Self::ALL.iter().copied().find(|rule| rule.as_str() == id)
    }

    /// The rule at this position of [`RuleId::ALL`].
    pub fn from_index(index: usize) -> Option<RuleId> {
        Self::ALL.get(index).copied()
    }

    /// The position of the rule in [`RuleId::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl serde::Serialize for RuleId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for RuleId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        RuleId::parse(&id)
            .ok_or_else(|| serde::de::Error::custom(format!("no rule is named {id:?}")))
    }
}
