//! Programs in this very process, one after another, each on a subject as good as new.
//!
//! For a fuzzer, which wants tens of thousands of programs a second and catches a death itself. A subject that ruins
//! the process ruins the harness: what is to survive that goes to a worker.

use crate::program::{Program, Vocabulary};
use crate::pymalloc::Geometry;
use crate::run::learn::Learned;
use crate::run::protocol::Found;
use crate::run::scope::{chosen_rules, profile, vocabulary};
use crate::run::supervisor::launch::{self, Located};
use crate::run::worker::resolve;
use crate::run::{CheckError, CheckOptions, Ending, Executor, Names, SubjectSpec};
use crate::shadow::{Case, Conduct, Finding, Ledger, LiveBlock, Muted, Shadow};
use crate::spec::{Level, Profile, RuleSet};
use crate::subject::{Native, Subject};
use std::path::Path;

/// A subject in this process, and what programs may say to it.
pub struct InProcess<S> {
    executor: Executor<'static, S>,
    ledger: &'static Ledger,
    conduct: Conduct,
    geometry: Geometry,
    vocabulary: Vocabulary,
    profile: Profile,
}

impl<S: Subject> InProcess<S> {
    /// A subject that is part of this program. The options say what is checked of it.
    ///
    /// # Errors
    ///
    /// When the options cannot be used, or there is no address space for a shadow.
    pub fn built_in(subject: S, options: &CheckOptions) -> Result<InProcess<S>, CheckError> {
        let found = resolve::built_in(&subject);
        InProcess::new(subject, &found, options)
    }

    fn new(
        subject: S,
        found: &[Found],
        options: &CheckOptions,
    ) -> Result<InProcess<S>, CheckError> {
        let kin = launch::kin(&options.subject);
        let profile = profile(options, kin.as_ref().map(|kin| kin.edition))?;
        // What is told as a warning must not stop a fuzzer.
        let stops = |level: Level| level != Level::Quality || options.strict;
        let rules: RuleSet = chosen_rules(options, &profile)?
            .iter()
            .filter(|&rule| profile.level(rule).is_some_and(stops))
            .collect();
        let mut info = launch::info("in process", "", None, String::new());
        info.entry_points = found.iter().filter_map(launch::entry_point).collect();
        let vocabulary = vocabulary(options, &profile, &info, kin.as_ref(), Learned::default());
        let conduct = Conduct {
            rules,
            muted: Muted::NONE,
            stores: true,
            closely: false,
        };
        // Subjects in this process are few, and live as long as it does.
        let ledger = Box::leak(Box::new(Ledger::new()));
        let geometry = kin.map(|kin| kin.edition).unwrap_or_default().geometry();
        let shadow = Shadow::new(ledger, conduct)
            .map_err(refused)?
            .of_layout(geometry);
        Ok(InProcess {
            executor: Executor::new(subject, shadow, ledger, u64::MAX),
            ledger,
            conduct,
            geometry,
            vocabulary,
            profile,
        })
    }

    /// What programs may say to the subject.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The profile whose rules are checked.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The rules that are checked.
    pub fn rules(&self) -> RuleSet {
        self.conduct.rules
    }

    /// Runs a program that the vocabulary permits. After every operation `watch` is given its position and the subject.
    ///
    /// After a finding or an error the subject is of no use until it was made to [`recover`](InProcess::recover) or
    /// [`abandon`](InProcess::abandon)ed.
    ///
    /// # Errors
    ///
    /// The first error of `watch`.
    pub fn run<E>(
        &mut self,
        program: &Program,
        watch: impl FnMut(usize, &S) -> Result<(), E>,
    ) -> Result<Option<Finding>, E> {
        match self.executor.run_watched(program, watch)? {
            Ending::Broken(finding) => Ok(Some(finding)),
            Ending::Finished => {
                self.executor.free_left();
                self.executor.renew(None);
                Ok(None)
            }
            Ending::Abandoned | Ending::OutOfTime => {
                self.abandon();
                Ok(None)
            }
        }
    }

    /// Frees what the last program left and starts anew. Only for subjects whose blocks can be freed whatever was found.
    pub fn recover(&mut self) {
        self.executor.free_left();
        self.abandon();
    }

    /// Starts anew, whatever the last program left.
    pub fn abandon(&mut self) {
        let shadow = self.shadow(false);
        self.executor.renew(Some(shadow));
    }

    /// Runs the program of a finding again for a closer look, which may lay the finding to an earlier operation.
    pub fn look_closely(&mut self, program: &Program, finding: Finding) -> Case {
        let shadow = self.shadow(true);
        self.executor.renew(Some(shadow));
        let (finding, reproduced) = match self.executor.run(program) {
            Ending::Broken(finding) => (finding, true),
            _ => (finding, false),
        };
        let shadow = self.executor.shadow();
        let live = shadow.live_blocks().map(|(slot, block)| LiveBlock {
            slot,
            address: block.address,
            size: block.requested,
        });
        Case {
            finding,
            program: program.clone(),
            outcomes: shadow.outcomes().to_vec(),
            live: live.collect(),
            phase: "in process".into(),
            reproduced,
            shown: None,
        }
    }

    /// A shadow that knows of nothing.
    fn shadow(&self, closely: bool) -> Shadow<'static> {
        let conduct = Conduct {
            closely,
            ..self.conduct
        };
        Shadow::new(self.ledger, conduct)
            .expect("there was address space for a shadow before")
            .of_layout(self.geometry)
    }
}

impl InProcess<Native> {
    /// The C library, or a shared library, which is opened with `dlopen` whatever its entry points are called.
    ///
    /// # Errors
    ///
    /// As [`built_in`](InProcess::built_in); also when the library cannot be loaded, and when the subject is not the
    /// kind that is opened.
    pub fn open(options: &CheckOptions) -> Result<InProcess<Native>, CheckError> {
        let (native, found) = match &options.subject {
            SubjectSpec::System => resolve::linked(None, &launch::plain_symbols()),
            SubjectSpec::Library { path, names, .. } => open(path, names)?,
            SubjectSpec::Reference(_)
            | SubjectSpec::Mutant(_)
            | SubjectSpec::Interpreter { .. } => {
                return Err(CheckError::Internal("nothing to open".into()));
            }
        };
        if !found
            .iter()
            .any(|found| found.own && found.name == "malloc")
        {
            return Err(CheckError::Internal(
                "the C library's malloc is not the one of this process".into(),
            ));
        }
        InProcess::new(native, &found, options)
    }
}

fn open(path: &Path, names: &Names) -> Result<(Native, Vec<Found>), CheckError> {
    let Located {
        full,
        file,
        symbols,
    } = launch::locate(path, names)?;
    resolve::opened(&full.to_string_lossy(), &file, &symbols).map_err(|reason| {
        CheckError::LoadFailed {
            path: path.to_owned(),
            reason,
        }
    })
}

fn refused(error: std::io::Error) -> CheckError {
    CheckError::Resources {
        what: "address space for a shadow",
        reason: error.to_string(),
    }
}
