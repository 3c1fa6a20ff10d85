//! Jobs that go by rules in a storm: no work is begun twice, no job has two live attempts, and nothing waits without
//! need.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::domain::agent::card::Skill;
use quarterdeck::domain::agent::shift::ShiftTerms;
use quarterdeck::domain::fact::{Fact, JobFact, Owner};
use quarterdeck::domain::id::{AgentId, AttemptId, JobId, MessageId, Rng};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::carry::{Carried, Carry, CarryContext, CarryHistory, compose};
use quarterdeck::domain::job::message::{Message, Part};
use quarterdeck::domain::job::plan::{JobPhase, RaceReason};
use quarterdeck::domain::job::{Origin, Phase};
use quarterdeck::domain::route::balance::Balance;
use quarterdeck::domain::route::explanation::Outcome;
use quarterdeck::domain::route::{Backoff, Hedge, HedgeAfter, Retry, Rule, Rules, Selector, Target};

use super::World;

const SKILL: &str = "work";

/// A rule whose work must never be done twice, one whose work may be, and one that allows little at once.
pub(super) fn rules() -> Arc<Rules> {
    let second = Duration::from_secs(1);
    let rule = |name: &str| Rule::new(name, Selector::Skill(SKILL.into()));
    let once = Rule {
        balance: Balance::LeastConnections,
        timeout: Some(second * 20),
        retry: Retry { backoff: Backoff::Fixed(second), max: 2, budget: 100 },
        ..rule("once")
    };
    let harmless = Rule {
        balance: Balance::TwoChoices,
        retry: Retry { backoff: Backoff::Exponential { base: second, cap: second * 8 }, max: 3, budget: 100 },
        unreachable_after: second * 10,
        idempotent: true,
        hedge: Some(Hedge { after: HedgeAfter::Time(second * 4), max: 2 }),
        ..rule("harmless")
    };
    let narrow = Rule {
        concurrency: Some(1),
        deadline: Some(second * 60),
        fallback: vec![Selector::Agent("toy-0".into())],
        ..Rule::new("narrow", Selector::Set(Arc::from([Arc::from("toy-1"), Arc::from("toy-2")])))
    };
    Arc::new(Rules { revision: 1, rules: [once, harmless, narrow].into_iter().map(Arc::new).collect() })
}

pub(super) fn skill() -> Skill {
    Skill {
        id: SKILL.into(),
        name: "Work".into(),
        description: "".into(),
        tags: Vec::new(),
        examples: Vec::new(),
        input_modes: Vec::new(),
        output_modes: Vec::new(),
    }
}

/// An operator leaves the choice of the agent to the router.
pub(super) fn send(seed: &mut Rng) -> Intent {
    let targets = [
        Target::Route("once".into()),
        Target::Route("harmless".into()),
        Target::Route("narrow".into()),
        Target::Skill(SKILL.into()),
        Target::Any,
    ];
    let target = targets[usize::try_from(seed.below(targets.len() as u64)).unwrap()].clone();
    Intent::Send(Box::new(Send::to(target, vec![Part::text("do it")])))
}

/// What another attempt takes along, mostly nothing.
pub(super) fn carry(seed: &mut Rng) -> Carry {
    let contexts = [CarryContext::Given, CarryContext::Same, CarryContext::New];
    let histories = [CarryHistory::None, CarryHistory::References, CarryHistory::Content];
    let mut one = |count: u64| usize::try_from(seed.below(count)).unwrap();
    if one(2) == 0 {
        return Carry::default();
    }
    Carry { context: contexts[one(3)], history: histories[one(3)] }
}

/// A shift whose steps are over soon, and that goes back now and then.
pub(super) fn terms(successor: AgentId) -> ShiftTerms {
    ShiftTerms {
        steps: vec![20, 50, 100],
        time: Duration::from_secs(5),
        jobs: 2,
        ok_limit: 40,
        ..ShiftTerms::to(successor)
    }
}

impl World {
    /// The successor of each shift has its share of what both could take, to half a job.
    pub(super) fn check_shares(&self) {
        for (_, agent) in self.core.state().agents().iter() {
            let Some(shift) = &agent.shift else { continue };
            let (given, decided, percent) =
                (shift.counts.given, shift.counts.decided, u64::from(shift.percent()));
            assert!(
                (given * 100).abs_diff(decided * percent) <= 50,
                "{} got {given} of {decided}: {shift:?}",
                agent.name
            );
        }
    }

    /// A message reaches an agent: work of its job that may not be done twice has ended wherever it was begun before.
    pub(super) fn check_begun(&self, message: &Message) {
        let Some(job) = &message.hints.job else { return };
        let state = self.core.state();
        let row = state.jobs().iter().find(|(_, row)| row.id.to_string() == job.raw());
        // A job whose facts were lost in a crash is sent by nobody any more.
        let Some((_, row)) = row else { return };
        if row.plan.as_ref().is_some_and(|plan| plan.idempotent) {
            return;
        }
        // The number of the attempt that sent a message, and whether two of them were meant to run beside each other.
        let number = |id: &MessageId| {
            let mut rows = row.attempts.iter().filter_map(|key| state.attempt(*key));
            rows.find(|attempt| attempt.message_id.as_ref() == Some(id)).map(|attempt| attempt.number)
        };
        let raced = |one: &MessageId, other: &MessageId| {
            let (Some(one), Some(other)) = (number(one), number(other)) else { return false };
            (one.min(other) + 1..=one.max(other)).all(|number| row.raced(number).is_some())
        };
        for (index, agent) in self.agents.iter().enumerate() {
            for (id, toy) in agent.tasks.iter().filter(|(_, toy)| toy.job.as_ref() == Some(job)) {
                // An operator who sends an uncertain message again accepts that it may be done twice.
                let same = toy.message == message.id
                    || raced(&toy.message, &message.id)
                    || self.resent.contains_key(&toy.message)
                    || self.given_up.contains(&toy.message);
                assert!(
                    same || toy.state.is_terminal(),
                    "job {job} is begun again while its task {id} on agent {index} is {:?}",
                    toy.state
                );
            }
        }
    }

