use super::*;
use proptest::prelude::*;

const EVERY_FORM: &str = "\
# allocspec trace 1
# rule realloc-fail-keeps
p0 = malloc 100
p1 = calloc 10 20
p0 = realloc p0 200
p2 = realloc null 200
p2 = reallocarray p2 3 8 expect same pointer
p3 = reallocarray null 3 8 expect pointer
free p0
free null
free_sized p1
free_sized null 8
p0 = aligned_alloc 64 100
free_aligned_sized p0
free_aligned_sized null 64 8
p4 = posix_memalign 64 100 expect as before
p5 = memalign 64 100
p6 = valloc 1
p7 = pvalloc 1
usable p7
usable null
stretch p7
p40 = reallocf null 100
p40 = reallocf p40 200
p40 = recallocarray p40 3 8
p41 = recallocarray null 3 8
freezero p41
freezero null 8
p42 = new 100
delete p42
p42 = new[] 100
delete[] p42
p42 = new_nothrow 100 expect pointer
delete_nothrow p42
p42 = new[]_nothrow 100
delete[]_nothrow p42
p42 = new_aligned 64 100
delete_aligned p42
p42 = new[]_aligned 64 100
delete[]_aligned p42
p42 = new_aligned_nothrow 64 100
delete_aligned_nothrow p42
p42 = new[]_aligned_nothrow 64 100
delete[]_aligned_nothrow p42
delete null
delete_sized null 8
delete[]_sized null 8
delete_sized_aligned null 64 8
delete[]_sized_aligned null 64 8
delete_aligned_nothrow null 64
trim 0
sweep
p8 = malloc 18446744073709551615 expect NULL
p9 = malloc 8
p9 = realloc p9 9 expect other pointer
free p9
repeat 1000 x 3
limit 67108864
limit none
bounded 1048576
fail raw 1
fail arena 0
shift arena 4112
fail syscall any 1
fail syscall mmap from 2
fail syscall brk some 7
fail syscall none
sample 1000
steady 524288
fork
wait
under threads 4
under signals 100
under closed descriptors
under no proc
under exit
schedule shaken 7
thread 2
p10 = malloc 1
at exit
free p10
join
schedule in order
schedule free
under cancellation
";

#[test]
fn every_form_prints_as_it_was_read() {
    let program = Program::parse(EVERY_FORM).unwrap();
    assert_eq!(program.rule, Some(RuleId::ReallocFailKeeps));
    assert_eq!(program.to_string(), EVERY_FORM);
    let used: std::collections::BTreeSet<_> = program.ops.iter().map(|op| op.call).collect();
    assert_eq!(used.len(), Call::ALL.len(), "every call has a form here");
}

#[test]
fn comments_and_blank_lines_are_accepted() {
    let text = "# allocspec trace 1\r\n#\n# rule disjoint: why\n\n  p0 = malloc 7 # seven\n# rule of thumb\nfree p0";
    let program = Program::parse(text).unwrap();
    assert_eq!(program.rule, Some(RuleId::Disjoint));
    assert_eq!(program.ops.len(), 2);
}

#[test]
fn what_is_wrong_is_said_with_the_line() {
    for (text, line, message) in [
        ("", 1, "the first line of a trace"),
        ("p0 = malloc 1", 1, "the first line of a trace"),
        (
            "# allocspec trace 1\n# rule nonsense: x",
            2,
            "no rule is named `nonsense`",
        ),
        (
            "# allocspec trace 1\n# rule disjoint\n# rule disjoint",
            3,
            "already",
        ),
        ("# allocspec trace 1\nfree p0", 2, "p0 holds no block"),
        (
            "# allocspec trace 1\np0 = malloc 1\np0 = malloc 1",
            3,
            "already holds a block",
        ),
        (
            "# allocspec trace 1\np0 = malloc 1\np0 = realloc null 1",
            3,
            "`p0 = realloc p0 …`",
        ),
        (
            "# allocspec trace 1\np0 = realloc p0 1",
            2,
            "`p0 = realloc null …`",
        ),
        (
            "# allocspec trace 1\np0 = malloc -1",
            2,
            "not a decimal number",
        ),
        (
            "# allocspec trace 1\np0 = malloc +1",
            2,
            "not a decimal number",
        ),
        (
            "# allocspec trace 1\np0 = malloc 18446744073709551616",
            2,
            "not a decimal number",
        ),
        (
            "# allocspec trace 1\np0 = calloc 1",
            2,
            "a number is missing",
        ),
        (
            "# allocspec trace 1\np0 = malloc 1 2",
            2,
            "one word too many",
        ),
        (
            "# allocspec trace 1\np0 = malloc 1 expect wonders",
            2,
            "one can expect",
        ),
        ("# allocspec trace 1\nmalloc 1", 2, "the block needs a slot"),
        (
            "# allocspec trace 1\np0 malloc 1",
            2,
            "write `p0 = malloc 100`",
        ),
        (
            "# allocspec trace 1\np0 = free 1",
            2,
            "not a call that returns a block",
        ),
        ("# allocspec trace 1\nfrobnicate", 2, "not an operation"),
        ("# allocspec trace 1\nfree q", 2, "write `free p0`"),
        (
            "# allocspec trace 1\np4294967295 = malloc 1",
            2,
            "out of range",
        ),
        (
            "# allocspec trace 1\np1048576 = malloc 1",
            2,
            "out of range",
        ),
        ("# allocspec trace 1\nlimit 0", 2, "limit none"),
        ("# allocspec trace 1\nfail mmap 1", 2, "fail raw 1"),
        (
            "# allocspec trace 1\nfail syscall mmap 0",
            2,
            "fail syscall",
        ),
        ("# allocspec trace 1\nfail syscall open 1", 2, "mprotect"),
        (
            "# allocspec trace 1\nrepeat 2 times 3",
            2,
            "repeat 1000 x 2",
        ),
        (
            "# allocspec trace 1\np0 = malloc 1\nrepeat 2 x 1",
            3,
            "must return to the slots",
        ),
        (
            "# allocspec trace 1\nsweep expect NULL",
            2,
            "returns no block",
        ),
    ] {
        let error = Program::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.message.contains(message), "{text:?}: {error}");
    }
}

/// Words that reach deep into the parser when strung together at random.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            "p0", "p1", "p2", "p1048575", "p4294967296", "null", "=", "expect", "x", "none", "raw", "arena",
            "syscall", "from", "any", "NULL", "as", "before", "pointer", "same", "limit", "fail", "shift", "#", "\n", "\n", "0", "1", "2",
            "64", "100", "p0 = malloc 8\n", "free p0\n", "repeat 2 x 1\n",
        ]).prop_map(str::to_owned),
        2 => proptest::sample::select(Call::ALL.to_vec()).prop_map(|call| call.as_str().to_owned()),
        1 => ".{0,6}",
    ]
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_cleanly(words in proptest::collection::vec(word(), 0..60)) {
        let text = format!("{HEADER}\n{}", words.join(" "));
        if let Ok(program) = Program::parse(&text) {
            prop_assert_eq!(program.check(), Ok(()));
            let again = Program::parse(&program.to_string());
            prop_assert_eq!(again, Ok(program));
        }
    }
}
