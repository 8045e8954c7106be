//! The hardened mode: what becomes of a program that misuses the allocator.
//!
//! No document says, so nothing is required: each misuse is done in many places, each time in a process of its own, and
//! what came of it is told. Before that the same program does without the misuse: where that goes wrong, nothing that
//! follows says anything about misuse. An allocator that stops the program has noticed; one that goes on with a sound heap has
//! shrugged it off; one in which two live blocks then share memory, a live block loses what it held, or everything falls
//! over later, has been corrupted.

mod ground;
mod scene;

use crate::run::supervisor::launch::{self, Launched};
use crate::run::supervisor::{Played, Worker};
use crate::run::verdict::{CheckResult, Conformance, MisuseResult, Provider, Sign, SubjectInfo};
use crate::run::{CheckError, CheckOptions, Progress};
use crate::shadow::Death;
pub use scene::{Aftermath, Scene, Stage, play};
use scene::{Lead, Misuse, Neighbours};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The name by which the mode is asked for.
pub const PROFILE: &str = "hardened";
/// What is told of it.
const TITLE: &str = "misuse on purpose: facts, nothing is required";
/// How long a call may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Sizes that allocators keep in different ways: tiny, small, a page, large, mapped.
const SIZES: [usize; 8] = [32, 48, 128, 1000, 4096, 20_000, 300_000, 2 << 20];

/// Every scene, the misuses in turn, so that each has had its share when time runs out.
fn scenes() -> impl Iterator<Item = Scene> {
    let circumstances = [
        (Neighbours::Live, false),
        (Neighbours::Live, true),
        (Neighbours::Freed, false),
        (Neighbours::Freed, true),
        (Neighbours::None, false),
        (Neighbours::None, true),
    ];
    let places = circumstances
        .into_iter()
        .flat_map(|(neighbours, warm)| SIZES.map(|size| (neighbours, warm, size)));
    places.flat_map(|(neighbours, warm, size)| {
        Misuse::ALL.iter().map(move |&misuse| Scene {
            misuse: Some(misuse),
            lead: misuse.lead(neighbours),
            size,
            neighbours,
            warm,
        })
    })
}

/// What scenes have in common apart from the misuse.
type Place = (Lead, usize, Neighbours, bool);

/// What came of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Detected,
    Silent,
    Corrupting,
}

