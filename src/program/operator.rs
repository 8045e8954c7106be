//! The C++ operators `new` and `delete`: which forms there are, and which undoes which.

use super::op::Call;

/// What tells the forms of an operator apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Whether it is a `delete`.
    pub deletes: bool,
    /// Whether it is of arrays: `new[]`, `delete[]`.
    pub array: bool,
    /// Whether it is told the alignment.
    pub aligned: bool,
    /// Whether it is a `delete` that is told the size.
    pub sized: bool,
    /// Whether it takes `std::nothrow`, so that a `new` returns a null pointer where the others throw.
    pub nothrow: bool,
}

/// The first `new`, the first `delete` and the one past the last, as numbers of [`Call`]: all stand together.
const NEWS: usize = Call::New as usize;
const DELETES: usize = Call::Delete as usize;
const END: usize = Call::DeleteArrayAlignedNothrow as usize + 1;

/// How many forms there are.
pub const FORMS: usize = END - NEWS;

/// The symbols of the forms on 64-bit systems (Itanium C++ ABI, 5.1), in the order of [`Call`].
pub const SYMBOLS: [&str; FORMS] = [
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
];

impl Call {
    /// The form of the operator that the call is, if it is one.
    pub const fn operator(self) -> Option<Operator> {
        let number = self as usize;
        if number < NEWS || number >= END {
            return None;
        }
        let deletes = number >= DELETES;
        // Plain, nothrow, aligned, both; and of deletes plain, sized, nothrow, and the same with an alignment.
        let pair = (number - if deletes { DELETES } else { NEWS }) / 2;
        let (aligned, sized, nothrow) = if deletes {
            (pair >= 3, pair % 3 == 1, pair % 3 == 2)
        } else {
            (pair >= 2, false, pair % 2 == 1)
        };
        Some(Operator {
            deletes,
            array: number % 2 != NEWS % 2,
            aligned,
            sized,
            nothrow,
        })
    }

    /// Whether the call is an `operator new`.
    #[inline]
    pub const fn is_new(self) -> bool {
        NEWS <= self as usize && (self as usize) < DELETES
    }

    /// Whether the call is an `operator delete`.
    #[inline]
    pub const fn is_delete(self) -> bool {
        DELETES <= self as usize && (self as usize) < END
    }

    /// Whether the call is an `operator new` that is told the alignment.
    #[inline]
    pub const fn is_aligned_new(self) -> bool {
        Call::NewAligned as usize <= self as usize && (self as usize) < DELETES
    }

    /// The place of an operator among all forms, from 0.
    pub const fn form(self) -> Option<usize> {
        match self.operator() {
            Some(_) => Some(self as usize - NEWS),
            None => None,
        }
    }

    /// For an `operator new` the `delete` of what it made that is told nothing it need not be.
    pub fn plain_delete(self) -> Option<Call> {
        let new = self.operator().filter(|form| !form.deletes);
        new.map(Operator::plain_delete)
    }

    /// The operator of this symbol.
    pub fn of_symbol(symbol: &str) -> Option<Call> {
        let form = SYMBOLS.iter().position(|&known| known == symbol)?;
        Call::from_u8((NEWS + form) as u8)
    }
}

impl Operator {
    /// The place of the form in [`SYMBOLS`].
    pub const fn place(self) -> usize {
        let pair = if self.deletes {
            (DELETES - NEWS) / 2
                + 3 * self.aligned as usize
                + self.sized as usize
                + 2 * self.nothrow as usize
        } else {
            2 * self.aligned as usize + self.nothrow as usize
        };
        2 * pair + self.array as usize
    }

    /// Whether this `delete` is for what that `new` made.
    pub const fn undoes(self, new: Operator) -> bool {
        self.deletes && !new.deletes && self.array == new.array && self.aligned == new.aligned
    }

    /// The `delete` for what this `new` made, or in place of this `delete`, that is told nothing it need not be.
    pub const fn plain_delete(self) -> Call {
        match (self.array, self.aligned) {
            (false, false) => Call::Delete,
            (true, false) => Call::DeleteArray,
            (false, true) => Call::DeleteAligned,
            (true, true) => Call::DeleteArrayAligned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_what_its_symbol_and_its_name_say() {
        let forms: Vec<Call> = Call::ALL
            .iter()
            .copied()
            .filter(|call| call.operator().is_some())
            .collect();
        assert_eq!(forms.len(), FORMS);
        for (form, &call) in forms.iter().enumerate() {
            assert_eq!(call.form(), Some(form));
            assert_eq!(call.operator().map(Operator::place), Some(form));
            let symbol = SYMBOLS[form];
            assert_eq!(Call::of_symbol(symbol), Some(call));
            assert_eq!(call.entry_point(), Some(symbol));
            let operator = call.operator().expect("an operator");
            let delete = symbol.starts_with("_Zd");
            let word = call.as_str();
            for (told, symbol, word) in [
                (operator.deletes, delete, word.starts_with("delete")),
                (
                    operator.array,
                    symbol[3..].starts_with('a'),
                    word.contains("[]"),
                ),
                (
                    operator.aligned,
                    symbol.contains("align"),
                    word.contains("aligned"),
                ),
                (
                    operator.nothrow,
                    symbol.contains("nothrow"),
                    word.ends_with("nothrow"),
                ),
                (
                    operator.sized,
                    delete && symbol[6..].starts_with('m'),
                    word.contains("sized"),
                ),
            ] {
                assert_eq!((told, told), (symbol, word), "{call:?}");
            }
            assert_eq!(call.is_new(), !delete);
            assert_eq!(call.is_delete(), delete);
            assert_eq!(call.is_aligned_new(), !delete && operator.aligned);
        }
        assert_eq!(Call::Malloc.operator(), None);
        assert_eq!(Call::of_symbol("malloc"), None);
    }

    #[test]
    fn every_new_is_undone_by_three_deletes() {
        let operators = || Call::ALL.iter().filter_map(|call| call.operator());
        for new in operators().filter(|operator| !operator.deletes) {
            assert_eq!(operators().filter(|delete| delete.undoes(new)).count(), 3);
            let plain = new.plain_delete().operator().expect("an operator");
            assert!(plain.undoes(new) && !plain.sized && !plain.nothrow);
        }
    }
}
