//! The blocks around the one in question as bars in a terminal, drawn to scale.

use super::document::{Block, HeapMap};
use super::words::{address, bytes};

/// How wide the drawing is at most and at least, without addresses and notes.
const WIDTH: usize = 44;
const LEAST_WIDTH: usize = 12;
/// Blocks drawn at most, those in question included.
const BLOCKS: usize = 4;

/// The blocks after the guilty operation as bars, the guilty one last, and the bytes in question, in lines of at most
/// `room` columns where the labels of the bars permit it; nothing if that is too little.
pub fn draw(map: &HeapMap, room: usize) -> Vec<String> {
    let Some(frame) = map.frames.last() else {
        return Vec::new();
    };
    let mark = &map.mark;
    let mut blocks: Vec<&Block> = frame.blocks.iter().collect();
    blocks.sort_by_key(|block| (!block.guilty, block.address.abs_diff(mark.address)));
    blocks.truncate(BLOCKS);
    blocks.sort_by_key(|block| (block.guilty, block.address));
    let end = |block: &Block| block.address.saturating_add(block.size);
    let marked = mark.address.saturating_add(mark.size);
    let start = blocks.iter().map(|block| block.address).min();
    let start = start.unwrap_or(mark.address).min(mark.address);
    let stop = blocks.iter().map(|&block| end(block)).max();
    let span = stop
        .unwrap_or(marked)
        .max(marked)
        .saturating_sub(start)
        .max(1);

    let labels: Vec<String> = blocks.iter().map(|block| address(block.address)).collect();
    let label_width = labels.iter().map(String::len).max().unwrap_or_default();
    // What two blocks share is seen where they are; one byte, or a place between bytes, needs an arrow.
    let beside = mark.size > 1;
    let note = if beside {
        format!("   {}", mark.what)
    } else {
        String::new()
    };
    let scale = room.saturating_sub(label_width + 1 + note.len()).min(WIDTH);
    if scale < LEAST_WIDTH {
        return Vec::new();
    }
    let column = |at: u64| (u128::from(at - start) * scale as u128 / u128::from(span)) as usize;

    let mut lines: Vec<String> = blocks
        .iter()
        .zip(&labels)
        .map(|(block, label)| {
            let (from, to) = (column(block.address), column(end(block)));
            format!("{label:label_width$} {:from$}{}", "", bar(block, to - from))
        })
        .collect();
    if beside {
        let lengths = lines.iter().map(|line| line.chars().count());
        let width = lengths.max().unwrap_or_default();
        if let Some(last) = lines.last_mut() {
            let missing = width - last.chars().count();
            last.push_str(&format!("{:missing$}{note}", ""));
        }
    } else {
        let at = column(mark.address).min(scale - 1);
        lines.push(format!("{:label_width$} {:at$}▲ {}", "", "", mark.what));
    }
    lines
}

/// `├── p0 100 B ──┤`, or a short bar with its label beside it.
fn bar(block: &Block, columns: usize) -> String {
    let label = format!(" {} {} ", block.owner, bytes(block.size));
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
    use crate::report::document::{Frame, Mark};

    fn block(owner: &str, address: u64, size: u64, guilty: bool) -> Block {
        Block {
            owner: owner.into(),
            address,
            size,
            guilty,
        }
    }

    fn drawn(blocks: Vec<Block>, address: u64, size: u64, what: &str) -> Vec<String> {
        let frame = Frame {
            operation: "p1 = malloc 100".into(),
            blocks,
        };
        let map = HeapMap {
            start: 0,
            size: 1 << 20,
            frames: vec![frame],
            mark: Mark {
                address,
                size,
                what: what.into(),
            },
        };
        draw(&map, 90)
    }

    /// The map of two blocks that share so many bytes from the start of the second on.
    fn overlap(older: (u64, u64), newer: (u64, u64), common: u64) -> Vec<String> {
        let blocks = vec![
            block("p0", older.0, older.1, false),
            block("p1", newer.0, newer.1, true),
        ];
        drawn(blocks, newer.0, common, &format!("overlap: {common} B"))
    }

    #[test]
    fn equal_blocks_have_equal_bars() {
        assert_eq!(
            overlap((0x1040, 100), (0x1040, 100), 100),
            [
                "0x1040 ├──────────────── p0 100 B ────────────────┤",
                "0x1040 ├──────────────── p1 100 B ────────────────┤   overlap: 100 B",
            ]
        );
    }

    #[test]
    fn bars_start_where_blocks_start() {
        assert_eq!(
            overlap((0x1000, 64), (0x1030, 64), 16),
            [
                "0x1000 ├─────── p0 64 B ───────┤",
                "0x1030                   ├─────── p1 64 B ────────┤   overlap: 16 B",
            ]
        );
    }

    #[test]
    fn a_byte_has_an_arrow() {
        let lines = drawn(
            vec![block("p0", 0x1000, 100, true)],
            0x1000 + 75,
            1,
            "byte 75",
        );
        assert_eq!(
            lines,
            [
                "0x1000 ├──────────────── p0 100 B ────────────────┤",
                "                                        ▲ byte 75",
            ]
        );
    }

    #[test]
    fn the_longest_and_the_shortest_blocks_fit() {
        let lines = overlap((0x1000, u64::MAX), (0x1000, 0), 0);
        assert!(lines[0].ends_with('┤'), "{}", lines[0]);
        assert_eq!(lines[1], "0x1000 │ p1 0 B");
        let lines = overlap((0x1000, 1 << 20), (0x1000, 1), 1);
        assert_eq!(lines[1].split("   ").next(), Some("0x1000 ├┤ p1 1 B"));
    }
}
