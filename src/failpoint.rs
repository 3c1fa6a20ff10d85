//! Named points at which a test lets the process die, as by `kill -9`.
//!
//! Only in builds with the feature `failpoints`; `QUARTERDECK_DIE_AT=POINT:N` dies when POINT is
//! reached for the N-th time. Without the feature a point is nothing.

/// The points, in the order in which a sending passes them.
pub const POINTS: [&str; 6] =
    ["before-commit", "after-commit", "before-write", "after-write", "before-answer", "after-answer"];

/// Dies here if this point was named and its number has come.
#[cfg(feature = "failpoints")]
pub fn reach(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    static LEFT: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    let named = LEFT.get_or_init(|| {
        let text = std::env::var("QUARTERDECK_DIE_AT").ok()?;
        let (point, number) = text.split_once(':')?;
        Some((point.to_owned(), AtomicI64::new(number.parse().ok()?)))
    });
    if let Some((name, left)) = named
        && name == point
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _dead_before_it_returns = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing: the feature is off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reach(_point: &str) {}
