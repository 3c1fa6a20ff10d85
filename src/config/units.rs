//! Durations and sizes as people write them.

use std::time::Duration;

pub use crate::domain::time::duration;

/// Formats a duration for the configuration.
pub fn show_duration(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if millis >= unit && millis.is_multiple_of(unit) {
            return format!("{}{name}", millis / unit);
        }
    }
    format!("{millis}ms")
}

/// `512MiB`, `2GiB`, `1000000`.
///
/// # Errors
/// What a size looks like.
pub fn bytes(text: &str) -> Result<u64, String> {
    let fault = || format!("not a size: {text:?}; write 512MiB or 2GiB");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| fault())?;
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(fault()),
    };
    number.checked_shl(shift).filter(|size| size >> shift == number).ok_or_else(fault)
}

/// Formats a size for the configuration.
pub fn show_bytes(bytes: u64) -> String {
    for (shift, name) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{name}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("90", 90_000), ("1m30s", 90_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5 parsecs", "-3s", "0s", "1.5h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for (text, size) in [("2GiB", 2u64 << 30), ("1000", 1000), ("64 KiB", 65536)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "GiB", "2GB", "99999999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(
            (show_duration(Duration::from_secs(90)), show_duration(Duration::from_secs(7200))),
            ("90s".into(), "2h".into())
        );
        assert_eq!(show_bytes(2 << 30), "2GiB");
    }
}
