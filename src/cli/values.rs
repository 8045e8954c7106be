//! What stands after options: durations, sizes, rules, names.

use super::suggest::suggestions;
use crate::spec::{Catalogue, RuleId};
use std::num::NonZeroUsize;
use std::time::Duration;

/// A duration: `500ms`, `10s`, `2m`, `1h`; without a unit, seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}; write 500ms, 10s, 2m or 1h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "write 500ms, 10s, 2m or 1h".to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration.is_zero() => Err("too short".into()),
        Ok(duration) if duration > Duration::from_secs(365 * 24 * 3600) => Err("too long".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("too long".into()),
    }
}

/// A number of bytes: `4096`, `64KiB`, `512MiB`, `1GiB`; one letter will do.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(format!("unknown unit {unit:?}; write 512MiB or 1GiB")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "write a whole number such as 512MiB or 1GiB".to_owned())?;
    match number.checked_mul(1 << shift) {
        Some(0) => Err("must be more than 0".into()),
        Some(bytes) => Ok(bytes),
        None => Err("too large".into()),
    }
}

/// Processes side by side.
pub fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    const MOST: usize = 1024;
    let number: NonZeroUsize = text
        .parse()
        .map_err(|_| format!("write a number from 1 to {MOST}"))?;
    match number.get() {
        0..=MOST => Ok(number),
        _ => Err(format!("at most {MOST}")),
    }
}

/// A number and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A rule by its id or another of its names.
pub fn rule(name: &str) -> Result<RuleId, String> {
    let catalogue = Catalogue::embedded();
    if let Some(rule) = catalogue.find(name) {
        return Ok(rule.id);
    }
    let known = RuleId::ALL.iter().map(|rule| rule.as_str());
    let near = suggestions(name, known);
    Err(match near.is_empty() {
        true => format!("no rule is named {name:?}: `allocspec rules` lists them"),
        false => format!(
            "no rule is named {name:?}: did you mean {}?",
            near.join(" or ")
        ),
    })
}

/// A pair such as `KEY=VALUE`.
pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Names;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in [
            "",
            "s",
            "10 parsecs",
            "-1s",
            "0s",
            "1e9",
            "9999999999h",
            "1.2.3s",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64KiB"), Ok(64 << 10));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("2g"), Ok(2 << 30));
        for wrong in ["", "GiB", "1.5GiB", "0", "99999999999GiB", "1GB/s", "-1"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_of_jobs() {
        assert_eq!(jobs("2"), NonZeroUsize::new(2).ok_or(String::new()));
        for wrong in ["", "0", "-1", "two", "100000", "99999999999999999999"] {
            assert!(jobs(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rules_by_any_of_their_names() {
        assert_eq!(rule("disjoint"), Ok(RuleId::Disjoint));
        assert_eq!(rule("live-disjoint"), Ok(RuleId::Disjoint));
        let error = rule("disjiont").expect_err("no rule has this name");
        assert!(error.contains("did you mean disjoint"), "{error}");
        let error = rule("qqqqqqqqqq").expect_err("no rule has this name");
        assert!(error.contains("allocspec rules"), "{error}");
    }

    #[test]
    fn pairs() {
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(Names::pair("malloc=je_malloc"), pair("malloc", "je_malloc"));
        assert!(Names::pair("malloc=").is_err());
        assert!(Names::pair("mallok=x").is_err());
        assert_eq!(variable("K=a=b"), pair("K", "a=b"));
        assert!(variable("=b").is_err());
    }
}
