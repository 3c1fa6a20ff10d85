//! Effects of call outcomes: rows of an outcome, the resulting attempt, and the next call.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::{Card, FetchedCard, Offer};
use crate::domain::agent::{AgentSpec, Source};
use crate::domain::call::{
    Answered, CallKind, Outcome, Page, Probed, SendOutcome, StreamOutcome, SubscribeOutcome,
};
use crate::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use crate::domain::core::{Core, Out};
use crate::domain::effect::Order;
use crate::domain::fact::{AttemptFact, Fact, JournalEntry};
use crate::domain::id::{AttemptKey, CallId, JobId};
use crate::domain::input::{Input, Rules, ServerTraits};
use crate::domain::intent::{Intent, Receipt, Refusal, Send};
use crate::domain::job::Attempt;
use crate::domain::job::message::{Message, Part, Role};
use crate::domain::job::task::{CancelMark, Status, StreamEvent, TaskReport, TaskState, Via};
use crate::domain::metrics::Minute;
use crate::domain::state::State;
use crate::domain::time::{At, PeerTime};

const TOOK: Duration = Duration::from_millis(3);

/// One agent that lists tasks and does not stream, and the calls that wait for their outcome.
struct Rig {
    core: Core,
    now: At,
    open: Vec<(CallId, CallKind)>,
    refused: Option<Refusal>,
}

impl Rig {
    fn new() -> Self {
        let core = Core::new(State::default(), Rules::default(), 7);
        let mut rig =
            Self { core, now: At::from_micros(1_795_000_000_000_000), open: Vec::new(), refused: None };
        rig.feed(Input::Configured(vec![AgentSpec::at("http://toy", Source::Config)]));
        rig.probed();
        rig.settle();
        rig
    }

    fn probed(&mut self) {
        let offer = Offer {
            url: "http://toy".into(),
            binding: "JSONRPC".into(),
            version: Some("1.0".into()),
            tenant: None,
        };
        let card = Arc::new(Card { name: "toy".into(), offers: vec![offer], ..Card::empty() });
        let card = Some(FetchedCard { card, url: "http://toy".into(), etag: None });
        let value = Probed { card, server: ServerTraits::default() };
        self.answer(Outcome::Probe(Ok(Answered { value, took: TOOK })));
    }

    fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        self.core.step(self.now, input, &mut out);
        self.refused = out.replies.pop().and_then(|reply| reply.result.err());
        if self.refused.is_some() {
            assert!(
                out.facts.is_empty() && out.effects.is_empty(),
                "a refused intent began something: {out:?}"
            );
        }
        let calls = out.effects.iter().filter_map(|effect| Some((effect.call, effect.order.kind()?)));
        self.open.extend(calls);
        assert_eq!(self.core.unattended(), []);
    }

    /// An outcome of the oldest open call of its kind.
    #[track_caller]
    fn answer(&mut self, outcome: Outcome) {
        let at = self.open.iter().position(|(_, kind)| *kind == outcome.kind());
        let at = at.unwrap_or_else(|| panic!("no call is open for {outcome:?}: {:?}", self.open));
        let (call, _) = if outcome.is_last() { self.open.remove(at) } else { self.open[at] };
        self.feed(Input::Outcome { call, outcome });
    }

    /// Checks and listings are answered with nothing.
    fn settle(&mut self) {
        for _ in 0..20 {
            match self.open.iter().map(|(_, kind)| *kind).find(|kind| is_upkeep(*kind)) {
                Some(CallKind::Check) => self.answer(CallKind::Check.failed(rpc(ErrorName::TaskNotFound))),
                Some(_) => self.answer(Outcome::List(Ok(Answered { value: Page::default(), took: TOOK }))),
                None => return,
            }
        }
    }

    fn intent(&mut self, intent: Intent) {
        self.feed(Input::Intent { ticket: 1, intent, by: None });
    }

    fn send(&mut self) {
        let agent = self.core.state().agents().iter().next().unwrap().1.id;
        self.intent(Intent::Send(Box::new(Send::new(agent, vec![Part::text("go")]))));
        assert_eq!(self.refused, None);
    }

    fn attempt(&self) -> (AttemptKey, &Attempt) {
        self.core.state().attempts().iter().next().unwrap()
    }

    /// Time passes; what becomes due is done.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.core.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.feed(Input::Deadline);
        }
        self.now = end;
    }

    /// The attempt's phase, its cancel, and the open calls but those of upkeep.
    fn shows(&self) -> String {
        let (_, attempt) = self.attempt();
        let cancel = attempt.task.as_ref().and_then(|task| task.cancel);
        let cancel = cancel.map(|mark| format!(", {mark:?}")).unwrap_or_default();
        let calls: Vec<_> =
            self.open.iter().filter(|(_, kind)| !is_upkeep(*kind)).map(|(_, kind)| kind.method()).collect();
        format!("{}{cancel}; {}", attempt.phase.as_str(), calls.join(" "))
    }
}

