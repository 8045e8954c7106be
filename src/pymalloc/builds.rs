//! The layouts of CPython's builds on 64-bit machines, and which version has which.
//!
//! Two things make the allocator of a version: its layout, and how it passes on requests for nothing. Most layouts
//! occur with one way of the latter only; [`Build`] names the pairs that there were, and [`Build::visit`] leads from the
//! name to the type.

use super::layout::{Geometry, Layout, Nothing};
use super::radix::{OwnNodes, Radix};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

macro_rules! layouts {
    ($($(#[doc = $doc:literal])* $name:ident: $alignment:literal, $threshold:literal, $pool:literal, $arena:literal,
        $keeps:literal, $map:ty;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Layout for $name {
            const ALIGNMENT: usize = $alignment;
            const THRESHOLD: usize = $threshold;
            const POOL_SIZE: usize = $pool << 10;
            const ARENA_SIZE: usize = $arena << 10;
            const KEEPS_LAST: bool = $keeps;
            type Map = $map;
        }
    )*};
}

/// Before 3.10 an address is looked up by what stands at the start of its page, which may be anybody's memory. What
/// comes of that is whether the address lies in an arena; it is found out here without reading what is not ours, and
/// without a request to the raw domain that CPython does not make.
type Headers<const ARENA_BITS: u32, const LEAF: usize> =
    OwnNodes<Radix<ARENA_BITS, { 1 << 15 }, { 1 << 15 }, LEAF>>;

layouts! {
    // Alignment, threshold; pool and arena in KiB; whether the last arena is kept; the address map.
    /// 2.5 to 2.7.6, and 3.0 to 3.2: pools serve up to 256 bytes.
    P27old: 8, 256, 4, 256, false, Headers<18, { 1 << 16 }>;
    /// 2.7.7 to 2.7.16, and 3.3 to 3.7.3: classes 8 bytes apart.
    P4k8: 8, 512, 4, 256, false, Headers<18, { 1 << 16 }>;
    /// 2.7.17 and 2.7.18, 3.7.4 to 3.8: classes 16 bytes apart (bpo-27987).
    P4k16: 16, 512, 4, 256, false, Headers<18, { 1 << 16 }>;
    /// 3.9: one empty arena is kept (bpo-37257).
    P4k16k1: 16, 512, 4, 256, true, Headers<18, { 1 << 16 }>;
    /// 3.10: larger pools and arenas, found by the 48 low bits of an address (bpo-37448).
    P16kR48: 16, 512, 16, 1024, true, Radix<20, { 1 << 10 }, { 1 << 10 }, { 1 << 8 }>;
    /// 3.11 and later: all 64 bits of an address are looked at.
    P16kR64: 16, 512, 16, 1024, true, Radix<20, { 1 << 15 }, { 1 << 15 }, { 1 << 14 }>;
    /// 3.15 configured `--with-pymalloc-hugepages`: arenas as large as a huge page.
    P16kHuge: 16, 512, 16, 2048, true, Radix<21, { 1 << 15 }, { 1 << 15 }, { 1 << 13 }>;
    /// 3.10 and later compiled with `WITH_PYMALLOC_RADIX_TREE=0`: large arenas of small pools.
    P4k16NoRadix: 16, 512, 4, 1024, true, Headers<20, { 1 << 14 }>;
}

/// A layout as CPython 3.4 to 3.6 have it: see [`Nothing::ResizedToOne`].
#[derive(Clone, Copy, Debug)]
pub struct Before37<L>(PhantomData<L>);

/// A layout as CPython 2 and 3.0 to 3.3 have it: see [`Nothing::OneByte`].
#[derive(Clone, Copy, Debug)]
pub struct Before34<L>(PhantomData<L>);

macro_rules! older {
    ($($name:ident: $nothing:expr;)*) => {$(
        impl<L: Layout> Layout for $name<L> {
            const ALIGNMENT: usize = L::ALIGNMENT;
            const THRESHOLD: usize = L::THRESHOLD;
            const POOL_SIZE: usize = L::POOL_SIZE;
            const ARENA_SIZE: usize = L::ARENA_SIZE;
            const KEEPS_LAST: bool = L::KEEPS_LAST;
            const NOTHING: Nothing = $nothing;
            type Map = L::Map;
        }
    )*};
}

older! {
    Before37: Nothing::ResizedToOne;
    Before34: Nothing::OneByte;
}

/// What is done with a layout once its type is known.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn visit<L: Layout + 'static>(self) -> Self::Output;
}

