//! A finding as a C program that needs nothing but a compiler.
//!
//! The program is straight-line C, a statement an operation, with one check at the end: what the finding says was
//! seen. It is what an author runs under a debugger, attaches to a bug report, or keeps as a test. Addresses and
//! bytes differ from run to run, so the check asks for the kind of break, not for the very values.

mod decisive;
mod functions;
mod helpers;
mod life;
mod plan;
#[cfg(test)]
mod tests;
mod threads;
mod translate;

use super::commands;
use super::evidence::{Contrast, contrast};
use super::words::wrap;
use crate::program::{Call, Expect, Failing, Op, Which};
use crate::run::verdict::{Provider, SubjectInfo};
use crate::shadow::{Case, Death, Evidence};
use crate::spec::{Rule, RuleId};
use functions::Function;
use helpers::{Need, VOICE};
use plan::{Step, plan};
use std::collections::BTreeSet;
use std::path::Path;
use translate::Translator;

/// Programs that would have more statements than this are not written: nobody would read them.
const MAX_STATEMENTS: usize = 10_000;

/// So many system calls are made to fail, one after another, where it takes another one than the first.
const MOST_TRIED: u64 = 64;

/// The columns of comments.
const WIDTH: usize = 96;

/// The case as a C program that exits with status 1 if the break shows and with 0 if it does not.
///
/// `file` is the path it will be stored at, for the commands in its head. `None` if the subject is not a C library,
/// or the break cannot be seen from C, or did not show again: it would not elsewhere.
pub fn c_program(case: &Case, subject: &SubjectInfo, rule: &Rule, file: &Path) -> Option<String> {
    let in_c = !matches!(subject.kind, "reference" | "mutant" | "interpreter");
    if !in_c || !case.reproduced {
        return None;
    }
    if threads::has_threads(case) {
        if case.program.ops.len() > MAX_STATEMENTS {
            return None;
        }
        let mut t = Translator::new(case, true);
        let functions = threads::functions(&mut t)?;
        return Some(assemble(
            &t,
            subject,
            &head(case, subject, rule, file),
            &functions,
        ));
    }
    if !case.program.ops.iter().all(can_be_said) {
        return None;
    }
    let steps = match case.op() {
        Some(_) => plan(&case.program.ops, case.finding.op_index),
        None => Vec::new(),
    };
    if steps.len() > MAX_STATEMENTS {
        return None;
    }
    let has_runs = steps.iter().any(|step| matches!(step, Step::Run { .. }));
    let mut t = Translator::new(case, has_runs);
    body(&mut t, subject, &steps)?;
    let head = head(case, subject, rule, file);
    Some(assemble(&t, subject, &head, ""))
}

/// Whether the operation means in a C program what it means here.
fn can_be_said(op: &Op) -> bool {
    match op.call {
        Call::FailRaw | Call::FailArena | Call::ShiftArena | Call::Thread => false,
        Call::Under => life::can_be_said(op),
        Call::FailSyscall => Failing::of(op).is_none_or(|failing| failing.which != Which::Some),
        _ => true,
    }
}

/// Adds the statements of `main`. `None` if the evidence cannot be had from C.
fn body(t: &mut Translator<'_>, subject: &SubjectInfo, steps: &[Step]) -> Option<()> {
    let case = t.case;
    // The second of several system calls, and all later ones, may be other ones in a process that began in another way.
    let later = case.program.ops.iter().filter_map(Failing::of);
    if let Some(last) = later
        .map(|failing| failing.number)
        .max()
        .filter(|&last| last > 1)
    {
        t.need(Need::TryEach);
        t.line(format!("try_each({});", MOST_TRIED.max(2 * last)));
    }
    match &case.finding.evidence {
        Evidence::Library { .. } => return ask_providers(t, subject),
        Evidence::Growth { .. } => {
            t.need(Need::Start);
            t.line("start = memory(1);");
        }
        Evidence::Died {
            death: Death::Exit { .. },
            ..
        } => run_in_child(t),
        _ if life::is_mute(case.finding.rule) => run_in_child(t),
        // What damages blocks may damage the allocator's own books first, in a process that began in another way.
        Evidence::Died { .. }
        | Evidence::BadAddress { .. }
        | Evidence::Foreign { .. }
        | Evidence::Overlap { .. }
        | Evidence::Contents { .. }
        | Evidence::NotZero { .. }
        | Evidence::NotDiscarded { .. } => {
            t.need(Need::Signals);
            // Where several are tried, a call before the one in question may be what dies for another.
            if !t.needs.contains(&Need::TryEach) {
                t.line("catch_signals();");
            }
        }
        // Nothing but an end of the process can be seen without an operation.
        _ if case.op().is_none() => return None,
        _ => (),
    }
    let can_throw = |op: &Op| match op.call.operator() {
        Some(form) => !form.deletes || case.finding.rule == RuleId::CxxDeleteNothrow,
        None => false,
    };
    if case.program.ops.iter().any(can_throw) {
        t.need(Need::Exceptions);
        t.line("catch_exceptions();");
    }
    if case.finding.rule == RuleId::UsableStable
        && let Some(op) = case.op()
    {
        t.keep_usable_of(op.slot);
    }
    for &step in steps {
        add_step(t, step)?;
    }
    life::end_child(t);
    Some(())
}