fn is_upkeep(kind: CallKind) -> bool {
    matches!(kind, CallKind::Check | CallKind::List)
}

fn rpc(name: ErrorName) -> Failure {
    Failure { sent: Sent::Maybe, cause: Cause::Rpc(RpcError { name, code: None, message: "".into() }) }
}

fn malformed() -> Failure {
    let cause = Cause::Malformed("GetTask was answered with a page of tasks".into());
    Failure { sent: Sent::Maybe, cause }
}

fn unsent() -> Failure {
    Failure { sent: Sent::Not, cause: Cause::Refused }
}

fn reset() -> Failure {
    Failure { sent: Sent::Maybe, cause: Cause::Reset }
}

fn report(state: TaskState) -> Answered<Box<TaskReport>> {
    let value = Box::new(TaskReport::new("t", Status::new(state)));
    Answered { value, took: TOOK }
}

fn message() -> Answered<Box<Message>> {
    let value = Box::new(Message::new("m", Role::Agent, vec![Part::text("hello")]));
    Answered { value, took: TOOK }
}

#[test]
fn each_outcome_of_a_send_ends_it() {
    let stream = |outcome| Outcome::Send(SendOutcome::Stream(outcome));
    let send = Outcome::Send;
    let rows: [(Outcome, &str); 9] = [
        (send(SendOutcome::Task(report(TaskState::Working))), "accepted; "),
        (send(SendOutcome::Task(report(TaskState::Completed))), "accepted; GetTask"),
        (send(SendOutcome::Message(message())), "answered; "),
        (
            stream(StreamOutcome::Events(vec![StreamEvent::Task(report(TaskState::Working).value)])),
            "accepted; SendMessage",
        ),
        (send(SendOutcome::Failed(unsent())), "unsent; the request for the agent card"),
        (send(SendOutcome::Failed(rpc(ErrorName::InvalidParams))), "refused; "),
        (send(SendOutcome::Failed(reset())), "uncertain; the request for the agent card"),
        // They are looked for in the listing first.
        (send(SendOutcome::Failed(malformed())), "sending; "),
        (stream(StreamOutcome::Ended(Ok(()))), "sending; "),
    ];
    for (outcome, shows) in rows {
        let mut rig = Rig::new();
        rig.send();
        rig.answer(outcome.clone());
        assert_eq!(rig.shows(), shows, "{outcome:?}");
    }
}

#[test]
fn a_resend_without_an_answer_is_uncertain_again() {
    for again in [unsent(), rpc(ErrorName::InvalidParams), reset()] {
        let mut rig = Rig::new();
        rig.send();
        rig.answer(Outcome::Send(SendOutcome::Failed(reset())));
        rig.probed();
        rig.settle();
        let attempt = rig.attempt().1.id;
        rig.intent(Intent::Resend { attempt, why: None });
        rig.answer(Outcome::Send(SendOutcome::Failed(again.clone())));
        let (_, attempt) = rig.attempt();
        assert_eq!(attempt.phase.as_str(), "uncertain", "{again:?}");
        assert_eq!(attempt.cause.as_deref(), Some(&again.cause));
    }
}