macro_rules! builds {
    ($($(#[doc = $doc:literal])* $build:ident = $layout:ty, $name:literal, $newest:expr;)*) => {
        /// A build of CPython, as far as pymalloc is concerned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Build { $($(#[doc = $doc])* $build,)* }

        impl Build {
            /// Every build, oldest first.
            pub const ALL: &'static [Build] = &[$(Build::$build,)*];

            /// The name of its layout.
            pub const fn layout(self) -> &'static str {
                match self { $(Build::$build => $name,)* }
            }

            /// The newest version that has it.
            pub const fn newest(self) -> Version {
                match self { $(Build::$build => $newest,)* }
            }

            /// Does something with its layout.
            pub fn visit<V: Visitor>(self, visitor: V) -> V::Output {
                match self { $(Build::$build => visitor.visit::<$layout>(),)* }
            }
        }
    };
}

builds! {
    /// 2.5 to 2.7.6, 3.0 to 3.2
    Old27 = Before34<P27old>, "p27old", Version(2, 7, 6);
    /// 2.7.7 to 2.7.16, 3.3
    Cpython27 = Before34<P4k8>, "p4k8", Version(2, 7, 16);
    /// 2.7.17 and 2.7.18
    Late27 = Before34<P4k16>, "p4k16", Version(2, 7, 18);
    /// 3.4 to 3.6
    Cpython36 = Before37<P4k8>, "p4k8", Version(3, 6, LAST);
    /// 3.4 to 3.6 patched to align as 3.8 does, as some distributors build them
    Patched36 = Before37<P4k16>, "p4k16", Version(3, 6, LAST);
    /// 3.7.0 to 3.7.3
    Early37 = P4k8, "p4k8", Version(3, 7, 3);
    /// 3.7.4 and later, 3.8
    Cpython38 = P4k16, "p4k16", Version(3, 8, LAST);
    /// 3.9
    Cpython39 = P4k16k1, "p4k16k1", Version(3, 9, LAST);
    /// 3.10
    Cpython310 = P16kR48, "p16k-r48", Version(3, 10, LAST);
    /// 3.11 and later
    Cpython311 = P16kR64, "p16k-r64", Version(3, 14, LAST);
    /// 3.15 configured `--with-pymalloc-hugepages`
    Hugepages = P16kHuge, "p16k-huge", Version(3, 15, LAST);
    /// 3.10 and later without the radix tree
    NoRadix = P4k16NoRadix, "p4k16-noradix", Version(3, 14, LAST);
}

impl Build {
    /// The numbers of its layout.
    pub fn geometry(self) -> Geometry {
        struct Numbers;
        impl Visitor for Numbers {
            type Output = Geometry;
            fn visit<L: Layout + 'static>(self) -> Geometry {
                Geometry::of::<L>()
            }
        }
        self.visit(Numbers)
    }

    /// The build of the same time with the layout of this name, if there was one.
    pub fn with_layout(self, layout: &str) -> Option<Build> {
        let nothing = self.geometry().nothing;
        let of_the_time = |build: &&Build| build.geometry().nothing == nothing;
        let mut builds = Build::ALL.iter().filter(of_the_time);
        builds.find(|build| build.layout() == layout).copied()
    }
}

/// The micro of a version's last release.
const LAST: u8 = u8::MAX;

/// A version of CPython: major, minor and micro.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8, pub u8, pub u8);

impl Version {
    /// The build that most have of it; `None` of a version that is unknown, or had no arenas yet.
    pub const fn build(self) -> Option<Build> {
        Some(match self {
            Version(2, 5..=6, _) | Version(2, 7, 0..=6) | Version(3, 0..=2, _) => Build::Old27,
            Version(2, 7, 7..=16) | Version(3, 3, _) => Build::Cpython27,
            Version(2, 7, _) => Build::Late27,
            Version(3, 4..=6, _) => Build::Cpython36,
            Version(3, 7, 0..=3) => Build::Early37,
            Version(3, 7..=8, _) => Build::Cpython38,
            Version(3, 9, _) => Build::Cpython39,
            Version(3, 10, _) => Build::Cpython310,
            Version(3, 11..=15, _) => Build::Cpython311,
            _ => return None,
        })
    }
}

