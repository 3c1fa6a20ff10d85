//! Evidence about an agent since this process started: its calls, tasks and clock.
//!
//! Only the newest results up to a number (`*_KEPT`) are kept, and results older than a limit (`*_AGE`) do not count.
//! The number bounds the memory of each agent, and judges a busy agent by what it does now; the age keeps an idle agent
//! from being judged by old results. Twenty results are the fewest in which one failure is a twentieth, the share that
//! a 95th percentile leaves out. Where one threshold raises a judgement, a lower one ends it, so that it does not
//! flicker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::breaker::BreakerRules;
use crate::domain::cause::Cause;
use crate::domain::problem::thresholds::ProblemThresholds;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Calls, newest last, that failure shares are taken of. A breaker takes those within its own window of them.
const CALLS_KEPT: usize = 20;
/// A failed call counts towards a degraded agent for ten minutes: an idle agent makes few calls to replace it.
const CALL_AGE: Duration = Duration::from_secs(600);
/// Calls that do no work count towards a slow agent for two minutes, the time in which docs/health.md promises to
/// detect it and to clear it.
const LATENCY_AGE: Duration = Duration::from_secs(120);
/// The number of calls needed before an agent is called slow: with fewer, the second slowest is too close to the
/// median.
const LATENCIES_NEEDED: usize = 4;
/// The lowest limit for a slow call, whatever is usual: three times a few milliseconds is still quick.
const SLOW_FLOOR: Duration = Duration::from_secs(1);
/// Calls must have been watched for ten minutes before their median is the usual latency.
const USUAL_NEEDS: Duration = Duration::from_secs(600);
/// Calls of the last hour make up the usual latency, so that it follows the time of day.
const USUAL_AGE: Duration = Duration::from_secs(3600);
/// Latencies kept: more than an hour of one probe and one check every 30 s.
const LATENCIES_KEPT: usize = 256;
/// Ended tasks, newest last, that failure shares are taken of.
const TASKS_KEPT: usize = 20;
/// The number of other skills' tasks that must have ended before a single skill is blamed.
const OTHER_SKILLS_NEEDED: u32 = 3;
/// An ended task counts for a day: agents that get little work are judged by more than their last hour.
const TASK_AGE: Duration = Duration::from_secs(24 * 3600);
/// Changes between up and down that are kept; four times the default of `flaps`.
const FLIPS_KEPT: usize = 24;
/// The number of clock readings kept, newest last.
const SKEWS_KEPT: usize = 5;
/// The number of clock readings that must agree before the clock is called wrong: one or two may have been delayed.
const SKEWS_NEEDED: usize = 3;

/// Results and how many of them are failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::domain) struct FailureRate {
    pub failed: u32,
    pub of: u32,
}

impl FailureRate {
    fn record(self, failed: bool) -> Self {
        Self { failed: self.failed + u32::from(failed), of: self.of + 1 }
    }

    /// The results of both.
    pub fn plus(self, other: Self) -> Self {
        Self { failed: self.failed + other.failed, of: self.of + other.of }
    }

    /// At least this many failures, and at least this share of all results in per cent.
    pub fn reaches(self, failed: u32, percent: u32) -> bool {
        self.failed >= failed && u64::from(self.failed) * 100 >= u64::from(self.of) * u64::from(percent)
    }

    /// True if it is at least this many percentage points above another rate.
    pub fn is_above(self, other: Self, points: u32) -> bool {
        let wide = u64::from;
        let distance = wide(points) * wide(self.of) * wide(other.of);
        wide(self.failed) * 100 * wide(other.of) >= wide(other.failed) * 100 * wide(self.of) + distance
    }
}

/// The evidence about an agent.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Evidence {
    calls: VecDeque<(At, bool)>,
    /// Time, duration, and whether it counted as slow then: slow calls never become the baseline.
    quick: VecDeque<(At, Duration, bool)>,
    /// Calls that reached its interface.
    served: VecDeque<(At, bool)>,
    /// When, whether it failed, and of which skill.
    tasks: VecDeque<(At, bool, Option<Untrusted>)>,
    /// When its version changed: tasks that began before say nothing about this one.
    version_since: At,
    flips: VecDeque<At>,
    skews: VecDeque<i64>,
    /// It fails its tasks.
    pub failing: Option<Cause>,
    /// The skill that fails, with the number of failed and of ended tasks.
    pub failing_skill: Option<(Untrusted, (u32, u32))>,
    /// Its calls are slow.
    pub slow: Option<Cause>,
    /// The newest of its calls that was above the limit.
    last_slow: Option<At>,
    /// Too many of its calls failed, and since then not all that count have succeeded.
    fails_calls: bool,
    /// The agent's text when a task last failed.
    pub last_failure: Option<Untrusted>,
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn push<T>(ring: &mut VecDeque<T>, most: usize, item: T) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(item);
}

