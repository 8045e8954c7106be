//! Numbers, names and texts as they stand in every report.

use std::fmt::Write as _;
use std::time::Duration;

/// `83114902` as `83,114,902`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes, exactly: `1,048,576 B`.
pub fn bytes(number: u64) -> String {
    format!("{} B", thousands(number))
}

/// A number of bytes, rounded: `63.9 MiB`.
pub fn amount(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 10 * 1024 {
        return bytes(number);
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 rule`, `2 rules`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number as u64))
}

/// A duration at the precision people care for: `10.1 s`, `83 ms`.
pub fn seconds(duration: Duration) -> String {
    if duration < Duration::from_millis(950) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// An address: `0x7f31c4001040`.
pub fn address(value: u64) -> String {
    format!("{value:#x}")
}

/// An address, or `NULL`.
pub fn pointer(value: u64) -> String {
    if value == 0 {
        "NULL".to_owned()
    } else {
        address(value)
    }
}

/// The name of an error number, if it has one that an allocator is likely to set.
pub fn errno_name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EINTR => "EINTR",
        libc::EIO => "EIO",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EINVAL => "EINVAL",
        libc::ENFILE => "ENFILE",
        libc::EMFILE => "EMFILE",
        libc::ENOTTY => "ENOTTY",
        libc::ENOSPC => "ENOSPC",
        libc::ERANGE => "ERANGE",
        libc::EDOM => "EDOM",
        libc::ENOSYS => "ENOSYS",
        libc::EOVERFLOW => "EOVERFLOW",
        libc::ENOTSUP => "ENOTSUP",
        _ => return None,
    })
}

/// An error number with its name: `ENOMEM (12)`, or the bare number.
pub fn errno(number: i32) -> String {
    match errno_name(number) {
        Some(name) => format!("{name} ({number})"),
        None => number.to_string(),
    }
}

/// The name of a signal that ends a process.
pub fn signal(number: i32) -> String {
    let name = match number {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGABRT => "SIGABRT",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

/// A text from the subject on one line, with nothing in it that a terminal would obey.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\t' => line.push(' '),
            c if c.is_control() => {
                let _ = write!(line, "\\x{:02x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

/// The text broken into lines of at most `width` characters between words. A longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += word_length;
    }
    if length > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// How many columns are left for a text beside what stands before it; `None` if so few that it is better put below.
pub fn beside(width: usize, before: usize) -> Option<usize> {
    const LEAST: usize = 20;
    width.checked_sub(before).filter(|&left| left >= LEAST)
}

/// The argument as a POSIX shell reads it back.
pub fn shell(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1000), "1,000");
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(amount(100), "100 B");
        assert_eq!(amount(67_000_000), "63.9 MiB");
        assert_eq!(amount(u64::MAX), "16.0 EiB");
        assert_eq!(count(1, "rule"), "1 rule");
        assert_eq!(count(2, "rule"), "2 rules");
        assert_eq!(seconds(Duration::from_millis(83)), "83 ms");
        assert_eq!(seconds(Duration::from_millis(10_080)), "10.1 s");
    }

    #[test]
    fn a_subject_cannot_speak_to_the_terminal() {
        assert_eq!(printable("a\x1b[31m\nb\r\n"), r"a\x1b[31m\nb");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrap("incomprehensible is long", 4),
            ["incomprehensible", "is", "long"]
        );
        assert_eq!(wrap("", 7), [""]);
    }

    #[test]
    fn arguments_survive_a_shell() {
        assert_eq!(shell("./lib.so"), "./lib.so");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell(""), "''");
    }
}
