//! A heap map as SVG: bars for blocks, to scale, the bytes in question marked.

use crate::report::document::{Block, Frame, HeapMap};
use crate::report::words::{address, bytes};

/// The units across a picture.
const WIDTH: u64 = 440;
/// The height of a row, and of the bar in it.
const ROW: u64 = 26;
/// What a letter takes on a phone, where letters are largest.
const LETTER: u64 = 12;

/// The frames of one heap map.
pub struct Picture {
    pub width: u64,
    pub frames: Vec<FrameView>,
    pub mark: MarkView,
    pub what: String,
    pub from: String,
    pub to: String,
}

/// What is drawn of one frame.
pub struct FrameView {
    pub operation: String,
    pub bars: Vec<Bar>,
    pub height: u64,
    /// With room for what the mark is.
    pub full_height: u64,
    pub last: bool,
    /// The picture in words.
    pub description: String,
}

/// A block.
pub struct Bar {
    pub x: u64,
    pub y: u64,
    pub width: u64,
    pub text_x: u64,
    pub text_y: u64,
    /// Whether the label has room in the bar; if not, it stands beside it.
    pub inside: bool,
    pub anchor: &'static str,
    pub label: String,
    pub title: String,
    pub class: &'static str,
}

/// The bytes in question.
pub struct MarkView {
    pub x: u64,
    pub width: u64,
    pub text_x: u64,
    pub anchor: &'static str,
}

impl Picture {
    /// The picture of a map.
    pub fn of(map: &HeapMap) -> Picture {
        let scale = Scale {
            start: map.start,
            size: map.size,
        };
        let last = map.frames.len().saturating_sub(1);
        let frames = map.frames.iter().enumerate();
        let x = scale.x(map.mark.address);
        let width = scale.x(map.mark.address.saturating_add(map.mark.size)) - x;
        let text = map.mark.what.chars().count() as u64 * LETTER;
        let (anchor, text_x) = match x + text > WIDTH {
            true => ("end", (x + width).max(text).min(WIDTH)),
            false => ("start", x),
        };
        Picture {
            width: WIDTH,
            frames: frames
                .map(|(index, frame)| scale.frame(frame, index == last))
                .collect(),
            mark: MarkView {
                x,
                width: width.max(2),
                text_x,
                anchor,
            },
            what: map.mark.what.clone(),
            from: address(map.start),
            to: address(map.start.saturating_add(map.size)),
        }
    }
}

struct Scale {
    start: u64,
    size: u64,
}

impl Scale {
    /// Where an address lies; what is out of sight lies at the edge.
    fn x(&self, at: u64) -> u64 {
        let offset = u128::from(at.saturating_sub(self.start).min(self.size));
        (offset * u128::from(WIDTH) / u128::from(self.size.max(1))) as u64
    }

    fn frame(&self, frame: &Frame, last: bool) -> FrameView {
        let mut rows: Vec<u64> = Vec::new();
        let mut bars = Vec::new();
        for block in &frame.blocks {
            // A row has room from the end of its last block on.
            let row = rows.iter().position(|&end| end <= block.address);
            let row = row.unwrap_or_else(|| {
                rows.push(0);
                rows.len() - 1
            });
            rows[row] = block.address.saturating_add(block.size.max(1));
            bars.push(self.bar(block, row as u64));
        }
        let told = frame.blocks.iter().map(|block| {
            format!(
                "{} at {}, {}",
                block.owner,
                address(block.address),
                bytes(block.size)
            )
        });
        let height = ROW * rows.len().max(1) as u64 + 4;
        FrameView {
            operation: frame.operation.clone(),
            bars,
            height,
            full_height: height + if last { 20 } else { 0 },
            last,
            description: told.collect::<Vec<_>>().join("; "),
        }
    }

    fn bar(&self, block: &Block, row: u64) -> Bar {
        let x = self.x(block.address);
        let width = (self.x(block.address.saturating_add(block.size)) - x).max(3);
        let label = format!("{} {}", block.owner, bytes(block.size));
        let text = label.chars().count() as u64 * LETTER;
        let inside = text + 6 <= width;
        let (anchor, text_x) = if inside {
            ("middle", x + width / 2)
        } else if x + width + 4 + text <= WIDTH {
            ("start", x + width + 4)
        } else {
            ("end", x.saturating_sub(4))
        };
        Bar {
            x,
            y: row * ROW + 2,
            width,
            text_x,
            text_y: row * ROW + 17,
            inside,
            anchor,
            title: format!("{} at {}", label, address(block.address)),
            label,
            class: if block.guilty { "guilty" } else { "live" },
        }
    }
}