/// The results after `since` that are younger than `age`; true is a failure.
fn rate(results: impl Iterator<Item = (At, bool)>, at: At, since: At, age: Duration) -> FailureRate {
    let recent = results.filter(|(when, _)| *when > since && at.since(*when) < age);
    recent.fold(FailureRate::default(), |rate, (_, failed)| rate.record(failed))
}

impl Evidence {
    /// Records whether a call succeeded or failed.
    pub fn call(&mut self, at: At, ok: bool) {
        push(&mut self.calls, CALLS_KEPT, (at, ok));
    }

    /// Records a call that reached the agent's interface, and whether it was served.
    pub fn served(&mut self, at: At, ok: bool) {
        push(&mut self.served, CALLS_KEPT, (at, ok));
    }

    /// Its last tasks that ended after `since`.
    pub fn tasks_since(&self, at: At, since: At) -> FailureRate {
        rate(self.tasks.iter().map(|(at, failed, _)| (*at, *failed)), at, since, TASK_AGE)
    }

    /// Its last calls after `since` that are within the window.
    pub fn calls_since(&self, at: At, since: At, window: Duration) -> FailureRate {
        rate(self.served.iter().map(|(at, ok)| (*at, !ok)), at, since, window)
    }

    /// The reason why its breaker must open, from results since it last closed.
    pub fn opens(&self, at: At, since: At, rules: &BreakerRules) -> Option<Cause> {
        let tasks = self.tasks_since(at, since);
        if tasks.reaches(rules.tasks, rules.tasks_percent) {
            return Some(Cause::TasksFailing { failed: tasks.failed, of: tasks.of });
        }
        let calls = self.calls_since(at, since, rules.window);
        calls.reaches(rules.calls, rules.calls_percent).then_some(Cause::Failing(calls.failed))
    }

    /// Records the duration of a call that does no work.
    pub fn quick(&mut self, at: At, took: Duration) {
        push(&mut self.quick, LATENCIES_KEPT, (at, took, self.slow.is_some()));
    }

    /// The agent has another version from here on, which is judged by its own tasks.
    pub fn version_changed(&mut self, at: At) {
        self.version_since = at;
        self.tasks.clear();
    }

    /// Records the end of a task that began at `began`.
    pub fn task(
        &mut self,
        began: At,
        at: At,
        failed: bool,
        skill: Option<Untrusted>,
        text: Option<Untrusted>,
    ) {
        if began < self.version_since {
            return;
        }
        push(&mut self.tasks, TASKS_KEPT, (at, failed, skill));
        if failed {
            self.last_failure = text;
        }
    }

    /// Records that the agent went down, or came back.
    pub fn flip(&mut self, at: At) {
        push(&mut self.flips, FLIPS_KEPT, at);
    }

    /// Records a reading of the agent's clock: milliseconds ahead of ours.
    pub fn clock(&mut self, ahead: i64) {
        push(&mut self.skews, SKEWS_KEPT, ahead);
    }

    /// How often the agent went down or came back lately.
    pub fn flips(&self, at: At, rules: &ProblemThresholds) -> u32 {
        number(self.flips.iter().filter(|flip| at.since(**flip) < rules.flap_window).count())
    }

    /// The skew of the agent's clock, if it is wrong; `already` if it was known to be.
    pub fn skew(&self, already: bool, rules: &ProblemThresholds) -> Option<i64> {
        let limit = i64::try_from(rules.clock_skew.as_millis()).unwrap_or(i64::MAX);
        let limit = if already { limit / 2 } else { limit };
        let wrong = self.skews.iter().all(|by| by.abs() > limit && by.signum() == self.skews[0].signum());
        let mut sorted: Vec<_> = self.skews.iter().copied().collect();
        sorted.sort_unstable();
        (wrong && sorted.len() >= SKEWS_NEEDED).then(|| sorted[sorted.len() / 2])
    }

    /// The agent is back after an outage: the calls that failed in it are part of the outage.
    pub fn end_outage(&mut self) {
        self.calls.clear();
        self.fails_calls = false;
    }

    /// Judges the agent, and returns the reason if it is degraded, most severe first. While it is `suspected` to be down,
    /// failed calls are not held against it: they will be part of the outage, or count once it answers.
    pub fn judge(&mut self, at: At, rules: &ProblemThresholds, suspected: bool) -> Option<Arc<Cause>> {
        self.judge_tasks(at, rules);
        self.judge_quick(at, rules);
        let calls = rate(self.calls.iter().map(|(at, ok)| (*at, !ok)), at, At::ZERO, CALL_AGE);
        let raised = !suspected && calls.failed >= rules.failed_calls;
        self.fails_calls = calls.failed > 0 && (self.fails_calls || raised);
        let calls = self.fails_calls.then_some(Cause::Failing(calls.failed));
        self.failing.clone().or(calls).or_else(|| self.slow.clone()).map(Arc::new)
    }

