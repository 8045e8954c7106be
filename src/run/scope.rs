//! What is asked of a subject: its profile, the rules of that, and what programs may say.

use crate::program::{Call, Vocabulary};
use crate::pymalloc::Edition;
use crate::run::learn::Learned;
use crate::run::supervisor::launch::Kin;
use crate::run::verdict::{Provider, SubjectInfo};
use crate::run::{CheckError, CheckOptions};
use crate::spec::{Catalogue, EdgeCase, Profile, RuleSet};

/// The profile of a C library's allocator.
const C_PROFILE: &str = "linux";
/// The profile of CPythons older than any that has one.
const OLDEST_CPYTHON_PROFILE: &str = "cpython-2.7";
/// Slots that may be live at once in a random program.
const MAX_SLOTS: u32 = 1 << 14;

/// The profile of a subject for which none is named, given the edition of CPython that it is like.
pub(super) fn usual_profile(edition: Option<Edition>) -> String {
    let Some(Edition { version, .. }) = edition else {
        return C_PROFILE.into();
    };
    // Where a version has no document here, the nearest before it has much the same.
    let known = |id: &String| {
        Catalogue::embedded()
            .profiles()
            .iter()
            .any(|p| p.id() == id)
    };
    let mut ids = (0..=version.1)
        .rev()
        .map(|minor| format!("cpython-{}.{minor}", version.0));
    ids.find(known).unwrap_or(OLDEST_CPYTHON_PROFILE.into())
}

/// The profile that the options name, or the usual one.
///
/// # Errors
///
/// When there is none of that name.
pub(super) fn profile(
    options: &CheckOptions,
    edition: Option<Edition>,
) -> Result<Profile, CheckError> {
    let usual = || usual_profile(edition);
    let name = options.profile.clone().unwrap_or_else(usual);
    let profile =
        Catalogue::embedded()
            .profile(&name)
            .map_err(|unknown| CheckError::UnknownProfile {
                name: unknown.name.clone(),
                known: unknown.known.join(", "),
            })?;
    Ok(profile)
}

/// The rules that the options name, or all of the profile.
///
/// # Errors
///
/// When one of them is not in the profile.
pub(super) fn chosen_rules(
    options: &CheckOptions,
    profile: &Profile,
) -> Result<RuleSet, CheckError> {
    if options.rules.is_empty() {
        return Ok(profile.rules());
    }
    if let Some(&rule) = options.rules.iter().find(|&&rule| !profile.has(rule)) {
        let having = Catalogue::embedded()
            .profiles()
            .iter()
            .filter(|profile| profile.has(rule));
        let profiles = having.map(Profile::id).collect::<Vec<_>>().join(", ");
        return Err(CheckError::RuleNotInProfile {
            rule,
            profile: profile.id().to_owned(),
            profiles,
        });
    }
    Ok(options.rules.iter().copied().collect())
}

/// What programs may say under these options.
pub(super) fn vocabulary(
    options: &CheckOptions,
    profile: &Profile,
    info: &SubjectInfo,
    kin: Option<&Kin>,
    learned: Learned,
) -> Vocabulary {
    chosen_vocabulary(profile, info, kin, options.max_memory, learned)
}

/// What programs may say to a subject: what its profile promises and it has.
pub(super) fn chosen_vocabulary(
    profile: &Profile,
    info: &SubjectInfo,
    kin: Option<&Kin>,
    max_live: u64,
    learned: Learned,
) -> Vocabulary {
    let has = |call: &Call| match call.entry_point() {
        Some(name) => profile.promises(name) && provides(info, name),
        None => false,
    };
    Vocabulary {
        calls: Call::ALL.iter().copied().filter(has).collect(),
        boundaries: learned.boundaries,
        max_live,
        lazy_calloc: learned.lazy,
        max_slots: MAX_SLOTS,
        zero_realloc: profile.defines(EdgeCase::ReallocZero),
        invalid_alignments: profile.defines(EdgeCase::AlignedAllocInvalid),
        nonmultiple_sizes: profile.defines(EdgeCase::AlignedAllocNonmultiple),
        invalid_memalign: profile.defines(EdgeCase::MemalignInvalid),
        hooked: kin.is_some_and(|kin| kin.hidden.is_none()),
        geometry: kin.map(|kin| kin.edition).unwrap_or_default().geometry(),
        // CPython's functions are called with the interpreter's lock held.
        threads: kin.is_none(),
        bursts: false,
    }
}

/// Whether the subject itself has the entry point.
pub(super) fn provides(info: &SubjectInfo, name: &str) -> bool {
    info.entry_points
        .iter()
        .any(|entry| entry.name == name && entry.provider == Provider::Subject)
}
