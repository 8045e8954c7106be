//! What the process knows and decides about its own memory, without allocating any.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

/// Resident and mapped bytes of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes mapped.
    pub mapped: u64,
    /// Bytes resident.
    pub resident: u64,
}

/// Reads `/proc/self/statm`; `None` where there is none.
pub fn memory() -> Option<Memory> {
    let mut text = [0u8; 128];
    // SAFETY: the path is a C string and the buffer is as long as said; the descriptor is closed again.
    let length = unsafe {
        let statm = libc::open(
            c"/proc/self/statm".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if statm < 0 {
            return None;
        }
        let length = libc::read(statm, text.as_mut_ptr().cast(), text.len());
        libc::close(statm);
        length
    };
    let text = std::str::from_utf8(text.get(..usize::try_from(length).ok()?)?).ok()?;
    let mut pages = text
        .split_ascii_whitespace()
        .map(|field| field.parse::<u64>().ok());
    let (mapped, resident) = (pages.next()??, pages.next()??);
    Some(Memory {
        mapped: mapped * 4096,
        resident: resident * 4096,
    })
}

/// Where no block can be: the program, its stack, and the memory shared with the supervisor. Looked up once.
pub fn own_mappings() -> &'static [Range<u64>] {
    static OWN: OnceLock<Vec<Range<u64>>> = OnceLock::new();
    OWN.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mappings = maps.lines().filter_map(|line| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            let name = line.splitn(6, ' ').last().unwrap_or_default().trim();
            Some((number(start)?..number(end)?, name))
        });
        let mappings: Vec<(Range<u64>, &str)> = mappings.collect();
        // In an interpreter, the executable is another.
        let here = own_mappings as fn() -> &'static [Range<u64>] as usize as u64;
        let mut around = mappings.iter().filter(|(range, _)| range.contains(&here));
        let program = around.next().map_or("", |&(_, name)| name);
        mappings
            .iter()
            .filter(|(_, name)| {
                *name == program || *name == "[stack]" || name.starts_with(SHARED_NAME)
            })
            .map(|(range, _)| range.clone())
            .collect()
    })
}

/// How the memory shared with a supervisor is called in the list of mappings.
const SHARED_NAME: &str = "/memfd:allocspec ";

/// Lets the process map at most this many more bytes; `None` lifts the limit.
///
/// # Errors
///
/// When the present size cannot be read or the limit cannot be set.
pub fn limit_mapping(more: Option<u64>) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure is ours.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = match more {
        None => limit.rlim_max,
        Some(more) => {
            let now =
                memory().ok_or_else(|| io::Error::other("/proc/self/statm cannot be read"))?;
            limit.rlim_max.min(now.mapped.saturating_add(more))
        }
    };
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Bytes that the process may map; [`u64::MAX`] if there is no limit, or none that can be read.
pub fn mapping_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the structure is ours. After an error it is as it was: without a limit.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    limit.rlim_cur
}

/// Nanoseconds on the monotonic clock, the same for all processes.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours, and the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_and_its_stack_are_known() {
        let here = the_program_and_its_stack_are_known as fn() as usize as u64;
        assert!(own_mappings().iter().any(|range| range.contains(&here)));
        assert!(own_mappings().len() >= 3, "{:x?}", own_mappings());
    }
}
