//! The day before the story: minutes that are made up, so that there is something to compare the story with.
//!
//! They follow from the scenario and its seed. Nothing fails in the hour before the story, so that what failed in the
//! first minute failed in the story.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::scenario::{AgentPart, Scenario};
use crate::domain::id::Rng;
use crate::domain::job::message::text_hash;
use crate::domain::metrics::{MadeUp, MadeUpPause, MadeUpTally, Minute, Tally};
use crate::domain::route::{Rule, Selector};
use crate::domain::text::Untrusted;

/// A day, and six hours before it: windows of up to six hours have a day before to be compared with.
const MINUTES: u32 = 30 * 60;
/// In this many minutes before the story nothing fails. No view shows single minutes of the time before them.
const FLAWLESS: u32 = 60;
/// The work of so many earlier minutes is in the first of them: a start must not take a second of processor time.
const TOGETHER: u32 = 5;
/// Calls for cards and lists in a minute.
const CALLS: u32 = 12;
/// One task in this many fails.
const FAILS_ONE_IN: u64 = 250;
/// One task in this many fails at an agent that fails often.
const OFTEN_FAILS_ONE_IN: u64 = 25;
/// The tasks of each caller in a minute, in the night and at noon.
const TASKS: (f64, f64) = (0.4, 2.5);

/// The minutes before `until`.
pub(super) fn before(scenario: &Scenario, until: Minute) -> MadeUp {
    let from = until.before(MINUTES);
    let work: Vec<(&AgentPart, Vec<Sender>)> =
        scenario.agents.iter().map(|part| (part, senders(scenario, part))).collect();
    let is_recent = |minute: u32| until.0 - minute <= FLAWLESS;
    let kept =
        (from.0..until.0).filter(|minute| is_recent(*minute) || (minute - from.0).is_multiple_of(TOGETHER));
    let minutes = kept.map(|minute| {
        let flawless = is_recent(minute);
        let tallies = work.iter().flat_map(|(part, senders)| {
            let seed = scenario.seed ^ text_hash(&part.name) ^ u64::from(minute - from.0) << 32;
            of_agent(part, senders, Minute(minute), flawless, Rng::new(seed))
        });
        (Minute(minute), tallies.collect())
    });
    MadeUp { minutes: minutes.collect(), pauses: scenario.agents.iter().flat_map(pauses).collect() }
}

/// The usual pauses of an agent: it reports its states in equal steps.
fn pauses(part: &AgentPart) -> impl Iterator<Item = MadeUpPause> {
    let updates = u32::try_from(part.says.len() + 1).unwrap_or(u32::MAX);
    let pause = Duration::from_secs_f64(f64::midpoint(part.takes[0], part.takes[1])) / updates;
    // A task that somebody else sent may not say which skill it wants.
    let skills = part.skills.iter().map(|skill| Some(Untrusted::from(skill.as_str()))).chain([None]);
    skills.map(move |skill| MadeUpPause { agent: part.name.as_str().into(), skill, pause })
}

/// A caller, and the rule by which its tasks come to an agent, if one does it.
type Sender = (String, Option<Arc<str>>);

/// Whoever sends tasks to an agent in the story.
fn senders(scenario: &Scenario, part: &AgentPart) -> Vec<Sender> {
    let name = &part.name;
    let calm = scenario.calm.iter().flat_map(|calm| &calm.jobs);
    let jobs = scenario.jobs.iter().chain(calm).filter(|job| job.may_go_to(part));
    let leads_here = |rule: &&Arc<Rule>| match &rule.to {
        Selector::Skill(skill) => part.skills.iter().any(|own| own == skill.raw()),
        Selector::Label { name, value } => part.labels.get(&**name).is_some_and(|own| *own == **value),
        Selector::Agent(agent) => **agent == *part.name,
        Selector::Set(agents) => agents.iter().any(|agent| **agent == *part.name),
        // Agents of the demo have no tags.
        Selector::Tag(_) => false,
    };
    let rule = scenario.routes.rules.iter().find(leads_here).map(|rule| rule.name.clone());
    let jobs = jobs.filter_map(|job| Some((job.caller.clone()?, rule.clone().filter(|_| job.to.is_none()))));
    let agents = scenario.agents.iter();
    let delegating = agents.filter(|part| part.delegates.iter().any(|delegation| delegation.to == *name));
    let senders: BTreeSet<Sender> = jobs.chain(delegating.map(|part| (part.name.clone(), None))).collect();
    senders.into_iter().collect()
}

