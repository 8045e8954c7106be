//! `allocspec rules`: the catalogue.

use super::options::ListFormat;
use super::output::Output;
use super::{Answer, Failure, values};
use crate::report::catalogue::{write_list, write_rule};
use crate::report::documents::write_statements;
use crate::spec::{Catalogue, Rule};
use clap::Args;

/// Lists the rules, or explains one with its source
#[derive(Debug, Args)]
pub struct Arguments {
    /// Rules to explain
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only the rules of this profile, with their levels there
    #[arg(long)]
    profile: Option<String>,
    /// What documents say that is not so, what really happens, and since when
    #[arg(long, conflicts_with_all = ["ids", "profile"])]
    documents: bool,
    /// The form of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Human)]
    format: ListFormat,
}

pub fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let catalogue = Catalogue::embedded();
    if arguments.documents {
        tell_documents(catalogue, arguments.format)?;
        return Ok(Answer::Good);
    }
    let profile = match &arguments.profile {
        Some(name) => Some(
            catalogue
                .profile(name)
                .map_err(|unknown| Failure::Unusable(unknown.to_string()))?,
        ),
        None => None,
    };
    let chosen = arguments
        .ids
        .iter()
        .map(|id| {
            values::rule(id)
                .map(|rule| catalogue.rule(rule))
                .map_err(Failure::Unusable)
        })
        .collect::<Result<Vec<&Rule>, Failure>>()?;

    let mut output = Output::Standard;
    let width = output.width();
    output.write(|out| match arguments.format {
        ListFormat::Json => {
            let listed: Vec<&Rule> = match chosen.is_empty() {
                true => catalogue.rules().iter().collect(),
                false => chosen,
            };
            let has = |rule: &&Rule| profile.as_ref().is_none_or(|profile| profile.has(rule.id));
            let listed: Vec<&Rule> = listed.into_iter().filter(has).collect();
            serde_json::to_writer_pretty(&mut *out, &listed)?;
            writeln!(out)
        }
        ListFormat::Human if chosen.is_empty() => {
            write_list(catalogue, profile.as_ref(), out, width)
        }
        ListFormat::Human => {
            for (index, rule) in chosen.into_iter().enumerate() {
                if index > 0 {
                    writeln!(out)?;
                }
                write_rule(catalogue, rule, out, width)?;
            }
            Ok(())
        }
    })?;
    Ok(Answer::Good)
}

fn tell_documents(catalogue: &Catalogue, format: ListFormat) -> Result<(), Failure> {
    let statements = catalogue.statements();
    let mut output = Output::Standard;
    let width = output.width();
    output.write(|out| match format {
        ListFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, statements)?;
            writeln!(out)
        }
        ListFormat::Human => write_statements(statements, out, width),
    })
}