/// Adds a step. `None` if it is the guilty one and its evidence cannot be had from C.
fn add_step(t: &mut Translator<'_>, step: Step) -> Option<()> {
    let case = t.case;
    let ops = &case.program.ops;
    match step {
        Step::One(index) if index == case.finding.op_index => {
            t.line("/* The operation in question. */");
            if t.needs.contains(&Need::TryEach) && t.needs.contains(&Need::Signals) {
                t.line("catch_signals();");
            }
            return decisive::decide(t, index, &ops[index]).then_some(());
        }
        Step::One(index) => {
            t.plain(index, &ops[index]);
            if Some(index) == measured_against(case) {
                t.remember_whether_given(&ops[index]);
            }
        }
        Step::Run {
            first,
            length,
            stride,
        } => {
            let run = first..first + length;
            let apart = measured_against(case).is_some_and(|index| run.contains(&index));
            if t.is_uniform(first, &ops[run.clone()]) && !apart {
                t.run(first, &ops[run], stride);
            } else {
                for index in run {
                    add_step(t, Step::One(index))?;
                }
            }
        }
        Step::Loop(times) => t.open(format!("for (long turn = 0; turn < {times}; turn++)")),
        Step::End => t.close(),
    }
    Some(())
}

/// The allocation that the guilty operation had to do as well as.
fn measured_against(case: &Case) -> Option<usize> {
    let guilty = case.op()?;
    let before = &case.program.ops[..case.finding.op_index];
    match guilty.expect {
        Expect::AsBefore => before
            .iter()
            .rposition(|op| op.call.allocates() || op.call.reallocates()),
        Expect::AsEarlier => {
            let mut limited = false;
            let mut last = None;
            for (index, op) in before.iter().enumerate() {
                if op.call == Call::Limit {
                    limited = op.a != 0;
                } else if !limited && op.asks_the_same(guilty) {
                    last = Some(index);
                }
            }
            last
        }
        _ => None,
    }
}

/// Runs the rest in a child, since the subject ends its process.
fn run_in_child(t: &mut Translator<'_>) {
    t.need(Need::Child);
    t.line("int status = 0;");
    t.line("if (fork() > 0) {");
    t.line("    wait(&status);");
    t.line("    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)");
    t.line("        not_shown();");
    t.line("    broken(\"the process ended itself: wait status %#x\", status);");
    t.line("}");
}

/// Asks who provides the entry points that the rule is about.
fn ask_providers(t: &mut Translator<'_>, subject: &SubjectInfo) -> Option<()> {
    if commands::is_linked(subject) {
        return None;
    }
    // Those in question, each with one that has to come from where it does.
    let foreign = subject
        .entry_points
        .iter()
        .filter(|point| matches!(point.provider, Provider::Other(_)))
        .map(|point| point.name);
    let pairs: Vec<(&str, &str)> = match t.case.finding.rule {
        RuleId::InterposeCore | RuleId::InterposeComplete => {
            foreign.map(|name| (name, "malloc")).collect()
        }
        RuleId::CxxPairComplete => sized_alone(subject).collect(),
        _ => return None,
    };
    t.need(Need::Provider);
    for (name, other) in pairs {
        t.line(format!(
            "if (strcmp(provider(\"{name}\"), provider(\"{other}\")) != 0)"
        ));
        t.line(format!(
            "    broken(\"{name} is from %s, {other} from %s\", provider(\"{name}\"), provider(\"{other}\"));"
        ));
    }
    Some(())
}

