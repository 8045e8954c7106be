//! The head of the report: what was checked, against what, and how much of it.

use super::FAINT;
use crate::report::document::{Document, Phase, Subject};
use crate::report::words::{count, printable, seconds, thousands, wrap};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// The column of what stands beside `subject` and `profile`.
const INDENT: usize = 9;

pub(super) fn write(document: &Document, out: &mut dyn Write, width: usize) -> io::Result<()> {
    let subject = &document.subject;
    let about = format!("{} ({})", printable(&subject.name), describe(subject));
    field(out, "subject", &about, width)?;

    let (id, parts) = (&document.profile, &document.profile_title);
    let mut profile = id.clone();
    if !parts.is_empty() && parts != id {
        profile.push_str(&format!(" = {parts}"));
    }
    let effort = format!(
        "{}, {}, {}",
        seconds(Duration::from_secs_f64(document.elapsed_s)),
        thousands(document.ops) + " ops",
        count(
            usize::try_from(document.workers).unwrap_or(usize::MAX),
            "worker"
        ),
    );
    let seed = format!("seed {}", document.seed);
    let one_line = format!("{profile}        {seed}        {effort}");
    if INDENT + one_line.chars().count() <= width {
        writeln!(out, "profile  {one_line}")?;
    } else {
        field(out, "profile", &profile, width)?;
        field(out, "effort", &format!("{seed}, {effort}"), width)?;
    }
    let phases: Vec<String> = document.phases.iter().map(describe_phase).collect();
    if !phases.is_empty() {
        field(out, "phases", &phases.join(", "), width)?;
    }
    for note in &subject.notes {
        field(out, "note", &printable(note), width)?;
    }
    writeln!(out)
}

fn describe_phase(phase: &Phase) -> String {
    let time = seconds(Duration::from_secs_f64(phase.elapsed_s));
    format!("{} {time} ({})", phase.name, thousands(phase.programs))
}

fn field(out: &mut dyn Write, name: &str, text: &str, width: usize) -> io::Result<()> {
    let mut name = name;
    for line in wrap(text, width.saturating_sub(INDENT)) {
        writeln!(out, "{FAINT}{name:INDENT$}{FAINT:#}{line}")?;
        name = "";
    }
    Ok(())
}

fn describe(subject: &Subject) -> String {
    let how = match subject.kind {
        "reference" => "built in",
        "system" => "the C library's own malloc",
        "preload" => "preloaded",
        "dlopen" => "opened with dlopen",
        "mutant" => "built in, wrong on purpose",
        "interpreter" => "a Python interpreter",
        other => other,
    };
    let mut parts = vec![how.to_owned()];
    let own = subject.entry_points.len();
    let total = own + subject.other_providers.len();
    if total > 0 && subject.path.is_some() {
        parts.push(format!("exports {own} of {}", count(total, "entry point")));
    }
    let mut others: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut absent = Vec::new();
    for (name, provider) in &subject.other_providers {
        match provider {
            Some(path) => {
                let file = Path::new(path).file_name().unwrap_or(path.as_ref());
                let library = printable(&file.to_string_lossy());
                others.entry(library).or_default().push(name);
            }
            None => absent.push(*name),
        }
    }
    for (library, names) in others {
        parts.push(format!(
            "{library} would serve {}: not mixed",
            names.join(", ")
        ));
    }
    if !absent.is_empty() {
        parts.push(format!("nobody provides {}", absent.join(", ")));
    }
    parts.join("; ")
}
