//! Tests of the core alone, with toy agents and a controlled clock: streams that report nothing, or nothing new, and
//! problems of many agents at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::config::Agent;
use quarterdeck::domain::agent::Source;
use quarterdeck::domain::agent::card::{Card, FetchedCard, Offer};
use quarterdeck::domain::call::{
    Answered, Outcome, Page, Probed, SendOutcome, StreamOutcome, SubscribeOutcome,
};
use quarterdeck::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::Order;
use quarterdeck::domain::fact::{Fact, FleetFact};
use quarterdeck::domain::fleet::source::{DiscoveredAgent, SourceKind, SourceReport, SourceSpec};
use quarterdeck::domain::id::{AgentKey, CallId};
use quarterdeck::domain::input::{Input, Rules, ServerTraits};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::message::{Artifact, Hints, Message, Part, Role};
use quarterdeck::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::problem::thresholds::ProblemThresholds;
use quarterdeck::domain::state::State;
use quarterdeck::domain::time::At;

/// A core with agents whose answers and clock the test controls.
struct Rig {
    core: Core,
    now: At,
    /// Agents that refuse connections.
    dead: Vec<AgentKey>,
    /// The open streams, newest last.
    streams: Vec<(CallId, fn(StreamOutcome) -> Outcome)>,
    tasks: u32,
    /// Tasks that have ended, and how.
    ended: BTreeMap<String, TaskState>,
    facts: Vec<Fact>,
    /// True if subscriptions begin with the task, as the protocol requires.
    snapshots: bool,
}

impl Rig {
    fn new(urls: &[&str], rules: ProblemThresholds) -> Self {
        let rules = Rules { problems: rules, ..Rules::default() };
        let mut rig = Self {
            core: Core::new(State::default(), rules, 7),
            now: At::from_micros(1_795_000_000_000_000),
            dead: Vec::new(),
            streams: Vec::new(),
            tasks: 0,
            ended: BTreeMap::new(),
            facts: Vec::new(),
            snapshots: true,
        };
        let mut out = Out::default();
        rig.core.resume(rig.now, None, &mut out);
        rig.feed(Input::Configured(urls.iter().map(|url| Agent::at(*url).spec(Source::Config)).collect()));
        rig.pass(1);
        rig
    }

    fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        self.core.step(self.now, input, &mut out);
        self.facts.extend(out.facts.into_iter().map(|entry| entry.fact));
        for effect in out.effects {
            let answer = self.answer(effect.to.agent().unwrap(), &effect.order, effect.call);
            for outcome in answer {
                self.feed(Input::Outcome { call: effect.call, outcome });
            }
        }
    }

    fn answer(&mut self, agent: AgentKey, order: &Order, call: CallId) -> Vec<Outcome> {
        let took = Duration::from_millis(3);
        let failed =
            |sent, cause| order.kind().map(|kind| kind.failed(Failure { sent, cause })).into_iter().collect();
        if self.dead.contains(&agent) {
            return if matches!(order, Order::Close { .. }) {
                vec![]
            } else {
                failed(Sent::Not, Cause::Refused)
            };
        }
        let server = ServerTraits::default();
        match order {
            Order::Probe { url, .. } => {
                let offer = Offer {
                    url: url.as_ref().into(),
                    binding: "JSONRPC".into(),
                    version: Some("1.0".into()),
                    tenant: None,
                };
                let card = Card { name: "toy".into(), streaming: true, offers: vec![offer], ..Card::empty() };
                let card = Some(FetchedCard { card: Arc::new(card), url: url.clone(), etag: None });
                vec![Outcome::Probe(Ok(Answered { value: Probed { card, server }, took }))]
            }
            Order::Send { .. } => {
                self.tasks += 1;
                let stream = |outcome| Outcome::Send(SendOutcome::Stream(outcome));
                self.streams.push((call, stream));
                let task = StreamEvent::Task(Box::new(report(self.tasks)));
                vec![
                    stream(StreamOutcome::Opened { took, server }),
                    stream(StreamOutcome::Events(vec![task])),
                ]
            }
            Order::Subscribe { .. } => {
                let stream = |outcome| Outcome::Subscribe(SubscribeOutcome::Stream(outcome));
                self.streams.push((call, stream));
                let mut answer = vec![stream(StreamOutcome::Opened { took, server })];
                if self.snapshots {
                    let task = StreamEvent::Task(Box::new(report(self.tasks)));
                    answer.push(stream(StreamOutcome::Events(vec![task])));
                }
                answer
            }
            Order::Get { task, .. } => {
                let mut report = TaskReport { id: task.clone(), ..report(self.tasks) };
                if let Some(state) = self.ended.get(&*task.raw()) {
                    report.status.state = state.clone();
                }
                vec![Outcome::Get(Ok(Answered { value: Box::new(report), took }))]
            }
            Order::List { .. } => vec![Outcome::List(Ok(Answered { value: Page::default(), took }))],
            Order::Check { .. } | Order::Cancel { .. } => {
                let error = RpcError { name: ErrorName::TaskNotFound, code: None, message: "".into() };
                failed(Sent::Maybe, Cause::Rpc(error))
            }
            Order::Close { .. } | Order::Notify(_) => vec![],
        }
    }

    /// Lets time pass.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.now = self.now + Duration::from_millis(250);
            if self.core.deadline().is_some_and(|due| due <= self.now) {
                self.feed(Input::Deadline);
            }
        }
    }

    fn send(&mut self) {
        self.send_for("s");
    }

    fn send_for(&mut self, skill: &str) {
        let agent = self.core.state().agents().iter().next().unwrap().1.id;
        let (parts, context, task, metadata) = (vec![Part::text("work")], None, None, None);
        let (skill, caller, parent) = (Some(skill.into()), None, None);
        let send = Send { agent, parts, context, task, metadata, skill, caller, parent };
        self.feed(Input::Intent { ticket: 0, intent: Intent::Send(Box::new(send)), by: None });
    }

    /// The agent sends an event on its newest stream.
    fn emit(&mut self, event: StreamEvent) {
        let (call, stream) = *self.streams.last().unwrap();
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Events(vec![event])) });
    }

    fn emit_status(&mut self, state: TaskState, text: &str, number: u32) {
        if state.is_terminal() {
            self.ended.insert(format!("t{}", self.tasks), state.clone());
        }
        let message = (!text.is_empty()).then(|| Message {
            id: format!("m{}-{number}", self.tasks).as_str().into(),
            role: Role::Agent,
            parts: vec![Part::text(text)],
            context: None,
            task: None,
            metadata: None,
            references: Vec::new(),
            hints: Hints::default(),
        });
        let status = Status { state, message, timestamp: None };
        self.emit(StreamEvent::Status { task: None, context: None, status, metadata: None, raw: None });
    }

    /// The kinds of open problems, one for each subject.
    fn problems(&self) -> Vec<Kind> {
        let open = self.core.state().problems().iter().filter(|(_, problem)| problem.cleared.is_none());
        let mut kinds: Vec<Kind> = open.map(|(_, problem)| problem.kind).collect();
        kinds.sort_unstable();
        kinds
    }
}

fn report(number: u32) -> TaskReport {
    TaskReport {
        id: format!("t{number}").as_str().into(),
        context: None,
        status: Status { state: TaskState::Working, message: None, timestamp: None },
        artifacts: None,
        history: Vec::new(),
        metadata: None,
        hints: Hints::default(),
        raw: None,
    }
}

