//! What is told of a block before the process ends (`_PyObject_DebugDumpAddress`).

use super::{Alarm, S, Serial, Style, read_number};

/// Bytes told of either end of a block.
const TOLD: usize = 8;

/// Tells of a block what can be read of it, in CPython's words.
///
/// # Safety
///
/// The header of `block` can be read. If the size in it is wrong, what is read as the trailer may be anybody's, or
/// nobody's, and then that is the end.
pub unsafe fn dump(alarm: &mut impl Alarm, style: &Style, block: *mut u8) {
    // SAFETY: the caller's promise.
    let (id, size) = unsafe { (block.sub(S).read(), read_number(block.sub(2 * S))) };
    let mut head = format!("Debug memory block at address p={block:p}: API '").into_bytes();
    head.push(id);
    head.extend_from_slice(format!("'\n    {size} bytes originally requested\n").as_bytes());
    alarm.say(&head);
    let mut say = |text: String| alarm.say(text.as_bytes());
    // SAFETY: as above.
    let lead: Vec<u8> = (1..S)
        .rev()
        .map(|back| unsafe { block.sub(back).read() })
        .collect();
    let pads = |at: &str, bytes: &[u8], name: &dyn Fn(usize) -> String| {
        let mut text = format!("    The {} pad bytes at {at} are ", bytes.len());
        if bytes.iter().all(|&byte| byte == style.forbidden) {
            return text + "FORBIDDENBYTE, as expected.\n";
        }
        text += &format!("not all FORBIDDENBYTE (0x{:02x}):\n", style.forbidden);
        for (index, byte) in bytes.iter().enumerate() {
            let ouch = if *byte == style.forbidden {
                ""
            } else {
                " *** OUCH"
            };
            text += &format!("        at {}: 0x{byte:02x}{ouch}\n", name(index));
        }
        text
    };
    let text = pads(&format!("p-{}", S - 1), &lead, &|index| {
        format!("p-{}", S - 1 - index)
    });
    say(text);
    if lead.iter().any(|&byte| byte != style.forbidden) {
        say(
            "    Because memory is corrupted at the start, the count of bytes requested\n       \
             may be bogus, and checking the trailing pad bytes may segfault.\n"
                .into(),
        );
    }
    let tail = block.wrapping_add(size);
    // SAFETY: as above.
    let bytes: Vec<u8> = (0..S)
        .map(|at| unsafe { tail.wrapping_add(at).read() })
        .collect();
    say(pads(&format!("tail={tail:p}"), &bytes, &|index| {
        format!("tail+{index}")
    }));
    if style.serial != Serial::None {
        // SAFETY: as above.
        let serial = unsafe { read_number(tail.wrapping_add(S)) };
        say(format!(
            "    The block was made by call #{serial} to debug malloc/realloc.\n"
        ));
    }
    if size > 0 {
        let hex = |from: usize, to: usize| -> String {
            // SAFETY: as above.
            let byte = |at| unsafe { block.add(at).read() };
            (from..to).map(|at| format!(" {:02x}", byte(at))).collect()
        };
        let first = hex(0, size.min(TOLD));
        let gap = if size > 2 * TOLD { " ..." } else { "" };
        let last = hex(size.saturating_sub(TOLD).max(size.min(TOLD)), size);
        say(format!("    Data at p:{first}{gap}{last}\n"));
    }
    say("\n".into());
    if style.hints_at_tracemalloc {
        say("Enable tracemalloc to get the memory block allocation traceback\n\n".into());
    }
}
