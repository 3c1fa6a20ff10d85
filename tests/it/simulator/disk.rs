//! The disk fails and recovers while the world goes on and operators act.
//!
//! When a commit fails, the simulator does what the engine does: it withholds the effects that waited for the commit
//! and refuses acts. When the disk recovers, the current rows are durable, and the facts since the failure are lost.

use quarterdeck::domain::agent::Health;
use quarterdeck::domain::agent::service::ServiceChange;
use quarterdeck::domain::agent::shift::ShiftChange;
use quarterdeck::domain::id::AgentId;
use quarterdeck::domain::input::Reply;
use quarterdeck::domain::intent::Refusal;
use quarterdeck::domain::job::task::CancelMark;
use quarterdeck::domain::problem::{Muted, ProblemAct, Taken};
use quarterdeck::domain::text::Untrusted;

use super::*;

/// What happens to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DiskEvent {
    /// Commits fail until it recovers.
    Fails,
    /// The writer ends: commits fail until the next crash.
    WriterDies,
    /// Commits succeed again.
    Recovers,
}

/// An act whose caller waits for a receipt.
#[derive(Clone, Debug)]
struct PendingAct {
    intent: Intent,
    before: Option<Mark>,
    after: Option<Mark>,
}

/// The part of what an act changes that is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Mark {
    Problem(Option<Taken>, Option<Muted>),
    Breaker(Option<Untrusted>),
    Cancel(Option<CancelMark>),
    Kept(bool),
    /// To whom the work goes: how far a shift is changes on its own.
    Shift(Option<AgentId>),
}

/// The disk, and what was confirmed to operators.
pub(super) struct Disk {
    seed: Rng,
    /// The time since which commits fail.
    failing: Option<At>,
    /// True if commits fail until the next crash.
    dead: bool,
    /// Facts up to this one were in commits that failed.
    pub(super) failed: usize,
    /// The durable state at the beginning of the journal.
    pub(super) base: State,
    /// The time of the last recovery.
    pub(super) recovered: Option<At>,
    /// The number of the last ticket.
    tickets: u64,
    acts: BTreeMap<u64, PendingAct>,
    /// Acts that were confirmed as done, and the state of their subject after them.
    done: Vec<(Intent, Mark)>,
}