#[test]
fn the_task_is_read_after_every_outcome_of_a_cancel() {
    let cancel = |answer| Outcome::Cancel(answer);
    let rows: [(Outcome, &str); 5] = [
        (cancel(Ok(report(TaskState::Canceled))), "accepted, Agreed; GetTask"),
        (cancel(Ok(report(TaskState::Working))), "accepted, Agreed; GetTask"),
        (cancel(Err(malformed())), "accepted, Unconfirmed; GetTask"),
        (cancel(Err(rpc(ErrorName::Internal))), "accepted, Unconfirmed; GetTask"),
        (cancel(Err(rpc(ErrorName::TaskNotCancelable))), "accepted, Asked; GetTask"),
    ];
    for (outcome, shows) in rows {
        let mut rig = Rig::new();
        rig.send();
        rig.answer(Outcome::Send(SendOutcome::Task(report(TaskState::Working))));
        let attempt = rig.attempt().1.id;
        rig.intent(Intent::Cancel { attempt, why: Some("enough".into()) });
        assert_eq!(rig.shows(), "accepted, Asked; CancelTask");
        rig.answer(outcome.clone());
        assert_eq!(rig.shows(), shows, "{outcome:?}");
        // What cannot be read ends no polling: the task is read again and again.
        for _ in 0..3 {
            rig.answer(Outcome::Get(Err(malformed())));
            rig.pass(Duration::from_secs(20));
            assert!(rig.shows().contains("GetTask"), "{outcome:?}: {}", rig.shows());
        }
    }
}

#[test]
fn an_answer_with_another_task_is_malformed() {
    let other = |state| {
        let Answered { value, took } = report(state);
        Answered { value: Box::new(TaskReport { id: "another".into(), ..*value }), took }
    };
    let snapshot = |answered: Answered<Box<TaskReport>>| {
        let events = vec![StreamEvent::Task(answered.value)];
        Outcome::Send(SendOutcome::Stream(StreamOutcome::Events(events)))
    };
    let answers = [
        (Outcome::Get(Ok(other(TaskState::Completed))), false),
        (Outcome::Cancel(Ok(other(TaskState::Canceled))), true),
        (snapshot(other(TaskState::Completed)), false),
    ];
    for (answer, cancels) in answers {
        let mut rig = Rig::new();
        rig.send();
        if answer.stream().is_some() {
            let opened = StreamOutcome::Opened { took: TOOK, server: ServerTraits::default() };
            rig.answer(Outcome::Send(SendOutcome::Stream(opened)));
            rig.answer(snapshot(report(TaskState::Working)));
        } else {
            rig.answer(Outcome::Send(SendOutcome::Task(report(TaskState::Working))));
            rig.pass(Duration::from_secs(5));
        }
        if cancels {
            let attempt = rig.attempt().1.id;
            rig.intent(Intent::Cancel { attempt, why: None });
        }
        let failures = |rig: &Rig| {
            let violations = rig.core.state().agents().iter().next().unwrap().1.violations;
            u64::from(violations) + u64::from(rig.core.metrics().since(Minute(0), |_| true).calls_failed)
        };
        let before = failures(&rig);
        rig.answer(answer.clone());
        let task = rig.attempt().1.task.as_ref().unwrap();
        assert_eq!(task.state, TaskState::Working, "{answer:?}");
        assert_eq!(task.cancel, cancels.then_some(CancelMark::Unconfirmed), "{answer:?}");
        assert_eq!(failures(&rig) - before, 1, "{answer:?}");
    }
    let (asked, other) = ("the-one-that-was-asked-for".into(), "another".into());
    let words = crate::domain::call::foreign_task("GetTask", &asked, &other).unwrap().to_string();
    assert!(words.contains("the-one-that-was-asked-for") && words.contains("another"), "{words}");
}

#[test]
fn a_malformed_answer_counts_as_a_failed_call() {
    for (answer, failed) in [(Ok(report(TaskState::Working)), 0), (Err(malformed()), 1)] {
        let mut rig = Rig::new();
        rig.send();
        rig.answer(Outcome::Send(SendOutcome::Task(report(TaskState::Working))));
        let count = |rig: &Rig| rig.core.metrics().since(Minute(0), |_| true).calls_failed;
        let before = count(&rig);
        rig.pass(Duration::from_secs(5));
        rig.answer(Outcome::Get(answer.clone()));
        assert_eq!(count(&rig) - before, failed, "{answer:?}");
    }
}