    fn judge_tasks(&mut self, at: At, rules: &ProblemThresholds) {
        self.tasks.retain(|(when, ..)| at.since(*when) < TASK_AGE);
        let of = number(self.tasks.len());
        let failed = number(self.tasks.iter().filter(|(_, failed, _)| *failed).count());
        let in_a_row = number(self.tasks.iter().rev().take_while(|(_, failed, _)| !failed).count());
        let well = failed * 10 < of || in_a_row >= rules.failed_tasks || failed == 0;
        let bad = failed >= rules.failed_tasks && failed * 100 >= of * rules.failed_tasks_percent;
        if well {
            self.failing = None;
        } else if bad || self.failing.is_some() {
            self.failing = Some(Cause::TasksFailing { failed, of });
        }
        self.judge_skills(rules, failed);
    }

    /// Finds a skill that fails while the others work; if all fail, the agent is at fault.
    fn judge_skills(&mut self, rules: &ProblemThresholds, failed: u32) {
        if self.failing.is_some() || (self.failing_skill.is_none() && failed < rules.failed_skill) {
            self.failing_skill = None;
            return;
        }
        let mut skills: BTreeMap<&Untrusted, (u32, u32)> = BTreeMap::new();
        for (_, failed, skill) in &self.tasks {
            if let Some(skill) = skill {
                let (bad, of) = skills.entry(skill).or_default();
                *bad += u32::from(*failed);
                *of += 1;
            }
        }
        let all = number(self.tasks.len());
        let known = self.failing_skill.as_ref().map(|(skill, _)| skill);
        let found = skills.iter().find(|(skill, (bad, of))| {
            let others = (failed - bad, all - of);
            let well = others.1 >= OTHER_SKILLS_NEEDED && others.0 * 5 <= others.1;
            let bad = if known == Some(**skill) {
                bad * 2 >= *of && *bad > 0
            } else {
                *bad >= rules.failed_skill && bad * 5 >= of * 4
            };
            well && bad
        });
        self.failing_skill = found.map(|(skill, counts)| (Untrusted::clone(skill), *counts));
    }

    fn judge_quick(&mut self, at: At, rules: &ProblemThresholds) {
        let recent =
            self.quick.iter().rev().take(CALLS_KEPT).filter(|(when, ..)| at.since(*when) < LATENCY_AGE);
        let slowest = recent.clone().map(|(_, took, _)| *took).max().unwrap_or_default();
        if slowest <= SLOW_FLOOR.min(rules.slow) {
            // No limit is lower, so that it need not be found at every call of a busy agent.
            if self.last_slow.is_none_or(|slow| at.since(slow) >= LATENCY_AGE) {
                self.slow = None;
            }
            return;
        }
        let limit = self.slow_limit(at, rules);
        let newest_slow = recent.clone().find(|(_, took, _)| *took > limit).map(|(when, ..)| *when);
        self.last_slow = self.last_slow.max(newest_slow);
        let mut recent: Vec<_> = recent.map(|(_, took, _)| *took).collect();
        recent.sort_unstable_by(|a, b| b.cmp(a));
        // One slow call is an accident: of few calls the second slowest counts as the 95th percentile.
        let p95 = recent.get((recent.len() / CALLS_KEPT).max(1)).copied().unwrap_or_default();
        if recent.len() >= LATENCIES_NEEDED && p95 > limit {
            self.slow = Some(Cause::Slow { p95, limit });
        } else if self.last_slow.is_none_or(|slow| at.since(slow) >= LATENCY_AGE) {
            // By time and not by number: a busy agent makes twenty calls within a second.
            self.slow = None;
        }
    }

