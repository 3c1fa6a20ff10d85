//! Reports of the same task over two connections have no common order.
//!
//! A proxy may delay a stream while a read already shows the end, and a store may lag behind the streams. A late report
//! over one connection is therefore not a contradiction of what was reported over the other.

use std::time::Duration;

use crate::domain::decide::live::Timer;
use crate::domain::decide::turn::Turn;
use crate::domain::id::AttemptKey;

/// Events after an end are read until the stream closes, at most for this long.
const AFTER_END: Duration = Duration::from_secs(2);
/// A stream that still reports events from before the end is read for this long, as long as its events are at most
/// [`AFTER_END`] apart.
const LATE_STREAM: Duration = Duration::from_secs(60);

/// The open stream of a task reported its end.
pub(super) fn reported_end(turn: &mut Turn, key: AttemptKey) {
    let at = turn.at;
    let watch = turn.watch(key);
    if let Some(stream) = watch.stream
        && watch.reported_end.is_none_or(|(ended, _)| ended != stream)
    {
        watch.reported_end = Some((stream, at));
    }
}

/// True if the open stream, which reports another state now, has already reported the end.
pub(super) fn contradicts_itself(turn: &mut Turn, key: AttemptKey) -> bool {
    let watch = turn.watch(key);
    watch.reported_end.is_some_and(|(ended, _)| watch.stream == Some(ended))
}

/// True if more events may come on the stream of a task that has ended. The timer of the task is then set to the end of
/// this wait, although the stream usually ends earlier.
pub(super) fn waits_for_stream(turn: &mut Turn, key: AttemptKey) -> bool {
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else {
        return false;
    };
    let (ended, settled, since) = (task.state.is_terminal(), task.settled, task.state_since);
    let watch = turn.watch(key);
    let Some(stream) = watch.stream.filter(|_| ended && !settled) else { return false };
    let until = match watch.reported_end {
        Some((ended, at)) if ended == stream => at + AFTER_END,
        _ => (since.max(watch.last_activity) + AFTER_END).min(since + LATE_STREAM),
    };
    if turn.at >= until {
        return false;
    }
    turn.set_timer(Timer::Watch(key), until);
    true
}
