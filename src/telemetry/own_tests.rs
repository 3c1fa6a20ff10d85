//! Spans of small jobs, drawn as text.

use super::*;
use crate::domain::cause::Cause;
use crate::domain::id::Rng;
use crate::domain::job::plan::WaitReason;
use crate::domain::job::task::Via;
use crate::domain::time::PeerTime;

struct Told {
    job: JobId,
    attempts: [AttemptId; 2],
    agent: AgentId,
    facts: Vec<JournalEntry>,
}

impl Told {
    fn new(origin: Origin) -> Self {
        let mut rng = Rng::new(7);
        let mut id = || rng.uuid(At::from_micros(1));
        let mut told = Self {
            job: JobId(id()),
            attempts: [AttemptId(id()), AttemptId(id())],
            agent: AgentId(id()),
            facts: Vec::new(),
        };
        told.job_fact(
            100.0,
            JobFact::Opened {
                origin,
                title: "charge".into(),
                caller: Some("shop".into()),
                skill: None,
                context: None,
                parent: None,
                message: None,
                plan: None,
            },
        );
        told
    }

    fn job_fact(&mut self, seconds: f64, fact: JobFact) {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
        let at = At::from_micros((seconds * 1e6) as i64);
        let seq = self.facts.len() as u64 + 1;
        self.facts.push(JournalEntry { at, seq, actor: None, fact: Fact::Job(self.job, fact) });
    }

    fn attempt(&mut self, number: usize, seconds: f64, fact: AttemptFact) {
        self.job_fact(seconds, JobFact::Attempt(self.attempts[number - 1], fact));
    }

    fn planned(&mut self, number: usize, seconds: f64) {
        let message_id = Some(format!("m{number}").as_str().into());
        self.attempt(number, seconds, AttemptFact::Planned { agent: self.agent, message_id });
    }

    fn state(&mut self, number: usize, seconds: f64, state: TaskState) {
        let fact =
            AttemptFact::StateSeen { state, context: None, peer_time: None, via: Via::Send, raw: None };
        self.attempt(number, seconds, fact);
    }

    fn task(&mut self, number: usize, seconds: f64, peer_time: Option<f64>) {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
        let peer_time = peer_time.map(|seconds| PeerTime::from_micros((seconds * 1e6) as i64));
        let (task, state, via) = (format!("t{number}").as_str().into(), TaskState::Working, Via::Send);
        self.attempt(
            number,
            seconds,
            AttemptFact::TaskSeen { task, context: None, state, peer_time, via, raw: None },
        );
    }

    #[track_caller]
    fn check(&self, expected: &[&str]) {
        let agents = [(self.agent, Untrusted::from("cashier"))];
        let of = OwnJob {
            job: self.job,
            trace: self.job.into(),
            parent: None,
            facts: &self.facts,
            agents: &agents,
        };
        let spans = spans(&of);
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.id).collect();
        assert_eq!(ids.len(), spans.len(), "ids are unique");
        #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
        let seconds = |at: UnixNanos| at.0 as f64 / 1e9;
        let drawn = spans.iter().map(|span| {
            let parent = spans.iter().find(|other| Some(other.id) == span.parent);
            let parent = parent.map_or_else(|| "-".to_owned(), |parent| parent.name.to_string());
            let end = span.end.map_or_else(|| "..".to_owned(), |end| seconds(end).to_string());
            let error = match &span.status {
                SpanStatus::Error(why) => format!(" error {why}"),
                SpanStatus::Unset | SpanStatus::Ok => String::new(),
            };
            let events: Vec<String> = span.events.iter().map(|event| event.name.to_string()).collect();
            format!("{} < {parent} {}-{end}{error} [{}]", span.name, seconds(span.start), events.join(", "))
        });
        assert_eq!(drawn.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_job_with_two_attempts_a_wait_and_a_question() {
    let mut told = Told::new(Origin::Sent);
    told.job_fact(100.5, JobFact::Queued { why: WaitReason::Capacity, until: None });
    told.planned(1, 102.0);
    told.attempt(1, 102.1, AttemptFact::Moved { phase: Phase::Accepted, cause: None });
    told.task(1, 102.1, None);
    told.state(1, 103.0, TaskState::Failed);
    told.planned(2, 104.0);
    told.task(2, 104.5, None);
    told.state(2, 105.0, TaskState::InputRequired);
    told.state(2, 109.0, TaskState::Working);
    told.check(&[
        "job charge < - 100-.. []",
        "attempt 1 < job charge 102-103 error failed [accepted, working, failed]",
        "attempt 2 < job charge 104-.. [working, needs an answer, working]",
        "wait for a free place < job charge 100.5-102 []",
        "wait for an answer < attempt 2 105-109 []",
    ]);
    told.state(2, 110.0, TaskState::Completed);
    told.attempt(2, 111.0, AttemptFact::Settled);
    told.check(&[
        "job charge < - 100-110 []",
        "attempt 1 < job charge 102-103 error failed [accepted, working, failed]",
        "attempt 2 < job charge 104-110 [working, needs an answer, working, completed]",
        "wait for a free place < job charge 100.5-102 []",
        "wait for an answer < attempt 2 105-109 []",
    ]);
}

#[test]
fn a_cancel_and_a_gap_are_spans_of_their_attempt() {
    let mut told = Told::new(Origin::Sent);
    told.planned(1, 101.0);
    told.task(1, 101.5, None);
    told.attempt(1, 103.0, AttemptFact::GapOpened { since: At::from_micros(102_000_000), cause: None });
    told.attempt(1, 104.0, AttemptFact::GapClosed { via: Via::Get, changed: false });
    let cancel = |mark| AttemptFact::CancelMoved { mark, cause: None, late: None };
    told.attempt(1, 105.0, cancel(CancelMark::Asked));
    told.attempt(1, 105.2, cancel(CancelMark::Agreed));
    told.state(1, 106.0, TaskState::Canceled);
    told.attempt(1, 106.5, cancel(CancelMark::Verified));
    told.job_fact(106.5, JobFact::Ended { cause: None, spent: None });
    told.check(&[
        "job charge < - 100-106.5 []",
        "attempt 1 < job charge 101-106 [working, resumed, cancel asked, cancel agreed, canceled, cancel verified]",
        "no stream < attempt 1 102-104 []",
        "CancelTask < attempt 1 105-106.5 []",
    ]);
}

#[test]
fn what_was_not_sent_and_what_was_found() {
    let mut told = Told::new(Origin::Sent);
    told.planned(1, 101.0);
    let cause = Some(Arc::new(Cause::Refused));
    told.attempt(1, 101.5, AttemptFact::Moved { phase: Phase::Unsent, cause: cause.clone() });
    told.job_fact(101.5, JobFact::Ended { cause, spent: None });
    let why = Cause::Refused.to_string();
    told.check(&[
        &format!("job charge < - 100-101.5 error {why} []"),
        &format!("attempt 1 < job charge 101-101.5 error {why} [unsent]"),
    ]);
    // A task that somebody else sent began when its agent says so, and is one span.
    let mut told = Told::new(Origin::Found);
    told.attempt(1, 100.0, AttemptFact::Planned { agent: told.agent, message_id: None });
    told.task(1, 100.0, Some(90.0));
    told.state(1, 101.0, TaskState::Completed);
    told.check(&["task charge < - 90-101 [working, completed]"]);
}
