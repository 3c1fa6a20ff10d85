//! Named points at which a test lets the process die, as by `kill -9`.
//!
//! Only in builds with the feature `failpoints`; `QUARTERDECK_DIE_AT=POINT:N` dies when POINT is
//! reached for the N-th time. Without the feature a point is nothing.

/// The points, in the order in which a sending passes them.
pub const POINTS: [&str; 6] =
    ["before-commit", "after-commit", "before-write", "after-write", "before-answer", "after-answer"];

#[cfg(feature = "failpoints")]
fn named(variable: &str) -> Option<(String, std::sync::atomic::AtomicI64)> {
    let text = std::env::var(variable).ok()?;
    let (point, number) = text.split_once(':')?;
    Some((point.to_owned(), std::sync::atomic::AtomicI64::new(number.parse().ok()?)))
}

/// Panics here, with words that a terminal could obey, if `QUARTERDECK_PANIC_AT` names this point.
#[cfg(feature = "failpoints")]
#[expect(clippy::panic, reason = "a panic is what is asked for")]
pub fn panics(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    static LEFT: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    if let Some((name, left)) = LEFT.get_or_init(|| named("QUARTERDECK_PANIC_AT"))
        && name == point
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        panic!("asked for at {point} \u{1b}[2J");
    }
}

/// Nothing: the feature is off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn panics(_point: &str) {}

/// Dies here if this point was named and its number has come.
#[cfg(feature = "failpoints")]
pub fn reach(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    static LEFT: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    if let Some((name, left)) = LEFT.get_or_init(|| named("QUARTERDECK_DIE_AT"))
        && name == point
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _dead_before_it_returns =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing: the feature is off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reach(_point: &str) {}
