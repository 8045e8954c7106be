//! The built-in allocators by name: those with a seeded fault, that prove the checks, and the sound but odd ones, that
//! prove the absence of false alarms.

use super::faulty::{self, Variant};
use super::{reference, threaded};
use crate::pymalloc;
use crate::spec::RuleId;

/// A built-in allocator that is not the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The small allocator of the C family with this fault.
    Faulty(faulty::Fault),
    /// The small allocator of the C family, sound.
    Sound(Variant),
    /// The allocator for several threads with this fault.
    Threaded(threaded::Fault),
    /// The reference with this fault.
    Reference(pymalloc::Fault),
}

impl Mutant {
    /// Every allocator with a seeded fault, in the order of the rules they break.
    pub fn seeded() -> impl Iterator<Item = Mutant> {
        let c_family = faulty::Fault::ALL
            .iter()
            .map(|&fault| Mutant::Faulty(fault));
        let threaded = threaded::Fault::ALL
            .iter()
            .map(|&fault| Mutant::Threaded(fault));
        c_family.chain(threaded).chain(
            pymalloc::Fault::ALL
                .iter()
                .map(|&fault| Mutant::Reference(fault)),
        )
    }

    /// Every sound one.
    pub fn sound() -> impl Iterator<Item = Mutant> {
        Variant::ALL.iter().map(|&variant| Mutant::Sound(variant))
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Mutant> {
        Mutant::seeded()
            .chain(Mutant::sound())
            .find(|mutant| mutant.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mutant::Faulty(fault) => fault.name(),
            Mutant::Threaded(fault) => fault.name(),
            Mutant::Reference(fault) => fault.name(),
            Mutant::Sound(variant) => variant.name(),
        }
    }

    /// What is wrong with it, or odd, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Mutant::Faulty(fault) => fault.description(),
            Mutant::Threaded(fault) => fault.description(),
            Mutant::Reference(fault) => fault.description(),
            Mutant::Sound(_) => "nothing is wrong with it",
        }
    }

    /// The rule whose check must find it; none if it is sound, or if no rule speaks of what is wrong with it.
    pub fn rule(self) -> Option<RuleId> {
        match self {
            Mutant::Faulty(fault) => Some(fault.rule()),
            Mutant::Threaded(fault) => Some(fault.rule()),
            Mutant::Reference(fault) => reference::breaks(fault),
            Mutant::Sound(_) => None,
        }
    }

    /// Rules that it cannot but break together with its own: what goes wrong there follows from the fault.
    pub fn consequences(self) -> &'static [RuleId] {
        match self {
            Mutant::Faulty(fault) => fault.consequences(),
            Mutant::Threaded(fault) => fault.consequences(),
            Mutant::Sound(_) => &[],
            Mutant::Reference(fault) => reference::consequences(fault),
        }
    }

    /// Whether it is the reference with a fault, so that it is spoken to as CPython's allocators are.
    pub fn is_of_reference(self) -> bool {
        matches!(self, Mutant::Reference(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Catalogue;
    use std::collections::BTreeSet;

    #[test]
    fn the_catalogue_lists_the_mutants_of_each_rule() {
        for rule in Catalogue::embedded().rules() {
            let listed: BTreeSet<&str> = rule.mutants.iter().map(String::as_str).collect();
            let seeded = Mutant::seeded().filter(|mutant| mutant.rule() == Some(rule.id));
            let seeded: BTreeSet<&str> = seeded.map(Mutant::name).collect();
            assert_eq!(listed, seeded, "{}", rule.id);
        }
    }

    #[test]
    fn a_name_is_one_mutant() {
        let names: Vec<&str> = Mutant::seeded()
            .chain(Mutant::sound())
            .map(Mutant::name)
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
