//! A line for each of two blocks that share bytes, drawn to scale.

use super::evidence::shared;
use super::words::{address, bytes};

/// How wide the drawing is at most and at least, without addresses and notes.
const WIDTH: usize = 44;
const LEAST_WIDTH: usize = 12;

/// A block in the drawing.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Where it starts.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Two blocks as bars, the older first, and how much they share, in lines of at most `room` columns where the labels of
/// the bars permit it; nothing if that is too little.
pub fn draw(older: Block<'_>, newer: Block<'_>, room: usize) -> Vec<String> {
    let start = older.address.min(newer.address);
    let end = |block: &Block<'_>| block.address.saturating_add(block.size);
    let span = end(&older).max(end(&newer)).saturating_sub(start).max(1);
    let labels = [older, newer].map(|block| address(block.address));
    let label_width = labels.iter().map(String::len).max().unwrap_or_default();
    let common = shared((older.address, older.size), (newer.address, newer.size));
    let note = match common {
        0 => String::new(),
        _ => format!("   overlap: {}", bytes(common)),
    };
    let scale = room.saturating_sub(label_width + 1 + note.len()).min(WIDTH);
    if scale < LEAST_WIDTH {
        return Vec::new();
    }
    let column = |at: u64| (u128::from(at - start) * scale as u128 / u128::from(span)) as usize;

    let mut lines: Vec<String> = [older, newer]
        .iter()
        .zip(&labels)
        .map(|(block, label)| {
            let (from, to) = (column(block.address), column(end(block)));
            format!("{label:label_width$} {:from$}{}", "", bar(block, to - from))
        })
        .collect();
    if !note.is_empty() {
        let width = lines
            .iter()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or_default();
        let last = &mut lines[1];
        let missing = width - last.chars().count();
        last.push_str(&format!("{:missing$}{note}", ""));
    }
    lines
}

/// `├── p0 100 B ──┤`, or a short bar with its label beside it.
fn bar(block: &Block<'_>, columns: usize) -> String {
    let label = format!(" {} {} ", block.name, bytes(block.size));
    let room = columns.saturating_sub(2);
    if block.size == 0 {
        return format!("│{}", label.trim_end());
    }
    match room.checked_sub(label.chars().count()) {
        Some(left) => {
            let before = "─".repeat(left / 2);
            let after = "─".repeat(left - left / 2);
            format!("├{before}{label}{after}┤")
        }
        None => format!("├{}┤{}", "─".repeat(room), label.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, address: u64, size: u64) -> Block<'_> {
        Block {
            name,
            address,
            size,
        }
    }

    #[test]
    fn equal_blocks_have_equal_bars() {
        let lines = draw(block("p0", 0x1040, 100), block("p1", 0x1040, 100), 90);
        assert_eq!(
            lines[0],
            "0x1040 ├──────────────── p0 100 B ────────────────┤"
        );
        assert_eq!(
            lines[1],
            "0x1040 ├──────────────── p1 100 B ────────────────┤   overlap: 100 B"
        );
    }

    #[test]
    fn bars_start_where_blocks_start() {
        let lines = draw(block("p0", 0x1000, 64), block("p1", 0x1030, 64), 90);
        assert_eq!(lines[0], "0x1000 ├─────── p0 64 B ───────┤");
        assert_eq!(
            lines[1],
            "0x1030                   ├─────── p1 64 B ────────┤   overlap: 16 B"
        );
    }

    #[test]
    fn the_longest_and_the_shortest_blocks_fit() {
        let lines = draw(block("p0", 0x1000, u64::MAX), block("p1", 0x1000, 0), 90);
        assert!(lines[0].ends_with('┤'), "{}", lines[0]);
        assert_eq!(lines[1], "0x1000 │ p1 0 B");
        let lines = draw(block("p0", 0x1000, 1 << 20), block("p1", 0x1000, 1), 90);
        assert_eq!(lines[1].split("   ").next(), Some("0x1000 ├┤ p1 1 B"));
    }
}
