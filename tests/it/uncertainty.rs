//! Tests of the core alone, with toy agents and a controlled clock: streams that report nothing, or nothing new, and
//! problems of many agents at once.

use std::collections::BTreeMap;

use quarterdeck::domain::call::Outcome;
use quarterdeck::domain::cause::{Cause, Failure, Sent};
use quarterdeck::domain::effect::{Effect, Order};
use quarterdeck::domain::fact::{Fact, FleetFact};
use quarterdeck::domain::fleet::source::{DiscoveredAgent, SourceKind, SourceSpec};
use quarterdeck::domain::id::AgentKey;
use quarterdeck::domain::input::{Input, Rules};
use quarterdeck::domain::job::message::{Artifact, Message, Part, Role};
use quarterdeck::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::problem::thresholds::ProblemThresholds;

use crate::scripted::{Agents, OpenStream, Scripted, got};

/// Agents whose answers the test controls.
struct Toys {
    /// Agents that refuse connections.
    dead: Vec<AgentKey>,
    /// The open streams, newest last.
    streams: Vec<OpenStream>,
    tasks: u32,
    /// Tasks that have ended, and how.
    ended: BTreeMap<String, TaskState>,
    /// True if subscriptions begin with the task, as the protocol requires.
    snapshots: bool,
}

impl Agents for Toys {
    fn answer(&mut self, effect: &Effect) -> Option<Vec<Outcome>> {
        if effect.to.agent().is_some_and(|agent| self.dead.contains(&agent)) {
            let refused = Failure { sent: Sent::Not, cause: Cause::Refused };
            return Some(effect.order.kind().map(|kind| kind.failed(refused)).into_iter().collect());
        }
        if let Some(stream) = OpenStream::of(effect) {
            let is_send = matches!(effect.order, Order::Send { .. });
            self.tasks += u32::from(is_send);
            self.streams.push(stream);
            let mut answer = vec![stream.opened()];
            if is_send || self.snapshots {
                answer.push(stream.event(StreamEvent::Task(Box::new(report(self.tasks)))));
            }
            return Some(answer);
        }
        let Order::Get { task, .. } = &effect.order else { return None };
        let mut report = TaskReport { id: task.clone(), ..report(self.tasks) };
        if let Some(state) = self.ended.get(&*task.raw()) {
            report.status.state = state.clone();
        }
        Some(vec![got(report)])
    }
}

type Rig = Scripted<Toys>;

impl Rig {
    fn start(urls: &[&str], problems: ProblemThresholds) -> Self {
        let toys =
            Toys { dead: Vec::new(), streams: Vec::new(), tasks: 0, ended: BTreeMap::new(), snapshots: true };
        let mut rig = Self::with(Rules { problems, ..Rules::default() }, toys);
        rig.configure(urls);
        rig.pass_seconds(1);
        rig
    }

    /// The agent sends an event on its newest stream.
    fn emit(&mut self, event: StreamEvent) {
        self.emit_on(*self.agents.streams.last().unwrap(), event);
    }