#[test]
fn a_quiet_task_is_silent_until_its_usual_pause_is_known_and_stuck_after_that() {
    let mut rig = Rig::new(&["http://h:1/"], ProblemThresholds::default());
    rig.send();
    rig.pass(29);
    assert_eq!(rig.problems(), []);
    rig.pass(3);
    assert_eq!(rig.problems(), [Kind::TaskSilent]);
    rig.emit_status(TaskState::Working, "again", 1);
    assert_eq!(rig.problems(), []);
    rig.emit_status(TaskState::Completed, "", 2);
    // Each task pauses for twenty seconds, which becomes the usual pause.
    for number in 0..6 {
        rig.send();
        rig.pass(20);
        rig.emit_status(TaskState::Working, "half", number);
        rig.pass(20);
        rig.emit_status(TaskState::Completed, "", number);
    }
    rig.send();
    rig.pass(60);
    assert_eq!(rig.problems(), [], "twenty seconds are usual");
    rig.pass(80);
    assert_eq!(rig.problems(), [Kind::TaskStuck]);
    rig.emit_status(TaskState::Working, "at last", 9);
    assert_eq!(rig.problems(), []);
}

#[test]
fn repeated_status_texts_are_a_loop_and_another_text_ends_it() {
    let mut rig = Rig::new(&["http://h:1/"], ProblemThresholds { loops: 6, ..ProblemThresholds::default() });
    rig.send();
    // Signs of life without text do not count, nor do texts that differ each time.
    for number in 0..20 {
        rig.emit_status(TaskState::Working, "", number);
        rig.emit_status(TaskState::Working, &format!("step {number}"), number);
    }
    assert_eq!(rig.problems(), []);
    for number in 20..25 {
        rig.emit_status(TaskState::Working, "searching", number);
    }
    assert_eq!(rig.problems(), []);
    rig.emit_status(TaskState::Working, "searching", 25);
    assert_eq!(rig.problems(), [Kind::TaskLooping]);
    let artifact = Artifact {
        id: "a".into(),
        name: None,
        description: None,
        parts: vec![Part::text("found")],
        metadata: None,
    };
    rig.emit(StreamEvent::Artifact { task: None, context: None, artifact, append: false, last: false });
    assert_eq!(rig.problems(), []);
    for number in 30..36 {
        rig.emit_status(TaskState::Working, "searching", number);
    }
    assert_eq!(rig.problems(), [Kind::TaskLooping]);
    rig.emit_status(TaskState::Completed, "done", 40);
    assert_eq!(rig.problems(), []);
}

#[test]
fn a_stream_without_any_event_is_reported_as_silent() {
    let mut rig = Rig::new(&["http://h:1/"], ProblemThresholds::default());
    rig.send();
    // From here on it is another engine, which knows the task and subscribes again.
    let state = rig.core.state().clone();
    rig.core = Core::new(state, Rules::default(), 8);
    rig.streams.clear();
    rig.snapshots = false;
    let mut out = Out::default();
    rig.core.resume(rig.now, Some(rig.now), &mut out);
    rig.feed(Input::Configured(vec![Agent::at("http://h:1/").spec(Source::Config)]));
    rig.pass(25);
    assert_eq!(rig.problems(), []);
    rig.pass(20);
    assert_eq!(rig.problems(), [Kind::StreamSilent]);
    rig.emit_status(TaskState::Working, "here", 1);
    assert_eq!(rig.problems(), []);
}