#[test]
fn a_refused_intent_changes_nothing() {
    let mut rig = Rig::new();
    rig.send();
    let attempt = rig.attempt().1.id;
    let why = || Some("enough".into());
    // `feed` holds that no fact and no call comes of a refusal.
    for intent in [
        Intent::Cancel { attempt, why: why() },
        Intent::Resend { attempt, why: why() },
        Intent::PresumeLost { attempt, why: why() },
        Intent::Answer { attempt, parts: vec![Part::text("yes")], metadata: None },
    ] {
        rig.intent(intent.clone());
        assert!(rig.refused.is_some(), "{intent:?}");
    }
    rig.answer(Outcome::Send(SendOutcome::Task(report(TaskState::Working))));
    // Its card offers nothing that we speak from now on: it cannot be asked to cancel.
    let agent = rig.core.state().agents().iter().next().unwrap().1.id;
    rig.intent(Intent::CheckAgent { agent });
    let card = Some(FetchedCard {
        card: Arc::new(Card { digest: 2, ..Card::empty() }),
        url: "http://toy".into(),
        etag: None,
    });
    let value = Probed { card, server: ServerTraits::default() };
    rig.answer(Outcome::Probe(Ok(Answered { value, took: TOOK })));
    rig.intent(Intent::Cancel { attempt, why: why() });
    assert!(rig.refused.is_some());
    assert_eq!(rig.attempt().1.task.as_ref().unwrap().cancel, None);
}

/// A caller that was interrupted asks again under the same id: its job is named, and nothing is sent, whatever has become
/// of the job and its agent.
#[test]
fn a_job_of_a_known_id_is_not_sent_again() {
    let job = JobId(uuid::Uuid::from_u128(7));
    let submit = |rig: &mut Rig, ticket| {
        let agent = rig.core.state().agents().iter().next().unwrap().1.id;
        let send = Send { job: Some(job), ..Send::new(agent, vec![Part::text("go")]) };
        let mut out = Out::default();
        let intent = Intent::Send(Box::new(send));
        rig.core.step(rig.now, Input::Intent { ticket, intent, by: None }, &mut out);
        let sends = out.effects.iter().filter(|effect| matches!(effect.order, Order::Send { .. })).count();
        (out.replies.pop().unwrap().result, out.facts.len(), sends, out.effects)
    };
    let mut rig = Rig::new();
    let (receipt, facts, sends, effects) = submit(&mut rig, 1);
    let attempt = rig.attempt().1.id;
    assert_eq!(receipt, Ok(Receipt::Taken { job, attempt: Some(attempt) }));
    assert!(facts > 0 && sends == 1, "{effects:?}");
    rig.open.extend(effects.iter().filter_map(|effect| Some((effect.call, effect.order.kind()?))));
    // While it is sent, after its end, and while nothing can be sent to its agent.
    let outcomes: [fn(&mut Rig); 3] = [
        |_| {},
        |rig| rig.answer(Outcome::Send(SendOutcome::Task(report(TaskState::Completed)))),
        |rig| {
            let agent = rig.core.state().agents().iter().next().unwrap().1.id;
            rig.intent(Intent::Breaker { agent, to: Some(BreakerState::Open), why: None, by: "sam".into() });
        },
    ];
    for outcome in outcomes {
        outcome(&mut rig);
        let (receipt, facts, sends, _) = submit(&mut rig, 2);
        assert_eq!((receipt, facts, sends), (Ok(Receipt::Taken { job, attempt: Some(attempt) }), 0, 0));
    }
    // A journal that fails takes nothing back that was there before.
    let before = rig.attempt().1.clone();
    rig.feed(Input::ActUnsaved { ticket: 2, why: "disk full".into() });
    assert_eq!(rig.attempt().1, &before);
}

#[test]
fn an_outcome_of_another_call_is_a_failure() {
    let outcome = Outcome::Subscribe(SubscribeOutcome::Failed(unsent())).of(CallKind::Get);
    let cause = outcome.cause().map(ToString::to_string).unwrap_or_default();
    assert_eq!(outcome.kind(), CallKind::Get);
    assert!(cause.contains("GetTask got an outcome of SubscribeToTask"), "{cause}");
}

