//! Parts of a whole as SVG: a bar, each part of it as long as its share.

use crate::report::document::{Failures, Shown};
use crate::report::words::count;

/// The units across a picture, and its height.
const WIDTH: u64 = 440;
const HEIGHT: u64 = 18;

/// The picture of a whole and its parts.
pub struct Shares {
    pub width: u64,
    pub height: u64,
    pub title: String,
    pub parts: Vec<Part>,
    /// The picture in words.
    pub description: String,
}

/// One part.
pub struct Part {
    pub x: u64,
    pub width: u64,
    /// How it is drawn.
    pub class: &'static str,
    pub label: String,
}

impl Shares {
    fn of(title: String, parts: &[(u64, &'static str, String)]) -> Shares {
        let whole = parts.iter().map(|part| part.0).sum::<u64>().max(1);
        let at = |sum: u64| {
            let at = u128::from(sum) * u128::from(WIDTH) / u128::from(whole);
            u64::try_from(at).unwrap_or(WIDTH)
        };
        let mut sum = 0;
        let parts: Vec<Part> = parts
            .iter()
            .map(|(size, class, label)| {
                let x = at(sum);
                sum += size;
                Part {
                    x,
                    width: at(sum) - x,
                    class,
                    label: label.clone(),
                }
            })
            .collect();
        let labels: Vec<&str> = parts.iter().map(|part| part.label.as_str()).collect();
        Shares {
            width: WIDTH,
            height: HEIGHT,
            description: format!("{title}: {}", labels.join(", ")),
            title,
            parts,
        }
    }

    /// In how many of its runs a program showed a finding.
    pub fn of_runs(shown: Shown) -> Shares {
        let others = u64::from(shown.of.saturating_sub(shown.times));
        Shares::of(
            count(shown.of as usize, "run"),
            &[
                (
                    u64::from(shown.times),
                    "guilty",
                    format!("{} show it", shown.times),
                ),
                (others, "", format!("{others} do not")),
            ],
        )
    }

    /// What became of system calls that were made to fail, among all that were seen.
    pub fn of_failures(failures: &Failures) -> Shares {
        let Failures {
            seen,
            failed,
            gave_up,
            did_without,
        } = *failures;
        let neither = failed.saturating_sub(gave_up + did_without);
        let passed = seen.saturating_sub(failed);
        Shares::of(
            format!("{seen} system calls while programs ran that make some fail"),
            &[
                (
                    gave_up,
                    "guilty",
                    format!("{gave_up} failed, and the call with them"),
                ),
                (
                    did_without,
                    "without",
                    format!("{did_without} failed, and the call did without"),
                ),
                (
                    neither,
                    "neither",
                    format!("{neither} failed in calls that have no failure"),
                ),
                (passed, "", format!("{passed} passed")),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_whole() {
        let shares = Shares::of_failures(&Failures {
            seen: 300,
            failed: 200,
            gave_up: 70,
            did_without: 30,
        });
        let parts: Vec<(u64, u64)> = shares
            .parts
            .iter()
            .map(|part| (part.x, part.width))
            .collect();
        assert_eq!(parts, [(0, 102), (102, 44), (146, 147), (293, 147)]);
        assert_eq!(
            shares.parts[2].label,
            "100 failed in calls that have no failure"
        );
        let shares = Shares::of_runs(Shown { times: 0, of: 0 });
        assert!(shares.parts.iter().all(|part| part.width == 0), "no runs");
    }
}
