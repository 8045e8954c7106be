//! The forms of one report, each where it was asked for.

use super::Failure;
use super::options::{Form, FormOptions, Format};
use super::output::Output;
use crate::report::document::Entry;
use crate::report::{html, json, junit, markdown, sarif};
use std::io::{self, Write};

/// A report in all its forms.
#[derive(Debug)]
pub struct Outputs(Vec<(Format, Output)>);

impl Outputs {
    /// One form goes to standard output or to the file of `--output`, text for people unless it is named; the others go
    /// to files of their own. That all of them can be written is tried now.
    pub fn open(options: &FormOptions) -> Result<Outputs, Failure> {
        let mut plain = options.format.iter().filter(|form| form.file.is_none());
        let first = plain.next().map_or(Format::Human, |form| form.format);
        if plain.next().is_some() {
            return Err(Failure::Unusable(
                "--format names two forms without a file: give all but one a file, such as --format json=report.json"
                    .into(),
            ));
        }
        let mut outputs = vec![(first, Output::open(options.output.as_deref())?)];
        let mut files: Vec<_> = options.output.iter().collect();
        for Form { format, file } in &options.format {
            let Some(file) = file else { continue };
            if files.contains(&file) {
                return Err(Failure::Unusable(format!(
                    "two forms of the report go to {}: give each a file of its own",
                    file.display()
                )));
            }
            files.push(file);
            outputs.push((*format, Output::open(Some(file))?));
        }
        Ok(Outputs(outputs))
    }

    /// Writes every form; what cannot be written keeps none of the others from being written.
    ///
    /// `human` is given the columns there are; `caption` stands under the title of a page.
    pub fn write(
        &mut self,
        entries: &[Entry],
        caption: &str,
        human: impl Fn(&mut dyn Write, usize) -> io::Result<()>,
        json: impl Fn(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        for (format, output) in &mut self.0 {
            let width = output.width();
            let written = output.write(|out| match format {
                Format::Human => human(out, width),
                Format::Json => json(out),
                Format::Junit => junit::write(entries, out),
                Format::Sarif => sarif::write(entries, out),
                Format::Markdown => markdown::write(entries, out),
                Format::Html => html::write(entries, caption, out),
            });
            result = result.and(written);
        }
        result
    }

    /// Writes why there is no report, where programs read it.
    pub fn write_error(&mut self, failure: &Failure) -> Result<(), Failure> {
        for (format, output) in &mut self.0 {
            if *format == Format::Json {
                output.write(|out| json::write_error(&failure.to_string(), out))?;
            }
        }
        Ok(())
    }
}