#[test]
fn agents_of_one_host_that_fail_together_are_one_problem() {
    let urls = ["http://h:1/", "http://h:2/", "http://h:3/", "http://h:4/", "http://h:5/", "http://h:6/"];
    let all: Vec<&str> = urls.into_iter().chain(["http://i:1/"]).collect();
    let mut rig = Rig::new(&all, ProblemThresholds::default());
    let keys: Vec<AgentKey> = rig.core.state().agents().iter().map(|(key, _)| key).collect();
    rig.dead = keys[..3].to_vec();
    rig.pass(60);
    assert_eq!(rig.problems(), [Kind::AgentDown; 3]);
    // The agent of another host is reported separately.
    rig.dead = keys[..5].iter().chain(&keys[6..]).copied().collect();
    rig.pass(60);
    assert_eq!(rig.problems(), [Kind::AgentDown, Kind::HostDown]);
    let group = rig.core.state().problems().iter().find(|(_, problem)| problem.kind == Kind::HostDown);
    let number = group.map(|(_, problem)| problem.number).unwrap();
    let merged = rig
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Fleet(FleetFact::ProblemCleared { into: Some(into), .. }) if *into == number));
    assert!(merged.count() >= 3, "problems that were reported separately refer to the group");
    // After a restart it is still one problem.
    let state = rig.core.state().clone();
    rig.core = Core::new(state, Rules::default(), 8);
    let mut out = Out::default();
    rig.core.resume(rig.now, Some(rig.now), &mut out);
    rig.feed(Input::Configured(all.iter().map(|url| Agent::at(*url).spec(Source::Config)).collect()));
    rig.pass(60);
    assert_eq!(rig.problems(), [Kind::AgentDown, Kind::HostDown]);
    // Agents that do not come back with the others are reported separately again.
    rig.dead = keys[..2].to_vec();
    rig.pass(90);
    assert_eq!(rig.problems(), [Kind::AgentDown; 2]);
    rig.dead.clear();
    rig.pass(90);
    assert_eq!(rig.problems(), []);
}

/// The agents are grouped even if each is on a different host.
#[test]
fn agents_of_one_source_that_fail_together_are_one_problem() {
    let mut rig = Rig::new(&["http://z:1/"], ProblemThresholds::default());
    let source = SourceSpec { name: "shop".into(), kind: SourceKind::Kubernetes, at: "shop".into() };
    rig.feed(Input::Sources(vec![source]));
    let found = ["a", "b", "c", "d", "e", "f"].map(|host| DiscoveredAgent::at(format!("http://{host}:1/")));
    rig.feed(Input::Discovered { source: "shop".into(), news: SourceReport::Agents(found.to_vec()) });
    rig.pass(60);
    assert_eq!(rig.problems(), []);
    let keys: Vec<AgentKey> = rig.core.state().agents().iter().map(|(key, _)| key).collect();
    // The agent in the configuration does not belong to the source.
    rig.dead = keys.clone();
    rig.pass(60);
    assert_eq!(rig.problems(), [Kind::AgentDown, Kind::SourceDown]);
    let open = rig.core.state().problems().iter().map(|(_, problem)| problem);
    let group = open.filter(|problem| problem.cleared.is_none()).find(|row| row.kind == Kind::SourceDown);
    let text = group.unwrap().text.line().into_string();
    assert_eq!(text, "source shop: none of its 6 agents can be reached");
    rig.dead.clear();
    rig.pass(90);
    assert_eq!(rig.problems(), []);
}

/// If one skill fails, the skill is reported and not the agent; the problem ends once the skill works again.
#[test]
fn one_failing_skill_among_good_ones_is_reported_as_a_skill() {
    let mut rig = Rig::new(&["http://h:1/"], ProblemThresholds::default());
    let mut number = 0;
    let mut round = |rig: &mut Rig, bad: TaskState| {
        for (skill, state) in [("sum", TaskState::Completed), ("draw", bad), ("add", TaskState::Completed)] {
            number += 1;
            rig.send_for(skill);
            rig.emit_status(state, "", number);
            rig.pass(2);
        }
    };
    for failed in 1..=5 {
        assert_eq!(rig.problems(), [], "before {failed} failed");
        round(&mut rig, TaskState::Failed);
    }
    assert_eq!(rig.problems(), [Kind::SkillFailing]);
    let (_, problem) = rig.core.state().problems().iter().next().unwrap();
    let text = problem.text.line().into_string();
    assert!(text == "fails all of its last tasks of skill draw; its other skills work", "{text}");
    for _ in 0..6 {
        round(&mut rig, TaskState::Completed);
    }
    assert_eq!(rig.problems(), []);
}
