//! What two connections tell of one task has no common order.
//!
//! A stream may be held back by a proxy while a read shows the end; a store may lag behind its streams. So what one
//! connection tells late contradicts nothing that it could not know.

use std::time::Duration;

use crate::domain::decide::live::Timer;
use crate::domain::decide::turn::Turn;
use crate::domain::id::AttemptKey;

/// What comes behind an end is read until the stream closes, at most for this long.
const AFTER_END: Duration = Duration::from_secs(2);
/// A stream that still tells what came before the end is read for so long, while no two signs are further apart than
/// [`AFTER_END`].
const LATE_STREAM: Duration = Duration::from_secs(60);

/// The open stream of a task has told its end.
pub(super) fn told_end(turn: &mut Turn, key: AttemptKey) {
    let at = turn.at;
    let watch = turn.watch(key);
    if let Some(stream) = watch.stream
        && watch.told_end.is_none_or(|(told, _)| told != stream)
    {
        watch.told_end = Some((stream, at));
    }
}

/// True if the stream that tells a state now has told the end before.
pub(super) fn contradicts_itself(turn: &mut Turn, key: AttemptKey) -> bool {
    let watch = turn.watch(key);
    watch.told_end.is_some_and(|(told, _)| watch.stream == Some(told))
}

/// True if more may come on the stream of a task that has ended. Then its timer is set to when nothing is waited
/// for any more; the end of the stream is the usual end of this wait.
pub(super) fn waits_for_stream(turn: &mut Turn, key: AttemptKey) -> bool {
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else {
        return false;
    };
    let (ended, settled, since) = (task.state.is_terminal(), task.settled, task.state_since);
    let watch = turn.watch(key);
    let Some(stream) = watch.stream.filter(|_| ended && !settled) else { return false };
    let until = match watch.told_end {
        Some((told, at)) if told == stream => at + AFTER_END,
        _ => (since.max(watch.last_activity) + AFTER_END).min(since + LATE_STREAM),
    };
    if turn.at >= until {
        return false;
    }
    turn.set_timer(Timer::Watch(key), until);
    true
}
