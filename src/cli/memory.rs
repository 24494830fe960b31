//! `--memory`: how much of a machine a command takes.

use super::args::PipelineArgs;
use crate::contract::output::CACHE_DIR;
use crate::error::{Error, Result};
use crate::memory;
use std::path::Path;

/// Units of sizes, the longer names first.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Limits the memory of the process as the command line says, else the environment, else by what the machine has; what is
/// beyond the limit lies with the typed copies in `out`, for the owner alone.
///
/// # Errors
/// [`Error::Usage`] for what is no size.
pub(super) fn limit(args: &PipelineArgs, out: &Path) -> Result<()> {
    let given = args.memory.clone().map(|text| ("--memory", text));
    let given = given.or_else(|| Some(("ORDERSIGHT_MEMORY", std::env::var("ORDERSIGHT_MEMORY").ok()?)));
    let bytes = match given {
        Some((name, text)) => Some(size(name, &text)?),
        None => memory::of_machine().map(|machine| machine / 4 * 3),
    };
    if let Some(bytes) = bytes {
        tracing::debug!(mib = bytes >> 20, "memory for large blocks");
        memory::limit(bytes, &out.join(CACHE_DIR));
    }
    Ok(())
}

/// Says how much lay in files.
pub(super) fn tell() {
    let most = memory::most_aside();
    if most > 0 {
        tracing::info!(mib = most >> 20, "beyond the limit of memory, at most so much lay in files at a time");
    }
}

fn size(name: &str, text: &str) -> Result<usize> {
    let refused = || Error::Usage {
        message: format!("{name}: `{text}` is no size"),
        hint: Some("write it as 8GiB, 500MiB or 2GB".to_owned()),
    };
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, bytes) = unit.ok_or_else(refused)?;
    let number: f64 = number.trim().parse().map_err(|_| refused())?;
    let bytes = number * bytes as f64;
    // Half of what can be addressed; more than any machine has.
    if !(1.0..=9.0e18).contains(&bytes) {
        return Err(refused());
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        let read = |text: &str| size("--memory", text).ok();
        assert_eq!(read("8GiB"), Some(8 << 30));
        assert_eq!(read(" 1.5 GiB "), Some(3 << 29));
        assert_eq!(read("500MB"), Some(500_000_000));
        for wrong in ["", "8", "GiB", "-1GiB", "0GiB", "8gib", "NaNGiB", "infGB", "1e30GB"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let message = size("--memory", "eight").unwrap_err().to_string();
        assert!(message.contains("--memory") && message.contains("eight"), "{message}");
    }
}