/// The plain forms of `operator delete` that the subject lacks though it has those with a size, each with that.
fn sized_alone(subject: &SubjectInfo) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = |name: &str| {
        let mut points = subject.entry_points.iter();
        points.any(|point| point.name == name && point.provider == Provider::Subject)
    };
    let sized = Call::ALL.iter().filter_map(|call| {
        let form = call.operator().filter(|form| form.sized)?;
        Some((form.plain_delete().entry_point()?, call.entry_point()?))
    });
    sized.filter(move |(plain, sized)| own(sized) && !own(plain))
}

/// What has a program run before the constructors of the libraries that are loaded with it.
const BEFORE_CONSTRUCTORS: &str = r#"
__attribute__((section(".preinit_array"), used))
static void (*const first)(void) = early;

int main(void)
{
}
"#;

/// What is broken, and how to see it, as a comment.
fn head(case: &Case, subject: &SubjectInfo, rule: &Rule, file: &Path) -> String {
    let Contrast { expected, found } = contrast(case);
    let mut lines = vec![format!("{}: {}", rule.id, rule.title), String::new()];
    lines.extend(wrap(&rule.statement, WIDTH));
    lines.extend(wrap(&rule.sources.join("; "), WIDTH));
    lines.push(String::new());
    if !expected.is_empty() {
        lines.extend(wrap(&format!("Expected: {expected}."), WIDTH));
    }
    lines.extend(wrap(&format!("Found: {found}."), WIDTH));
    lines.push(String::new());
    lines.push(commands::compile_and_run(subject, file));
    lines.push("prints what is broken and exits with status 1, or 0 if it does not show.".into());

    let mut text = String::from("/*\n");
    for line in lines {
        // A path or a message may hold the end of a comment, or the start of one.
        let line = line.replace("*/", "* /").replace("/*", "/ *");
        text.push_str(format!(" * {line}").trim_end());
        text.push('\n');
    }
    text + " */\n"
}

/// The whole text, with `functions` before `main`.
fn assemble(t: &Translator<'_>, subject: &SubjectInfo, head: &str, functions: &str) -> String {
    let looked_up: Vec<&Function> = t
        .functions
        .iter()
        .filter(|f| f.is_looked_up(subject))
        .collect();
    let mut headers = BTreeSet::from([
        "errno.h", "stdarg.h", "stdint.h", "stdio.h", "stdlib.h", "unistd.h",
    ]);
    headers.extend(t.needs.iter().flat_map(|need| need.headers()));
    headers.extend(t.functions.iter().filter_map(|function| function.header()));
    if !looked_up.is_empty() {
        headers.insert("dlfcn.h");
    }

    let mut text = format!("{head}#define _GNU_SOURCE\n");
    for header in headers {
        text.push_str(&format!("#include <{header}>\n"));
    }
    if !t.functions.is_empty() {
        text.push_str(
            "\n/* Called through volatile pointers, so that no compiler knows what they do. */\n",
        );
    }
    for function in &t.functions {
        text.push_str(&function.declaration(subject));
    }
    let mut variables = t.slot_variables();
    if t.mentions("q") {
        variables.push_str("static void *q;\n");
    }
    let (needed, helpers): (Vec<Need>, Vec<Need>) =
        t.needs.iter().partition(|need| need.is_variable());
    variables.extend(needed.iter().map(|need| need.text()));
    if !variables.is_empty() {
        text.push('\n');
        text.push_str(&variables);
    }
    text.push_str(VOICE);
    text.extend(helpers.iter().map(|need| need.text()));

    text.push_str(functions);
    let early = t.case.program.is_in_constructor();
    text.push_str(match early {
        true => "\nstatic void early(void)\n{\n",
        false => "\nint main(void)\n{\n",
    });
    for function in looked_up {
        text.push_str(&format!(
            "    {}\n    {}\n",
            function.lookup(),
            function.demand()
        ));
    }
    for line in t.lines() {
        text.push_str(line);
        text.push('\n');
    }
    let end = if t.needs.contains(&Need::Child) || t.needs.contains(&Need::TryEach) {
        "_exit(77)"
    } else {
        "not_shown()"
    };
    text.push_str(&format!("    {end};\n}}\n"));
    if early {
        text.push_str(BEFORE_CONSTRUCTORS);
    }
    text
}