/// Misuses a subject, until everything was tried or the time is over.
///
/// # Errors
///
/// When the subject cannot be used, the machine refuses what is needed, or the harness fails.
pub fn misuse(
    options: &CheckOptions,
    tell: &mut dyn FnMut(Progress),
) -> Result<CheckResult, CheckError> {
    let started = Instant::now();
    if let Some(&rule) = options.rules.first() {
        return Err(CheckError::RuleNotInProfile {
            rule,
            profile: PROFILE.into(),
            profiles: "all others".into(),
        });
    }
    let Launched {
        launch,
        mut info,
        mut worker,
        ..
    } = launch::launch(&options.subject, PATIENCE)?;
    let mut results: Vec<MisuseResult> = Misuse::ALL
        .iter()
        .map(|&misuse| MisuseResult::new(misuse.as_str(), misuse.title()))
        .collect();
    let possible: Vec<Scene> = scenes().filter(|scene| is_possible(scene, &info)).collect();
    let (mut tried, mut unsound, mut workers) = (0, 0, 0);
    let mut play = |scene: &Scene| {
        if !worker.is_alive() {
            (worker, ..) =
                Worker::start(&launch).map_err(|error| launch::refused(&launch.name, error))?;
        }
        workers += 1;
        let played = worker.misuse(scene);
        played.map_err(|error| CheckError::Resources {
            what: "a process to misuse the subject in",
            reason: error.to_string(),
        })
    };
    // Whether all goes well in a place where nothing is misused.
    let mut sound: HashMap<Place, bool> = HashMap::new();
    for scene in &possible {
        if started.elapsed() >= options.time {
            break;
        }
        tried += 1;
        let place = (scene.lead, scene.size, scene.neighbours, scene.warm);
        let is_sound = match sound.get(&place) {
            Some(&known) => known,
            None => {
                let without = Scene {
                    misuse: None,
                    ..*scene
                };
                let known = goes_well(&play(&without)?);
                sound.insert(place, known);
                known
            }
        };
        if !is_sound {
            unsound += 1;
            continue;
        }
        let end = play(scene)?;
        let result = results.iter_mut().find(|result| {
            scene
                .misuse
                .is_some_and(|misuse| misuse.as_str() == result.misuse)
        });
        if let Some(result) = result {
            count(result, &end);
        }
        tell(Progress {
            phase: "misuse",
            ops: tried,
            elapsed: started.elapsed(),
            total: options.time,
            findings: 0,
        });
    }
    if tried < possible.len() as u64 {
        info.notes.push(format!(
            "{tried} of {} places were tried: more time tries more",
            possible.len()
        ));
    }
    if unsound > 0 {
        info.notes.push(format!(
            "{unsound} of {tried} places are left out: there the subject dies, says something or loses blocks without any \
             misuse"
        ));
    }
    // If there is none at all, that is told of every misuse.
    if results.iter().any(|result| result.tried > 0) {
        results.retain(|result| result.tried > 0);
    }
    Ok(CheckResult {
        subject: info,
        profile: (PROFILE.into(), TITLE.into()),
        seed: options.seed,
        elapsed: started.elapsed(),
        ops: 0,
        workers,
        rules: Vec::new(),
        facts: BTreeMap::new(),
        cases: Vec::new(),
        failures: None,
        misuse: results,
        phases: Vec::new(),
        conformance: Conformance::Conformant,
    })
}

/// Whether the subject has what the misuse takes.
fn is_possible(scene: &Scene, info: &SubjectInfo) -> bool {
    let needed = scene.misuse.and_then(Misuse::needs);
    let needed = needed.and_then(|call| call.entry_point());
    needed.is_none_or(|name| {
        info.entry_points
            .iter()
            .any(|point| point.name == name && point.provider == Provider::Subject)
    })
}

/// Whether nothing went wrong. That there is no memory for a block is nothing wrong: then nothing is misused, either.
fn goes_well(played: &Played) -> bool {
    let whole = Aftermath::default();
    matches!(played.end, Ok(aftermath) if aftermath.is_none_or(|aftermath| aftermath == whole))
        && played.said.trim().is_empty()
}

/// Adds what came of one scene.
fn count(result: &mut MisuseResult, played: &Played) {
    let Some(outcome) = outcome(played) else {
        return;
    };
    result.tried += 1;
    match outcome {
        Outcome::Detected => result.detected += 1,
        Outcome::Silent => result.silent += 1,
        Outcome::Corrupting => result.corrupting += 1,
    }
    if outcome == Outcome::Detected {
        let sign = Sign {
            signal: match played.end {
                Err(Death::Signal { signal, .. }) => Some(signal),
                _ => None,
            },
            message: first_words(&played.said),
        };
        *result.signs.entry(sign).or_default() += 1;
    }
}

/// What came of a scene; nothing if it came to no misuse.
fn outcome(played: &Played) -> Option<Outcome> {
    /// The signals by which a program ends itself, or has itself ended.
    const ON_PURPOSE: [i32; 4] = [libc::SIGABRT, libc::SIGTRAP, libc::SIGILL, libc::SIGSYS];
    let spoke = !played.said.trim().is_empty();
    Some(match played.end {
        // There was no memory for the block to be misused.
        Ok(None) => return None,
        Ok(Some(Aftermath { overlap, lost })) if overlap || lost => Outcome::Corrupting,
        Ok(_) if spoke => Outcome::Detected,
        Ok(_) => Outcome::Silent,
        Err(_) if played.stage == Stage::Before => return None,
        Err(Death::Hang { .. }) => Outcome::Corrupting,
        Err(Death::Signal { signal, .. }) if ON_PURPOSE.contains(&signal) => Outcome::Detected,
        // Whatever ends the program at once keeps it from going on with a damaged heap.
        Err(_) if spoke || played.stage == Stage::Misuse => Outcome::Detected,
        Err(_) => Outcome::Corrupting,
    })
}

