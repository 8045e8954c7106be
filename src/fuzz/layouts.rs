//! The reference in every layout against its shadow.

use super::Pymalloc;
use crate::program::begins_as_trace;
use crate::pymalloc::{Build, Edition, Layout, Sound, Visitor};

/// A reference of any layout.
trait Target {
    fn run(&mut self, bytes: &[u8]) -> bool;
}

impl<L: Layout> Target for Pymalloc<Sound, L> {
    fn run(&mut self, bytes: &[u8]) -> bool {
        Pymalloc::run(self, bytes)
    }
}

/// The reference of every build that there was, each made when it is first asked for.
#[derive(Default)]
pub struct Layouts {
    targets: [Option<Box<dyn Target>>; Build::ALL.len()],
}

impl Layouts {
    /// Runs the program of an input: a trace in every layout, records in that which their first byte picks. Answers
    /// whether there is one.
    ///
    /// # Panics
    ///
    /// When a rule is broken, or an invariant does not hold.
    pub fn run(&mut self, bytes: &[u8]) -> bool {
        if begins_as_trace(bytes) {
            return (0..Build::ALL.len())
                .fold(false, |any, build| self.target(build).run(bytes) | any);
        }
        match bytes.split_first() {
            Some((&first, rest)) => self.target(usize::from(first) % Build::ALL.len()).run(rest),
            None => false,
        }
    }

    fn target(&mut self, index: usize) -> &mut dyn Target {
        struct Make(Edition);
        impl Visitor for Make {
            type Output = Box<dyn Target>;
            fn visit<L: Layout + 'static>(self) -> Box<dyn Target> {
                Box::new(Pymalloc::<Sound, L>::of_edition(self.0))
            }
        }
        let build = Build::ALL[index];
        let version = build.newest();
        let make = || build.visit(Make(Edition { version, build }));
        self.targets[index].get_or_insert_with(make).as_mut()
    }
}
