//! Measures as a table and as JSON.

use crate::bench::{Measure, Target};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, Write};

/// Writes the measures, one a line, with what each should come to.
///
/// # Errors
///
/// Those of the writer.
pub fn write_table(measures: &[Measure], out: &mut dyn Write) -> io::Result<()> {
    let width = measures
        .iter()
        .map(|measure| measure.what.len())
        .max()
        .unwrap_or(0);
    let mut subject = None;
    for measure in measures {
        if subject.replace(measure.subject) != Some(measure.subject) {
            writeln!(out, "{}", measure.subject.name())?;
        }
        let value = format!("{:.2} {}", measure.value, measure.unit);
        write!(out, "  {:width$}  {value:>12}", measure.what)?;
        if let Some(target) = measure.target {
            let (style, word) = if target.is_met(measure.value) {
                (AnsiColor::Green.on_default(), "met")
            } else {
                (AnsiColor::Red.on_default().bold(), "MISSED")
            };
            write!(
                out,
                "   {:<18} {style}{word}{style:#}",
                words(target, measure.unit)
            )?;
        }
        writeln!(out)?;
    }
    summary(measures, out)
}

fn words(target: Target, unit: &str) -> String {
    match target {
        Target::AtLeast(least) => format!("at least {least} {unit}"),
        Target::AtMost(most) => format!("at most {most} {unit}"),
    }
}

fn summary(measures: &[Measure], out: &mut dyn Write) -> io::Result<()> {
    let targets = measures
        .iter()
        .filter_map(|measure| Some((measure, measure.target?)));
    let (met, missed): (Vec<_>, Vec<_>) =
        targets.partition(|(measure, target)| target.is_met(measure.value));
    if met.is_empty() && missed.is_empty() {
        return Ok(());
    }
    let style = if missed.is_empty() {
        Style::new()
    } else {
        AnsiColor::Red.on_default()
    };
    writeln!(
        out,
        "\n{style}{} of {} targets met{style:#}",
        met.len(),
        met.len() + missed.len()
    )
}

#[derive(Serialize)]
struct Row<'a> {
    subject: &'static str,
    what: &'a str,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// Writes the measures as one JSON object: `{"tool","version","measures":[…]}`.
///
/// # Errors
///
/// Those of the writer.
pub fn write_json(measures: &[Measure], out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Row<'_>> = measures
        .iter()
        .map(|measure| Row {
            subject: measure.subject.name(),
            what: &measure.what,
            value: measure.value,
            unit: measure.unit,
            at_least: match measure.target {
                Some(Target::AtLeast(least)) => Some(least),
                _ => None,
            },
            at_most: match measure.target {
                Some(Target::AtMost(most)) => Some(most),
                _ => None,
            },
            met: measure.target.map(|target| target.is_met(measure.value)),
        })
        .collect();
    let report = serde_json::json!({
        "tool": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "measures": rows,
    });
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Subject;

    fn measures() -> Vec<Measure> {
        let measure = |what: &str, value, target| Measure {
            subject: Subject::Checking,
            what: what.into(),
            value,
            unit: "x",
            target,
        };
        vec![
            measure("for the record", 7.0, None),
            measure("good", 2.0, Some(Target::AtMost(2.5))),
            measure("bad", 3.0, Some(Target::AtMost(2.5))),
            measure("low", 3.0, Some(Target::AtLeast(10.0))),
        ]
    }

    #[test]
    fn what_is_missed_stands_out() {
        let mut out = anstream::StripStream::new(Vec::new());
        write_table(&measures(), &mut out).expect("memory can be written");
        let text = String::from_utf8(out.into_inner()).expect("tables are text");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn json_says_what_was_wanted() {
        let mut out = Vec::new();
        write_json(&measures(), &mut out).expect("memory can be written");
        let json: serde_json::Value = serde_json::from_slice(&out).expect("one object");
        let rows = &json["measures"];
        assert!(rows[0].get("met").is_none());
        assert_eq!(
            (&rows[1]["met"], &rows[1]["at_most"]),
            (&true.into(), &2.5.into())
        );
        assert_eq!(
            (&rows[3]["met"], &rows[3]["at_least"]),
            (&false.into(), &10.0.into())
        );
    }
}