/// A minute of an agent, or several together: its calls, and the tasks of each caller.
fn of_agent(
    part: &AgentPart,
    senders: &[Sender],
    minute: Minute,
    flawless: bool,
    mut chance: Rng,
) -> Vec<MadeUpTally> {
    let name: Arc<str> = part.name.as_str().into();
    let fails_one_in = if part.behaviour.fails_often() { OFTEN_FAILS_ONE_IN } else { FAILS_ONE_IN };
    let mut all = Vec::with_capacity(senders.len() + 1);
    let mut live = 0;
    for (caller, rule) in senders {
        let mut tally = Tally::default();
        let minutes = if flawless { 1 } else { TOGETHER };
        for _ in 0..(0..minutes).map(|_| tasks(minute, &mut chance)).sum::<u32>() {
            let took = seconds(&mut chance, part.takes[0], part.takes[1]);
            tally.begun += 1;
            tally.took.add(took);
            tally.first.add(seconds(&mut chance, 0.002, 0.03));
            tally.between.add(took / 5);
            if !flawless && chance.below(fails_one_in) == 0 {
                tally.failed += 1;
            } else {
                tally.ok += 1;
            }
        }
        live += tally.begun;
        if tally.begun > 0 {
            let skill = part.skills.first().map(|skill| Untrusted::from(skill.as_str()));
            let caller = Some(Untrusted::from(caller.as_str()));
            let rule = rule.clone().map(Untrusted::new);
            all.push(MadeUpTally { agent: name.clone(), skill, caller, rule, tally });
        }
    }
    let mut tally = Tally { calls: CALLS, live: live.min(3), ..Tally::default() };
    // As over a network: loopback is so quick that a busy machine would look like slow agents.
    (0..CALLS).for_each(|_| tally.answer.add(seconds(&mut chance, 0.02, 0.15)));
    all.push(MadeUpTally { agent: name, skill: None, caller: None, rule: None, tally });
    all
}

/// The tasks of a caller in a minute: few in the night, many at noon.
fn tasks(minute: Minute, chance: &mut Rng) -> u32 {
    let time_of_day = f64::from(minute.0 % (24 * 60)) / f64::from(24 * 60);
    let daylight = (1.0 - (time_of_day * std::f64::consts::TAU).cos()) / 2.0;
    let mean = TASKS.0 + (TASKS.1 - TASKS.0) * daylight;
    // Twice as many at most, none at least, the mean on average.
    let most = mean * 2.0 * share(chance);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of tasks")]
    let tasks = (most + 0.5) as u32;
    tasks
}

fn seconds(chance: &mut Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + (most - least) * share(chance))
}

/// A number from 0 to 1.
fn share(chance: &mut Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a thousandth is precise enough")]
    let share = chance.below(1000) as f64 / 1000.0;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_before_follows_from_the_seed_and_has_work_for_all_who_work() {
        let storm = Scenario::load("storm").unwrap();
        let until = Minute(29_000_000);
        let day = before(&storm, until);
        assert_eq!(day, before(&storm, until));
        assert_ne!(day, before(&Scenario { seed: 8, ..storm.clone() }, until));
        assert_eq!(day.minutes.len(), (FLAWLESS + (MINUTES - FLAWLESS) / TOGETHER) as usize);
        assert_eq!(day.minutes.last().map(|(minute, _)| minute.after(1)), Some(until));
        let total = |name: &str, minutes: &[(Minute, Vec<MadeUpTally>)]| {
            let mut total = Tally::default();
            let tallies = minutes.iter().flat_map(|(_, tallies)| tallies);
            tallies.filter(|of| &*of.agent == name).for_each(|of| total.merge(&of.tally));
            total
        };
        for part in &storm.agents {
            let all = total(&part.name, &day.minutes);
            assert!(all.ended() > 500 && all.calls > 0, "{}: {all:?}", part.name);
            let share = all.ok_per_mille().unwrap();
            let usual = if part.behaviour.fails_often() { 940..980 } else { 990..1000 };
            assert!(usual.contains(&share), "{}: {share}", part.name);
            let last = total(&part.name, &day.minutes[day.minutes.len() - FLAWLESS as usize..]);
            assert!(last.bad() == 0 && last.ok > 0, "{}: {last:?}", part.name);
            let pauses = day.pauses.iter().filter(|of| *of.agent == *part.name && !of.pause.is_zero());
            assert_eq!(pauses.count(), part.skills.len() + 1, "{}", part.name);
        }
    }
}