impl Disk {
    pub(super) fn new(number: u64) -> Self {
        Self {
            seed: Rng::new(!number),
            failing: None,
            dead: false,
            failed: 0,
            base: State::default(),
            recovered: None,
            tickets: 0,
            acts: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    pub(super) fn fails(&self) -> bool {
        self.failing.is_some()
    }

    /// True if every caller was told the result of its act.
    pub(super) fn is_answered(&self) -> bool {
        self.acts.is_empty()
    }
}

/// True if both intents change the same thing.
fn same_subject(a: &Intent, b: &Intent) -> bool {
    match (a, b) {
        (Intent::OnProblem { number: a, .. }, Intent::OnProblem { number: b, .. }) => a == b,
        (Intent::Breaker { agent: a, .. }, Intent::Breaker { agent: b, .. }) => a == b,
        (Intent::Shift { agent: a, .. }, Intent::Shift { agent: b, .. }) => a == b,
        (
            Intent::Cancel { attempt: a, .. } | Intent::CancelWithDelegated { attempt: a, .. },
            Intent::Cancel { attempt: b, .. } | Intent::CancelWithDelegated { attempt: b, .. },
        ) => a == b,
        (
            Intent::AddAgent { .. } | Intent::RemoveAgent { .. },
            Intent::AddAgent { .. } | Intent::RemoveAgent { .. },
        ) => true,
        _ => false,
    }
}

/// The state of the subject of an intent; `None` if the subject is gone or has ended.
fn mark(state: &State, intent: &Intent) -> Option<Mark> {
    match intent {
        Intent::OnProblem { number, .. } => {
            let problem = state.problem(*number).filter(|problem| problem.cleared.is_none())?;
            Some(Mark::Problem(problem.taken.clone(), problem.muted.clone()))
        }
        Intent::Breaker { agent, .. } => {
            let agent = state.agent(state.agent_key(*agent)?)?;
            Some(Mark::Breaker(agent.breaker.forced.clone()))
        }
        Intent::Cancel { attempt, .. } | Intent::CancelWithDelegated { attempt, .. } => {
            let task = state.attempt(state.attempt_key(*attempt)?)?.task.as_ref()?;
            (!task.is_over()).then_some(Mark::Cancel(task.cancel))
        }
        Intent::Shift { agent, .. } => {
            let agent = state.agent(state.agent_key(*agent)?)?;
            Some(Mark::Shift(agent.shift.as_ref().map(|shift| shift.terms.to)))
        }
        Intent::RemoveAgent { agent, .. } => {
            let agent = state.agent(state.agent_key(*agent)?)?;
            Some(Mark::Kept(agent.sources.iter().any(|name| &**name == Source::Kept.as_str())))
        }
        _ => None,
    }
}

impl World {
    /// A world with a disk that fails now and then.
    pub(crate) fn with_failing_disk(number: u64) -> Self {
        let mut world = Self::new(number);
        let storm = STORM.as_micros() as u64;
        for _ in 0..world.disk.seed.below(4) {
            let at = Duration::from_micros(world.disk.seed.below(storm));
            let lasts = Duration::from_millis(world.disk.seed.below(20_000));
            if world.disk.seed.below(4) == 0 {
                world.at(at, Happening::Disk(DiskEvent::WriterDies));
            } else {
                world.at(at, Happening::Disk(DiskEvent::Fails));
                world.at(at + lasts, Happening::Disk(DiskEvent::Recovers));
                // Acts at the time of the failure are withheld.
                let acts = at + Duration::from_millis(world.disk.seed.below(20));
                world.at(acts, Happening::Act);
                world.at(acts, Happening::Act);
            }
        }
        for _ in 0..30 {
            let at = Duration::from_micros(world.disk.seed.below(storm));
            world.at(at, Happening::Act);
        }
        world.at(STORM, Happening::Disk(DiskEvent::Recovers));
        world
    }

    pub(super) fn on_disk(&mut self, event: DiskEvent) {
        match event {
            DiskEvent::Fails if !self.disk.fails() => self.disk.failing = Some(self.now),
            DiskEvent::WriterDies => {
                self.disk.failing.get_or_insert(self.now);
                self.disk.dead = true;
            }
            DiskEvent::Recovers if self.disk.dead && !self.stormy() => {
                self.crash();
                self.source();
            }
            DiskEvent::Recovers if !self.disk.dead => self.recover(),
            DiskEvent::Fails | DiskEvent::Recovers => {}
        }
    }

    /// Writes the current rows; the facts that were not written are lost.
    fn recover(&mut self) {
        let Some(from) = self.disk.failing.take() else { return };
        let facts = (self.journal.len() - self.committed) as u64;
        self.disk.base = self.core.state().clone();
        self.disk.recovered = Some(self.now);
        self.disk.failed = 0;
        self.journal.clear();
        self.committed = 0;
        self.queue.retain(|_, what| !matches!(what, Happening::Commit(_)));
        let (gated, replies) = (std::mem::take(&mut self.gated), std::mem::take(&mut self.replies));
        self.feed(Input::JournalRetried { from, facts });
        self.feed(Input::JournalRecovered);
        for (_, effect) in gated {
            self.release(effect);
        }
        for (_, reply) in replies {
            self.answer_caller(reply);
        }
    }

    /// Fails a commit up to this fact: nothing that waited for it happens.
    pub(super) fn fail_commit(&mut self, length: usize) {
        if length <= self.committed.max(self.disk.failed) {
            return;
        }
        self.disk.failed = length;
        let why = Untrusted::from("disk full");
        let health = |state: &State| -> Vec<(AgentKey, Health)> {
            state.agents().iter().map(|(key, agent)| (key, agent.health)).collect()
        };
        let before = health(self.core.state());
        let (effects, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.gated).into_iter().partition(|(needs, _)| *needs <= length);
        self.gated = rest;
        let (replies, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.replies).into_iter().partition(|(needs, _)| *needs <= length);
        self.replies = rest;
        self.feed(Input::JournalFailed(why.clone()));
        for (_, effect) in effects {
            let call = effect.call;
            self.feed(match effect.order.kind() {
                Some(kind) => Input::Outcome { call, outcome: kind.unsent(Cause::Unsaved(why.clone())) },
                None => Input::Withheld(call),
            });
        }
        for (_, reply) in replies {
            let ticket = reply.ticket;
            if self.core.is_unsaved_act(ticket) {
                self.feed(Input::ActUnsaved { ticket, why: why.clone() });
                self.core.act_saved(ticket);
                self.check_refused(ticket);
            } else {
                self.answer_caller(reply);
            }
        }
        assert_eq!(health(self.core.state()), before, "agents are judged by our disk");
    }

    /// The process ends: pending callers get no reply, and the next process has a working disk.
    pub(super) fn forget_callers(&mut self) {
        self.disk.failing = None;
        self.disk.dead = false;
        self.disk.failed = 0;
        self.disk.acts.clear();
        self.replies.clear();
    }

    /// Checks that acts which were confirmed as done are still in effect after a crash, if they were before it.
    pub(super) fn check_done(&self, after: &State) {
        for (intent, done) in &self.disk.done {
            if mark(self.core.state(), intent).as_ref() == Some(done) {
                assert_eq!(mark(after, intent).as_ref(), Some(done), "{intent:?} was confirmed as done");
            }
        }
    }

    pub(super) fn submit(&mut self, intent: Intent) {
        self.disk.tickets += 1;
        let ticket = self.disk.tickets;
        self.disk.done.retain(|(done, _)| !same_subject(done, &intent));
        let before = mark(self.core.state(), &intent);
        self.disk.acts.insert(ticket, PendingAct { intent: intent.clone(), before, after: None });
        self.feed(Input::Intent { ticket, intent, by: None });
        if let Some(act) = self.disk.acts.get_mut(&ticket) {
            act.after = mark(self.core.state(), &act.intent);
        }
    }

    /// Delivers the result of an intent to its caller.
    pub(super) fn answer_caller(&mut self, Reply { ticket, result }: Reply) {
        self.core.act_saved(ticket);
        let act = self.disk.acts.remove(&ticket);
        match (result, act) {
            (Ok(receipt), Some(PendingAct { intent, after, .. })) => {
                if let Receipt::Taken { job, .. } = receipt {
                    self.promised.insert(job);
                }
                let newer = self.disk.acts.values().any(|act| same_subject(&act.intent, &intent));
                let after = after.or_else(|| mark(self.core.state(), &intent));
                if let Some(after) = after.filter(|_| !newer) {
                    self.disk.done.push((intent, after));
                }
            }
            (Err(Refusal::Cause(cause)), _) if matches!(*cause, Cause::Unsaved(_)) => {
                assert!(self.disk.fails(), "acts are refused while the disk works");
            }
            // It changed nothing, so a later act began with the state from before this one.
            (Err(_), Some(PendingAct { intent, before, after })) => {
                self.rebase_next(&intent, before.as_ref(), after.as_ref());
            }
            _ => {}
        }
    }

    /// The next pending act on the same subject began with the result of this one. Makes it begin with the state from
    /// before this one. False if there is no such act.
    fn rebase_next(&mut self, intent: &Intent, before: Option<&Mark>, after: Option<&Mark>) -> bool {
        let mut later = self.disk.acts.values_mut().filter(|act| same_subject(&act.intent, intent));
        let Some(later) = later.next() else { return false };
        later.before = before.cloned().filter(|_| later.before.as_ref() == after);
        true
    }

    /// Checks that a refused act has left nothing behind.
    fn check_refused(&mut self, ticket: u64) {
        let Some(PendingAct { intent, before, after }) = self.disk.acts.remove(&ticket) else { return };
        // A later act on the same subject hides its effect, until that one is refused too.
        if self.rebase_next(&intent, before.as_ref(), after.as_ref()) {
            return;
        }
        let now = mark(self.core.state(), &intent);
        match (&before, &now) {
            // A task's earlier cancel mark changes on its own, and a mute may end.
            (None | Some(Mark::Cancel(Some(_))), _) | (_, None) => {}
            (Some(Mark::Problem(_, Some(muted))), _) if muted.until <= self.now => {}
            (Some(Mark::Problem(taken, muted)), Some(Mark::Problem(taken_now, muted_now))) => {
                let by = |taken: &Option<Taken>| taken.as_ref().map(|taken| taken.by.clone());
                assert_eq!((by(taken), muted), (by(taken_now), muted_now), "{intent:?} was refused");
            }
            _ => assert_eq!(before, now, "{intent:?} was refused"),
        }
    }

    /// One of two operators acts on a problem or an agent.
    pub(super) fn act(&mut self) {
        let state = self.core.state();
        let problems: Vec<_> =
            state.problems().iter().filter(|(_, problem)| problem.cleared.is_none()).collect();
        let problems: Vec<_> = problems.into_iter().map(|(_, problem)| problem.number).collect();
        let agents: Vec<_> = state.agents().iter().map(|(_, agent)| agent.id).collect();
        let by: Untrusted = ["mia", "sam"][self.disk.seed.below(2) as usize].into();
        let pick = self.disk.seed.below(8);
        if pick < 6 && !problems.is_empty() {
            // Mostly the first problem, so that acts on the same subject overlap.
            let place = self.disk.seed.below(2) * self.disk.seed.below(problems.len() as u64);
            let number = problems[place as usize];
            let time = Duration::from_millis(1000 + self.disk.seed.below(60_000));
            let act = match pick {
                0 | 1 => ProblemAct::Take,
                2 => ProblemAct::GiveBack,
                3 | 4 => ProblemAct::Mute { time, why: "known".into() },
                _ => ProblemAct::Unmute,
            };
            return self.submit(Intent::OnProblem { number, act, by });
        }
        if agents.is_empty() {
            return;
        }
        let agent = agents[self.disk.seed.below(agents.len() as u64) as usize];
        let to = match self.disk.seed.below(4) {
            0 => Some(BreakerState::Open),
            1 => Some(BreakerState::Closed),
            _ => None,
        };
        if self.disk.seed.below(3) == 0 {
            let successor = agents[self.disk.seed.below(agents.len() as u64) as usize];
            let agent = agents[self.disk.seed.below(2).min(agents.len() as u64 - 1) as usize];
            let change = match self.disk.seed.below(6) {
                0 => ShiftChange::Hold,
                1 => ShiftChange::Resume,
                2 => ShiftChange::Back,
                3 => ShiftChange::End,
                _ => ShiftChange::Begin(routing::terms(successor)),
            };
            return self.submit(Intent::Shift { agent, change, why: None, by });
        }
        if pick == 7 {
            let (problem, attempt) = (None, None);
            return self.submit(Intent::Note {
                problem,
                agent: Some(agent),
                attempt,
                by,
                text: "seen".into(),
            });
        }
        if self.disk.seed.below(3) == 0 {
            let window = (self.disk.seed.below(2) == 0).then_some(Duration::from_secs(20));
            let to = match self.disk.seed.below(3) {
                0 => ServiceChange::Resume,
                1 => ServiceChange::Cordon { window },
                _ => ServiceChange::Drain { window, move_after: Some(Duration::from_secs(5)) },
            };
            return self.submit(Intent::Service { agent, to, why: None, by });
        }
        self.submit(Intent::Breaker { agent, to, why: None, by });
    }

    /// Checks that no notification which was due long ago is still waiting to be posted.
    pub(super) fn check_posted(&self) {
        let recent = |at: At| self.now.since(at) < Duration::from_mins(1);
        for (_, problem) in self.core.state().problems().iter() {
            let settled = !recent(problem.since) && !problem.cleared.is_some_and(recent);
            assert!(!settled || problem.due.is_empty() || problem.muted.is_some(), "{problem:?}");
        }
    }
}
