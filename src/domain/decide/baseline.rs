//! The usual pause between updates of an agent's tasks, so that a task that is silent for far longer counts as stuck.
//!
//! The usual pause is the longest pause of each task that ended, weighted so that the last dozen count: pauses within
//! one sentence do not show how long an agent thinks before the next.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::decide::turn::Turn;
use crate::domain::id::AttemptKey;
use crate::domain::job::task::{TaskState, UsualPause};
use crate::domain::text::Untrusted;

/// The weight of the newest task, as a fraction 1/n.
const WEIGHT: u32 = 8;
/// Skills of one agent that have a usual time of their own; the rest share one.
const SKILLS: usize = 32;

/// The usual pause by skill.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Baselines {
    measured: BTreeMap<Option<Untrusted>, Baseline>,
    /// Those of a past that was made up, which count until some are measured.
    made_up: BTreeMap<Option<Untrusted>, Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    pause: Duration,
    seen: u32,
}

impl Baselines {
    /// Takes in the longest pause of a task that has ended.
    pub fn see(&mut self, skill: Option<Untrusted>, pause: Duration) {
        let known = self.measured.len() < SKILLS || self.measured.contains_key(&skill);
        let usual = self.measured.entry(skill.filter(|_| known)).or_default();
        usual.pause = match usual.seen {
            0 => pause,
            seen => {
                let weight = WEIGHT.min(seen + 1);
                (usual.pause * (weight - 1) + pause) / weight
            }
        };
        usual.seen = usual.seen.saturating_add(1);
    }

    /// Takes in a usual pause that was not measured.
    pub fn make_up(&mut self, skill: Option<Untrusted>, pause: Duration) {
        self.made_up.insert(skill, pause);
    }

    /// The usual pause of a skill, once enough tasks have ended.
    pub fn of(&self, skill: Option<&Untrusted>, least: u32) -> Option<UsualPause> {
        let skill = skill.cloned();
        let shared = || self.measured.get(&None).filter(|_| self.measured.len() > SKILLS);
        let measured = self.measured.get(&skill).or_else(shared).filter(|usual| usual.seen >= least);
        match measured {
            Some(usual) => Some(UsualPause { time: usual.pause, made_up: false }),
            None => self.made_up.get(&skill).map(|pause| UsualPause { time: *pause, made_up: true }),
        }
    }
}

/// Takes in an update of a task. The time since the last one is a pause, unless the task waited for an operator or was
/// not watched.
pub(super) fn update_seen(turn: &mut Turn, key: AttemptKey) {
    let at = turn.at;
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(task) = attempt.task.as_ref() else { return };
    let agent = attempt.agent;
    let (waits, gap) = (task.state.is_interrupted(), task.gap_since().is_some());
    let ended = matches!(task.state, TaskState::Completed | TaskState::Failed) && !task.settled;
    let watch = turn.watch(key);
    let waited = std::mem::replace(&mut watch.waited, waits);
    if !waited && !gap {
        watch.longest = watch.longest.max(at.since(watch.last_activity));
    }
    if ended && !watch.longest.is_zero() {
        let pause = std::mem::take(&mut watch.longest);
        let skill = skill(turn, key);
        turn.agent_live(agent).baselines.see(skill, pause);
    }
}

/// The usual pause of the agent and the skill of a task; `None` while it is not known.
pub(super) fn usual(turn: &Turn, key: AttemptKey) -> Option<UsualPause> {
    let agent = turn.state().attempt(key)?.agent;
    turn.live.agents.get(&agent)?.baselines.of(skill(turn, key).as_ref(), turn.rules.problems.stuck_seen)
}

/// The longest silence before a task counts as stuck; `None` while no usual pause is known.
pub(super) fn limit(turn: &Turn, key: AttemptKey) -> Option<Duration> {
    let rules = &turn.rules.problems;
    let limit = usual(turn, key)?.time.saturating_mul(rules.stuck_factor).max(rules.stuck_least);
    // Points in time are whole microseconds: a timer for less than one would be due at once, for ever.
    Some(Duration::from_micros(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX)))
}

fn skill(turn: &Turn, key: AttemptKey) -> Option<Untrusted> {
    turn.state().job_of(turn.state().attempt(key)?)?.skill.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_needs_enough_tasks_and_follows_the_latest() {
        let seconds = Duration::from_secs;
        for (pauses, least, expected) in [
            (vec![], 1, None),
            (vec![4, 4], 3, None),
            (vec![4, 4, 4], 3, Some(4)),
            (vec![2, 4], 2, Some(3)),
            ([vec![1; 20], vec![60; 40]].concat(), 5, Some(59)),
        ] {
            let mut usuals = Baselines::default();
            for pause in &pauses {
                usuals.see(Some("s".into()), seconds(*pause));
            }
            let usual = usuals.of(Some(&"s".into()), least).map(|usual| usual.time.as_secs());
            assert_eq!(usual, expected, "{pauses:?}");
            assert_eq!(usuals.of(Some(&"other".into()), 1), None);
        }
    }

    #[test]
    fn skills_beyond_the_limit_share_one_baseline() {
        let mut usuals = Baselines::default();
        for number in 0..200 {
            usuals.see(Some(format!("s{number}").into()), Duration::from_secs(2));
        }
        let usual = UsualPause { time: Duration::from_secs(2), made_up: false };
        assert!(usuals.measured.len() <= SKILLS + 1, "{}", usuals.measured.len());
        assert_eq!(usuals.of(Some(&"s199".into()), 5), Some(usual));
        assert_eq!(usuals.of(Some(&"s0".into()), 5), None);
    }

    #[test]
    fn a_baseline_that_was_made_up_says_so_and_counts_until_one_is_measured() {
        let skill = Some(Untrusted::from("s"));
        let mut usuals = Baselines::default();
        usuals.make_up(skill.clone(), Duration::from_secs(9));
        for (seen, expected) in [
            (0, "usually 9.0s between updates (made up)"),
            (4, "usually 9.0s between updates (made up)"),
            (5, "usually 2.0s between updates"),
        ] {
            let mut usuals = usuals.clone();
            (0..seen).for_each(|_| usuals.see(skill.clone(), Duration::from_secs(2)));
            assert_eq!(
                usuals.of(skill.as_ref(), 5).map(|usual| usual.to_string()).as_deref(),
                Some(expected)
            );
        }
    }
}