    /// An attempt is given up by a person, or by a rule for work that may be done twice.
    pub(super) fn check_given_up(&mut self, attempt: AttemptId) {
        let state = self.core.state();
        let Some(row) = state.attempt_key(attempt).and_then(|key| state.attempt(key)) else { return };
        let idempotent =
            state.job_of(row).and_then(|job| job.plan.as_ref()).is_some_and(|plan| plan.idempotent);
        let by_person = row.message_id.as_ref().is_some_and(|message| self.given_up.contains(message));
        // What becomes of one that did not win does not matter any more.
        let lost = state.job_of(row).is_some_and(|job| job.winner().is_some());
        assert!(
            idempotent || by_person || lost,
            "{attempt:?} was given up, though nobody said that it may be done twice"
        );
        self.given_up.extend(row.message_id.clone());
    }

    /// The message of a job as the journal has it, with what it is to carry.
    pub(super) fn message_of(
        &self,
        job: JobId,
        composed: bool,
        carry: Option<&Carried>,
    ) -> Option<Arc<Message>> {
        let of_job = || self.journal.iter().filter(|entry| entry.owner() == Owner::Job(job));
        let original = of_job().find_map(|entry| match &entry.fact {
            Fact::Job(_, JobFact::Opened { message, .. }) => message.clone(),
            _ => None,
        })?;
        if let Some(carried) = carry {
            let facts: Vec<_> = of_job().cloned().collect();
            return Some(Arc::new(compose(&original, &facts, carried)));
        }
        let last = of_job().rev().find_map(|entry| match &entry.fact {
            Fact::Job(_, JobFact::Composed { message }) => Some(message.clone()),
            _ => None,
        });
        last.filter(|_| composed).or(Some(original))
    }

    /// At most one attempt of a job is alive, unless it was raced or hedged; only what may be done twice is hedged. Where
    /// work may be done twice, one whose outcome is unknown may be followed by another one.
    pub(super) fn check_jobs(&self) {
        self.check_shares();
        let state = self.core.state();
        for (key, job) in state.jobs().iter().filter(|(_, job)| job.origin == Origin::Sent) {
            // One that came back after it was given up is being canceled.
            let alive = |attempt: &&quarterdeck::domain::job::Attempt| {
                let canceled = attempt.task.as_ref().is_some_and(|task| task.cancel.is_some());
                let mut round = job.round().iter().filter_map(|key| state.attempt(*key));
                let in_round = round.any(|row| row.id == attempt.id);
                attempt.is_live() && (in_round || !canceled)
            };
            // Those that did not win are being stopped: one whose message is on its way once it has become a task, and
            // one whose agent is away once that is back.
            if let Some(winner) = job.winner() {
                assert!(job.phase == JobPhase::Over, "{key:?} was won, and goes on");
                let completed = state.attempt(winner).is_some_and(|row| !row.is_live());
                assert!(completed, "{key:?} was won by an attempt that goes on");
                for row in
                    job.attempts.iter().filter_map(|key| state.attempt(*key)).filter(|row| row.is_live())
                {
                    let canceled =
                        row.task.as_ref().map_or(row.phase == Phase::Sending, |task| task.cancel.is_some());
                    assert!(canceled || row.is_unseen(), "{key:?} was won, but nobody stops {row:?}");
                }
                continue;
            }
            let hedged = job.race().is_some_and(|race| {
                race.racers.iter().any(|racer| matches!(racer.why, RaceReason::Hedged { .. }))
            });
            let idempotent = job.plan.as_ref().is_some_and(|plan| plan.idempotent);
            assert!(
                !hedged || idempotent,
                "{key:?} was hedged, though nobody said that it may be done twice"
            );
            let live: Vec<_> =
                job.attempts.iter().filter_map(|key| state.attempt(*key)).filter(alive).collect();
            let beside = live.iter().all(|row| {
                job.round().iter().any(|key| state.attempt(*key).is_some_and(|one| one.id == row.id))
            });
            assert!(live.len() <= 1 || beside, "{key:?} has several live attempts: {live:?}");
            let undecided = live.iter().any(|attempt| attempt.phase != Phase::Uncertain);
            assert!(!(job.phase == JobPhase::Over && undecided), "{key:?} is over, but runs: {live:?}");
            assert!(job.phase != JobPhase::Queued || live.is_empty(), "{key:?} waits, but runs: {live:?}");
        }
    }

    /// After the storm: whatever still waits has nobody who could take it.
    pub(super) fn check_queue(&mut self) {
        let state = self.core.state();
        let waiting: Vec<_> = state
            .jobs()
            .iter()
            .filter(|(_, job)| job.phase == JobPhase::Queued)
            .filter_map(|(_, job)| Some((job.plan.clone()?, job.message.is_some())))
            .collect();
        for (plan, loaded) in waiting {
            let target = match &plan.rule {
                Some(rule) => Target::Route(rule.clone()),
                None => plan.target.clone(),
            };
            let wanted = Send::to(target, vec![Part::text("do it")]);
            let explained = self.core.explain(self.now, Some(&wanted));
            assert!(
                matches!(explained.outcome, Some(Outcome::Waits(_))),
                "a job waits although it would be sent: {plan:?}, {:?}, its message is {}, {:?}",
                explained.outcome,
                if loaded { "there" } else { "missing" },
                explained.decision
            );
        }
    }
}