/// The first line that says something, without what differs from run to run: addresses and process numbers.
fn first_words(said: &str) -> String {
    const LONG: usize = 4;
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    let mut words = String::new();
    let mut digits = String::new();
    let line = line.unwrap_or_default();
    for letter in line.chars().chain(['\n']) {
        let in_number = letter.is_ascii_hexdigit() && digits.starts_with("0x")
            || letter == 'x' && digits == "0"
            || letter.is_ascii_digit();
        if in_number {
            digits.push(letter);
            continue;
        }
        match digits.len() {
            length if length >= LONG || digits.starts_with("0x") => words.push('…'),
            _ => words.push_str(&digits),
        }
        digits.clear();
        words.push(letter);
    }
    words.truncate(words.trim_end().len());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(end: Result<Option<Aftermath>, Death>, stage: Stage, said: &str) -> Option<Outcome> {
        outcome(&Played {
            end,
            stage,
            said: said.into(),
        })
    }

    #[test]
    fn what_stops_the_program_in_time_has_detected_it() {
        let signal = |signal| {
            Err(Death::Signal {
                signal,
                address: None,
            })
        };
        let hang = || Err(Death::Hang { millis: 500 });
        let whole = || Ok(Some(Aftermath::default()));
        let lost = || {
            Ok(Some(Aftermath {
                lost: true,
                ..Aftermath::default()
            }))
        };
        for (end, stage, said, wanted) in [
            (whole(), Stage::After, "", Some(Outcome::Silent)),
            (
                whole(),
                Stage::After,
                "double free",
                Some(Outcome::Detected),
            ),
            (lost(), Stage::After, "", Some(Outcome::Corrupting)),
            (
                signal(libc::SIGSEGV),
                Stage::Misuse,
                "",
                Some(Outcome::Detected),
            ),
            (
                signal(libc::SIGSEGV),
                Stage::After,
                "",
                Some(Outcome::Corrupting),
            ),
            (
                signal(libc::SIGSEGV),
                Stage::After,
                "corrupt",
                Some(Outcome::Detected),
            ),
            (
                signal(libc::SIGABRT),
                Stage::After,
                "",
                Some(Outcome::Detected),
            ),
            (hang(), Stage::After, "", Some(Outcome::Corrupting)),
            (hang(), Stage::Before, "", None),
        ] {
            assert_eq!(played(end, stage, said), wanted, "{stage:?} {said}");
        }
    }

    #[test]
    fn what_is_said_is_the_same_wherever_it_happens() {
        for (said, words) in [
            (
                "\n free(): invalid pointer\nmore",
                "free(): invalid pointer",
            ),
            ("==1234== ERROR at 0x7f31c4001040!", "==…== ERROR at …!"),
            ("tcache 2", "tcache 2"),
            ("", ""),
        ] {
            assert_eq!(first_words(said), words);
        }
    }

    #[test]
    fn every_misuse_has_its_share_of_places() {
        let scenes: Vec<Scene> = scenes().collect();
        for &misuse in Misuse::ALL {
            let of = |scene: &&Scene| scene.misuse == Some(misuse);
            let places = scenes.iter().filter(of).count();
            assert_eq!(places * Misuse::ALL.len(), scenes.len());
        }
        let first: Vec<Misuse> = scenes
            .iter()
            .take(Misuse::ALL.len())
            .filter_map(|scene| scene.misuse)
            .collect();
        assert_eq!(first, Misuse::ALL, "whatever the time, each is tried");
    }
}
