//! Operations and programs: what is asked of an allocator, independent of any allocator.

mod decode;
mod directed;
mod failing;
mod growing;
mod legal;
mod op;
mod operator;
mod plainer;
mod seeded;
mod shrink;
mod sizes;
mod threads;
mod trace;
mod under;
mod vectors;
mod vocabulary;

pub use decode::{Decoder, RECORD};
pub use directed::directed;
pub use failing::{Failing, Syscall, Which};
pub use legal::{Checker, Illegal, MAX_OPS, MAX_REPEATED, MAX_SLOTS};
pub use op::{Call, Expect, NO_SLOT, Op, Program, Slot};
pub use operator::{FORMS, Operator, SYMBOLS};
pub use plainer::TOLD;
pub use seeded::SplitMix;
pub use shrink::{Measure, Reducer};
pub use threads::{MAX_ROUNDS, MAX_THREADS, Schedule, Section, Step, Whose, sections, whose};
pub use trace::{Line, TraceError, begins_as_trace};
pub use under::{Condition, Under};
pub use vectors::vectors;
pub use vocabulary::{Calls, Vocabulary};