impl Version {
    /// The build of it with these sizes, in bytes: the alignment of blocks, a pool, an arena. `None` if none is known.
    pub fn build_with(self, (alignment, pool, arena): (usize, usize, usize)) -> Option<Build> {
        let usual = self.build()?;
        let expected = usual.geometry();
        let fits = |build: &Build| {
            let geometry = build.geometry();
            (geometry.alignment, geometry.pool, geometry.arena) == (alignment, pool, arena)
                && geometry.nothing == expected.nothing
                && geometry.keeps_last == expected.keeps_last
        };
        let mut builds = std::iter::once(usual).chain(Build::ALL.iter().copied());
        builds.find(fits)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version(major, minor, micro) = self;
        write!(f, "{major}.{minor}")?;
        if *micro == LAST {
            return Ok(());
        }
        write!(f, ".{micro}")
    }
}

impl FromStr for Version {
    type Err = UnknownEdition;

    /// Reads `3.9` or `3.9.18`; without a micro, the last release is meant.
    fn from_str(text: &str) -> Result<Version, UnknownEdition> {
        let unknown = || UnknownEdition(text.to_owned());
        let number = |part: &str| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| plain).ok_or_else(unknown)
        };
        let (major, rest) = text.split_once('.').ok_or_else(unknown)?;
        let (minor, micro) = match rest.split_once('.') {
            Some((minor, micro)) => (minor, number(micro)?),
            None => (rest, LAST),
        };
        Ok(Version(number(major)?, number(minor)?, micro))
    }
}

/// A version of CPython as somebody built it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edition {
    /// The version.
    pub version: Version,
    /// The build.
    pub build: Build,
}

impl Edition {
    /// What is meant where none is named.
    pub const USUAL: Edition = Edition {
        version: Version(3, 14, LAST),
        build: Build::Cpython311,
    };

    /// The numbers of its layout.
    pub fn geometry(self) -> Geometry {
        self.build.geometry()
    }

    /// The newest version with the layout of this name, as it was last.
    fn named(layout: &str) -> Option<Edition> {
        let mut builds = Build::ALL.iter().rev();
        let &build = builds.find(|build| build.layout() == layout)?;
        Some(Edition {
            version: build.newest(),
            build,
        })
    }
}

impl Default for Edition {
    fn default() -> Edition {
        Edition::USUAL
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version.build() == Some(self.build) {
            return self.version.fmt(f);
        }
        let layout = self.build.layout();
        if Edition::named(layout) == Some(*self) {
            return f.write_str(layout);
        }
        write!(f, "{}+{layout}", self.version)
    }
}

impl FromStr for Edition {
    type Err = UnknownEdition;

    /// Reads a version (`3.9`), the name of a layout, which stands for the newest version that has it (`p4k8`), or both
    /// (`3.6+p4k16`).
    fn from_str(text: &str) -> Result<Edition, UnknownEdition> {
        if let Some(edition) = Edition::named(text) {
            return Ok(edition);
        }
        let unknown = || UnknownEdition(text.to_owned());
        let (version, layout) = match text.split_once('+') {
            Some((version, layout)) => (version, Some(layout)),
            None => (text, None),
        };
        let version: Version = version.parse().map_err(|_| unknown())?;
        let usual = version.build().ok_or_else(unknown)?;
        let build = match layout {
            None => usual,
            Some(layout) => usual.with_layout(layout).ok_or_else(unknown)?,
        };
        Ok(Edition { version, build })
    }
}

/// No layout is known by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEdition(String);

impl fmt::Display for UnknownEdition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut layouts: Vec<&str> = Build::ALL.iter().map(|build| build.layout()).collect();
        layouts.sort_unstable();
        layouts.dedup();
        write!(
            f,
            "no layout is known as {:?}: give a version of CPython from 2.5 to 3.15, or one of {}",
            self.0,
            layouts.join(", ")
        )
    }
}

impl std::error::Error for UnknownEdition {}
