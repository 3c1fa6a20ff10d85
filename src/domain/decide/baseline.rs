//! The usual pause between updates of an agent's tasks, so that a task that is silent for far longer counts as stuck.
//!
//! The usual pause is the longest pause of each task that ended, weighted so that the last dozen count: pauses within
//! one sentence do not show how long an agent thinks before the next.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::decide::turn::Turn;
use crate::domain::id::AttemptKey;
use crate::domain::job::task::TaskState;
use crate::domain::text::Untrusted;

/// The weight of the newest task, as a fraction 1/n.
const WEIGHT: u32 = 8;
/// Skills of one agent that have a usual time of their own; the rest share one.
const SKILLS: usize = 32;

/// The usual pause by skill.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Baselines(BTreeMap<Option<Untrusted>, Baseline>);

#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    pause: Duration,
    seen: u32,
}

impl Baselines {
    /// Takes in the longest pause of a task that has ended.
    pub fn see(&mut self, skill: Option<Untrusted>, pause: Duration) {
        let known = self.0.len() < SKILLS || self.0.contains_key(&skill);
        let usual = self.0.entry(skill.filter(|_| known)).or_default();
        usual.pause = match usual.seen {
            0 => pause,
            seen => {
                let weight = WEIGHT.min(seen + 1);
                (usual.pause * (weight - 1) + pause) / weight
            }
        };
        usual.seen = usual.seen.saturating_add(1);
    }

    /// The usual pause of a skill, once enough tasks have ended.
    pub fn of(&self, skill: Option<&Untrusted>, least: u32) -> Option<Duration> {
        let own = self.0.get(&skill.cloned()).or_else(|| self.0.get(&None).filter(|_| self.0.len() > SKILLS));
        own.filter(|usual| usual.seen >= least).map(|usual| usual.pause)
    }
}

/// Takes in an update of a task. The time since the last one is a pause, unless the task waited for an operator or was
/// not watched.
pub(super) fn update_seen(turn: &mut Turn, key: AttemptKey) {
    let at = turn.at;
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(task) = attempt.task.as_ref() else { return };
    let agent = attempt.agent;
    let (waits, gap) = (task.state.is_interrupted(), task.gap_since.is_some());
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

/// The longest silence before a task counts as stuck; `None` while no usual pause is known.
pub(super) fn limit(turn: &Turn, key: AttemptKey) -> Option<Duration> {
    let agent = turn.state().attempt(key)?.agent;
    let rules = &turn.rules.problems;
    let usual = turn.live.agents.get(&agent)?.baselines.of(skill(turn, key).as_ref(), rules.stuck_seen)?;
    let limit = usual.saturating_mul(rules.stuck_factor).max(rules.stuck_least);
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
            let usual = usuals.of(Some(&"s".into()), least).map(|usual| usual.as_secs());
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
        assert!(usuals.0.len() <= SKILLS + 1, "{}", usuals.0.len());
        assert_eq!(usuals.of(Some(&"s199".into()), 5), Some(Duration::from_secs(2)));
        assert_eq!(usuals.of(Some(&"s0".into()), 5), None);
    }
}
