//! Text to programs and back.

use super::input;
use crate::program::{Program, Vocabulary, begins_as_trace};

/// Reads any bytes as a trace, and if they begin otherwise also as records. A program that comes of it is written and
/// read again.
///
/// # Panics
///
/// When it is not the same program then, or is not legal.
pub fn trace(bytes: &[u8]) {
    let parsed = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| Program::parse(text).ok());
    if let Some(program) = &parsed {
        comes_back(program);
    }
    if !begins_as_trace(bytes) {
        comes_back(&input::decode(bytes, &Vocabulary::default()));
    }
}

fn comes_back(program: &Program) {
    assert_eq!(program.check(), Ok(()), "{program}");
    let text = program.to_string();
    assert_eq!(Program::parse(&text).as_ref(), Ok(program), "{text}");
}