    fn emit_status(&mut self, state: TaskState, text: &str, number: u32) {
        if state.is_terminal() {
            self.agents.ended.insert(format!("t{}", self.agents.tasks), state.clone());
        }
        let message = (!text.is_empty()).then(|| {
            Message::new(
                format!("m{}-{number}", self.agents.tasks).as_str(),
                Role::Agent,
                vec![Part::text(text)],
            )
        });
        let status = Status { state, message, timestamp: None };
        self.emit(StreamEvent::status(None, None, status));
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
    TaskReport::new(format!("t{number}").as_str(), Status::new(TaskState::Working))
}

#[test]
fn a_quiet_task_is_silent_until_its_usual_pause_is_known_and_stuck_after_that() {
    let mut rig = Rig::start(&["http://h:1/"], ProblemThresholds::default());
    rig.send(Some("s"));
    rig.pass_seconds(29);
    assert_eq!(rig.problems(), []);
    rig.pass_seconds(3);
    assert_eq!(rig.problems(), [Kind::TaskSilent]);
    rig.emit_status(TaskState::Working, "again", 1);
    assert_eq!(rig.problems(), []);
    rig.emit_status(TaskState::Completed, "", 2);
    // Each task pauses for twenty seconds, which becomes the usual pause.
    for number in 0..6 {
        rig.send(Some("s"));
        rig.pass_seconds(20);
        rig.emit_status(TaskState::Working, "half", number);
        rig.pass_seconds(20);
        rig.emit_status(TaskState::Completed, "", number);
    }
    rig.send(Some("s"));
    rig.pass_seconds(60);
    assert_eq!(rig.problems(), [], "twenty seconds are usual");
    rig.pass_seconds(80);
    assert_eq!(rig.problems(), [Kind::TaskStuck]);
    let problem = rig.core.state().problems().iter().find(|(_, problem)| problem.kind == Kind::TaskStuck);
    let text = problem.map(|(_, problem)| problem.text.raw().to_owned());
    assert!(text.as_ref().is_some_and(|text| text.ends_with("; usually 21s between updates")), "{text:?}");
    rig.emit_status(TaskState::Working, "at last", 9);
    assert_eq!(rig.problems(), []);
}

#[test]
fn repeated_status_texts_are_a_loop_and_another_text_ends_it() {
    let mut rig =
        Rig::start(&["http://h:1/"], ProblemThresholds { loops: 6, ..ProblemThresholds::default() });
    rig.send(Some("s"));
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
    let artifact = Artifact::new("a", vec![Part::text("found")]);
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
    let mut rig = Rig::start(&["http://h:1/"], ProblemThresholds::default());
    rig.send(Some("s"));
    // From here on it is another engine, which knows the task and subscribes again.
    rig.agents.streams.clear();
    rig.agents.snapshots = false;
    rig.replace(rig.core.state().clone(), Rules::default());
    rig.configure(&["http://h:1/"]);
    rig.pass_seconds(25);
    assert_eq!(rig.problems(), []);
    rig.pass_seconds(20);
    assert_eq!(rig.problems(), [Kind::StreamSilent]);
    rig.emit_status(TaskState::Working, "here", 1);
    assert_eq!(rig.problems(), []);
}

#[test]
fn agents_of_one_host_that_fail_together_are_one_problem() {
    let urls = ["http://h:1/", "http://h:2/", "http://h:3/", "http://h:4/", "http://h:5/", "http://h:6/"];
    let all: Vec<&str> = urls.into_iter().chain(["http://i:1/"]).collect();
    let mut rig = Rig::start(&all, ProblemThresholds::default());
    let keys: Vec<AgentKey> = rig.core.state().agents().iter().map(|(key, _)| key).collect();
    rig.agents.dead = keys[..3].to_vec();
    rig.pass_seconds(60);
    assert_eq!(rig.problems(), [Kind::AgentDown; 3]);
    // The agent of another host is reported separately.
    rig.agents.dead = keys[..5].iter().chain(&keys[6..]).copied().collect();
    rig.pass_seconds(60);
    assert_eq!(rig.problems(), [Kind::AgentDown, Kind::HostDown]);
    let group = rig.core.state().problems().iter().find(|(_, problem)| problem.kind == Kind::HostDown);
    let number = group.map(|(_, problem)| problem.number).unwrap();
    let is_part = |fact: &Fact| matches!(fact, Fact::Fleet(FleetFact::ProblemCleared { into: Some(into), .. }) if *into == number);
    let merged = rig.facts.iter().filter(|entry| is_part(&entry.fact));
    assert!(merged.count() >= 3, "problems that were reported separately refer to the group");
    // After a restart it is still one problem.
    rig.replace(rig.core.state().clone(), Rules::default());
    rig.configure(&all);
    rig.pass_seconds(60);
    assert_eq!(rig.problems(), [Kind::AgentDown, Kind::HostDown]);
    // Agents that do not come back with the others are reported separately again.
    rig.agents.dead = keys[..2].to_vec();
    rig.pass_seconds(90);
    assert_eq!(rig.problems(), [Kind::AgentDown; 2]);
    rig.agents.dead.clear();
    rig.pass_seconds(90);
    assert_eq!(rig.problems(), []);
}

/// The agents are grouped even if each is on a different host.
#[test]
fn agents_of_one_source_that_fail_together_are_one_problem() {
    let mut rig = Rig::start(&["http://z:1/"], ProblemThresholds::default());
    let source = SourceSpec { name: "shop".into(), kind: SourceKind::Kubernetes, at: "shop".into() };
    rig.feed(Input::Sources(vec![source]));
    let found = ["a", "b", "c", "d", "e", "f"].map(|host| DiscoveredAgent::at(format!("http://{host}:1/")));
    rig.report("shop", found.to_vec());
    rig.pass_seconds(60);
    assert_eq!(rig.problems(), []);
    let keys: Vec<AgentKey> = rig.core.state().agents().iter().map(|(key, _)| key).collect();
    // The agent in the configuration does not belong to the source.
    rig.agents.dead = keys.clone();
    rig.pass_seconds(60);
    assert_eq!(rig.problems(), [Kind::AgentDown, Kind::SourceDown]);
    let open = rig.core.state().problems().iter().map(|(_, problem)| problem);
    let group = open.filter(|problem| problem.cleared.is_none()).find(|row| row.kind == Kind::SourceDown);
    let text = group.unwrap().text.line().into_string();
    assert_eq!(text, "source shop: none of its 6 agents can be reached");
    rig.agents.dead.clear();
    rig.pass_seconds(90);
    assert_eq!(rig.problems(), []);
}

/// If one skill fails, the skill is reported and not the agent; the problem ends once the skill works again.
#[test]
fn one_failing_skill_among_good_ones_is_reported_as_a_skill() {
    let mut rig = Rig::start(&["http://h:1/"], ProblemThresholds::default());
    let mut number = 0;
    let mut round = |rig: &mut Rig, bad: TaskState| {
        for (skill, state) in [("sum", TaskState::Completed), ("draw", bad), ("add", TaskState::Completed)] {
            number += 1;
            rig.send(Some(skill));
            rig.emit_status(state, "", number);
            rig.pass_seconds(2);
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