    /// A multiple of the last hour's baseline, or a fixed limit while there is none.
    fn slow_limit(&self, at: At, rules: &ProblemThresholds) -> Duration {
        let long_enough = self.quick.front().is_some_and(|(when, ..)| at.since(*when) >= USUAL_NEEDS);
        let usual = self.quick.iter().filter(|(when, _, slow)| !slow && at.since(*when) < USUAL_AGE);
        let mut usual: Vec<_> = usual.map(|(_, took, _)| *took).collect();
        if !long_enough || usual.len() < CALLS_KEPT {
            return rules.slow;
        }
        usual.sort_unstable();
        (usual[usual.len() / 2] * rules.slow_factor).max(SLOW_FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> At {
        At::from_micros(1_795_000_000_000_000) + Duration::from_secs(second)
    }

    /// Tasks as letters: `f` failed, `w` succeeded.
    fn failing(tasks: &str) -> Option<(u32, u32)> {
        let mut evidence = Evidence::default();
        for (second, task) in (0..).zip(tasks.chars()) {
            evidence.task(at(second), at(second), task == 'f', None, None);
            evidence.judge(at(second), &ProblemThresholds::default(), false);
        }
        match evidence.failing {
            Some(Cause::TasksFailing { failed, of }) => Some((failed, of)),
            _ => None,
        }
    }

    #[test]
    fn eight_failed_tasks_make_an_agent_failing_and_eight_completed_ones_end_it() {
        for (tasks, expected) in [
            ("fffffff", None),
            ("ffffffff", Some((8, 8))),
            ("wwwwwwwwwwwwwwwwwwwwffffffff", Some((8, 20))),
            ("fwfwfwfwfwfwfwf", Some((8, 15))),
            ("fwwwfwwwfwwwfwwwfwwwfwwwfwww", None),
            ("ffffffffwwwwwww", Some((8, 15))),
            ("ffffffffwwwwwwww", None),
        ] {
            assert_eq!(failing(tasks), expected, "{tasks}");
        }
    }

    /// Tasks as letters: their skill, upper case where they failed.
    fn failing_skill(tasks: &str) -> Option<String> {
        let mut evidence = Evidence::default();
        for (second, task) in (0..).zip(tasks.chars()) {
            let skill = Some(task.to_lowercase().to_string().into());
            evidence.task(at(second), at(second), task.is_uppercase(), skill, None);
            evidence.judge(at(second), &ProblemThresholds::default(), false);
        }
        evidence.failing_skill.map(|(skill, (bad, of))| format!("{} {bad}/{of}", skill.line()))
    }

    #[test]
    fn a_skill_is_failing_only_while_other_skills_succeed() {
        for (tasks, expected) in [
            ("bbbAAAA", None),
            ("bbbAAAAA", Some("a 5/5")),
            // It is unknown yet whether the skill or the agent is at fault.
            ("bbAAAAA", None),
            ("BBBAAAAA", None),
            ("bbbbbbAAAAAaBb", Some("a 5/6")),
            ("bbbaaAAAAA", None),
            // All of it fails: the agent is at fault.
            ("bbbAAAAAAAA", None),
            ("bbbAAAAAaaaaa", Some("a 5/10")),
            ("bbbAAAAAaaaaaa", None),
        ] {
            assert_eq!(failing_skill(tasks).as_deref(), expected, "{tasks}");
        }
    }

    /// Calls as (second, milliseconds); whether it is slow after each.
    fn slow(calls: &[(u64, u64)]) -> bool {
        let mut evidence = Evidence::default();
        for (second, millis) in calls {
            evidence.quick(at(*second), Duration::from_millis(*millis));
            evidence.judge(at(*second), &ProblemThresholds::default(), false);
        }
        evidence.slow.is_some()
    }

    #[test]
    fn two_slow_calls_within_two_minutes_make_an_agent_slow_and_one_does_not() {
        let quick = |from: u64, to: u64| (from..to).step_by(15).map(|second| (second, 5)).collect::<Vec<_>>();
        for (calls, expected) in [
            (vec![(0, 5000), (30, 5000), (60, 5000)], false),
            (vec![(0, 5000), (5, 5000), (30, 5000), (35, 5000)], true),
            ([quick(0, 60), vec![(60, 5000)], quick(75, 90)].concat(), false),
            ([quick(0, 60), vec![(60, 5000), (66, 5000)]].concat(), true),
            ([vec![(0, 5000), (5, 5000), (30, 5000), (35, 5000)], quick(60, 150)].concat(), true),
            ([vec![(0, 5000), (5, 5000), (30, 5000), (35, 5000)], quick(60, 180)].concat(), false),
            // Once five milliseconds are usual, a second and a half is slow.
            ([quick(0, 700), vec![(700, 1500), (701, 1500)]].concat(), true),
            ([quick(0, 700), vec![(700, 900), (701, 900)]].concat(), false),
        ] {
            assert_eq!(slow(&calls), expected, "{calls:?}");
        }
    }

    #[test]
    fn a_clock_is_wrong_only_if_all_samples_say_so() {
        for (seen, already, expected) in [
            (vec![40_000, 41_000], false, None),
            (vec![40_000, 41_000, 42_000], false, Some(41_000)),
            (vec![40_000, -41_000, 42_000], false, None),
            (vec![-40_000, -41_000, -42_000], false, Some(-41_000)),
            (vec![20_000, 20_000, 20_000], false, None),
            (vec![20_000, 20_000, 20_000], true, Some(20_000)),
            (vec![20_000, 20_000, 100], true, None),
        ] {
            let mut evidence = Evidence::default();
            for by in &seen {
                evidence.clock(*by);
            }
            assert_eq!(evidence.skew(already, &ProblemThresholds::default()), expected, "{seen:?}");
        }
    }
}