/// A send whose facts could not be written leaves no trace in the metrics of its agent.
#[test]
fn a_send_that_was_not_saved_is_not_counted() {
    let mut rig = Rig::new();
    let counted = |rig: &Rig| {
        let tally = rig.core.metrics().since(Minute(0), |_| true);
        (tally.begun, tally.ended(), tally.bad(), tally.calls, tally.calls_failed)
    };
    let before = counted(&rig);
    rig.send();
    assert_eq!(counted(&rig).0, before.0 + 1);
    rig.answer(CallKind::Send.unsent(Cause::Unsaved("disk full".into())));
    rig.feed(Input::ActUnsaved { ticket: 1, why: "disk full".into() });
    assert_eq!(rig.attempt().1.phase.as_str(), "unsent");
    assert_eq!(counted(&rig), before);
}

/// A task that somebody else sent is shown with its agent's own words and time, where the agent gives them.
#[test]
fn a_found_task_has_the_question_and_the_time_of_its_status() {
    let ago = |rig: &Rig, seconds: i64| Some(PeerTime::from_micros(rig.now.micros() - seconds * 1_000_000));
    let question = |id: &str| Message::new(id, Role::Agent, vec![Part::text("which city?")]);
    // The status' time in seconds before the listing, and the state's age and whether it is that of the finding.
    for (timestamp, age, found) in [(Some(480), 480, false), (None, 0, true), (Some(-60), 0, false)] {
        for id in ["q", ""] {
            let mut rig = Rig::new();
            while !rig.open.iter().any(|(_, kind)| *kind == CallKind::List) {
                rig.pass(Duration::from_secs(1));
            }
            let status = Status {
                message: Some(question(id)),
                timestamp: timestamp.and_then(|seconds| ago(&rig, seconds)),
                ..Status::new(TaskState::InputRequired)
            };
            let task = TaskReport { history: vec![question(id)], ..TaskReport::new("t", status) };
            let page = Page { tasks: vec![task], ..Page::default() };
            let listed = rig.now;
            // A new task is listed once more with its messages.
            while rig.core.state().attempts().iter().next().is_none() {
                rig.answer(Outcome::List(Ok(Answered { value: page.clone(), took: TOOK })));
            }
            let (_, attempt) = rig.attempt();
            let note = attempt.task.as_ref().and_then(|task| task.note.as_ref()).map(ToString::to_string);
            assert_eq!(note.as_deref(), Some("which city?"), "{timestamp:?} {id:?}");
            let since = attempt.since();
            assert_eq!((listed.since(since.at).as_secs(), since.found), (age, found), "{timestamp:?}");
            assert_eq!(listed.since(attempt.began()).as_secs(), age, "{timestamp:?}");
            // Its age is not that of its state.
            let state = TaskState::Working;
            let seen = AttemptFact::StateSeen {
                state,
                context: None,
                peer_time: Some(PeerTime::from_micros(rig.now.micros())),
                via: Via::Get,
                raw: None,
            };
            let job = rig.core.state().job_of(attempt).unwrap();
            let fact = Fact::attempt(job.id, attempt.id, seen);
            let entry = JournalEntry { at: rig.now, seq: job.seq + 1, actor: None, fact };
            let (mut state, began) = (rig.core.state().clone(), attempt.began());
            crate::domain::apply::apply(&mut state, &entry);
            let (_, attempt) = state.attempts().iter().next().unwrap();
            assert!(attempt.since().at > listed - Duration::from_secs(60), "{timestamp:?}");
            assert_eq!(attempt.began(), began, "{timestamp:?} {id:?}");
        }
    }
    // A clock that stands before A2A existed says nothing.
    let mut attempt = {
        let mut rig = Rig::new();
        rig.send();
        rig.answer(Outcome::Send(SendOutcome::Task(report(TaskState::Working))));
        rig.attempt().1.clone()
    };
    let known = attempt.since();
    if let Some(task) = &mut attempt.task {
        task.peer_time = Some(PeerTime::from_micros(1_000_000));
    }
    assert_eq!(attempt.since(), known, "one of ours");
    attempt.message_id = None;
    assert_eq!(attempt.since().at, known.at, "1970");
}
