//! A fleet that is told as facts: forty agents and as many jobs as wanted, ten facts each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quarterdeck::domain::agent::card::{Card, Dialect, Interface};
use quarterdeck::domain::agent::{AgentSpec, Health, Source};
use quarterdeck::domain::apply::apply;
use quarterdeck::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry, Owner};
use quarterdeck::domain::id::{AgentId, AttemptId, ContextId, JobId, TaskId};
use quarterdeck::domain::job::message::{Message, Part, Role};
use quarterdeck::domain::job::task::{TaskState, Via};
use quarterdeck::domain::job::{Origin, Phase};
use quarterdeck::domain::state::State;
use quarterdeck::domain::time::At;
use uuid::Uuid;

/// Agents of every fleet.
pub const AGENTS: u64 = 40;
/// Facts of an ended job.
pub const FACTS_OF_A_JOB: usize = 10;
/// Time from one job to the next.
const STEP: Duration = Duration::from_millis(2);

/// The fleet so far.
pub struct FleetFixture {
    /// What the facts have led to.
    pub state: State,
    /// The moment of the last fact.
    pub now: At,
    seqs: BTreeMap<Owner, u64>,
}

impl FleetFixture {
    /// The agents, and no jobs; time begins so that `jobs` jobs end now. Their facts go to `keep` too.
    pub fn agents(jobs: u64, keep: &mut impl FnMut(JournalEntry)) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = At::from_micros(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX));
        let now = now - STEP * u32::try_from(jobs).unwrap_or(u32::MAX);
        let mut fixture = Self { state: State::default(), now, seqs: BTreeMap::new() };
        fixture.add_fact(Fact::Fleet(FleetFact::WatchStarted), keep);
        for number in 0..AGENTS {
            fixture.agent(number, keep);
        }
        fixture
    }

    /// One more fact.
    pub fn add_fact(&mut self, fact: Fact, keep: &mut impl FnMut(JournalEntry)) {
        let seq = self.seqs.entry(fact.owner()).or_default();
        *seq += 1;
        let entry = JournalEntry { at: self.now, seq: *seq, actor: None, fact };
        apply(&mut self.state, &entry);
        keep(entry);
    }

    fn agent(&mut self, number: u64, keep: &mut impl FnMut(JournalEntry)) {
        let agent = agent_id(number);
        let (name, url) = (format!("agent-{number:02}"), format!("http://127.0.0.1:9/{number}"));
        let spec = AgentSpec::at(url.as_str(), Source::Config);
        let card = Card { name: name.as_str().into(), streaming: true, ..Card::empty() };
        let interface = Interface {
            dialect: Dialect::V1_0,
            binding: "JSONRPC".into(),
            url: url.as_str().into(),
            tenant: None,
        };
        let order = u32::try_from(number).unwrap_or(0);
        let last_seen = self.now;
        self.add_fact(
            Fact::Agent(agent, AgentFact::Listed { spec: Arc::new(spec), order, name: name.as_str().into() }),
            keep,
        );
        self.add_fact(
            Fact::Agent(agent, AgentFact::CardSeen { card: Arc::new(card), reported: false }),
            keep,
        );
        self.add_fact(
            Fact::Agent(agent, AgentFact::InterfaceChosen { interface: Some(Arc::new(interface)) }),
            keep,
        );
        self.add_fact(
            Fact::Agent(agent, AgentFact::HealthChanged { health: Health::Up, cause: None, last_seen }),
            keep,
        );
    }

    /// A job from its beginning; an ended one to its end, too.
    pub fn job(&mut self, number: u64, ended: bool, keep: &mut impl FnMut(JournalEntry)) {
        self.now = self.now + STEP;
        let (job, attempt, via) = (job_id(number), attempt_id(number), Via::Send);
        let asked = message(number * 2, Role::User, &format!("summarise document {number} for the report"));
        self.add_fact(
            Fact::Job(
                job,
                JobFact::Opened {
                    origin: Origin::Sent,
                    title: asked.headline(80),
                    caller: Some("bench".into()),
                    skill: None,
                    context: None,
                    parent: None,
                    message: Some(asked.clone()),
                    plan: None,
                },
            ),
            keep,
        );
        let agent = agent_id(number % AGENTS);
        self.add_fact(
            Fact::attempt(job, attempt, AttemptFact::Planned { agent, message_id: Some(asked.id.clone()) }),
            keep,
        );
        self.add_fact(
            Fact::attempt(job, attempt, AttemptFact::Moved { phase: Phase::Sending, cause: None }),
            keep,
        );
        let task = TaskId::from(uuid(3, number).to_string().as_str());
        let context = Some(ContextId::from(uuid(4, number / 8).to_string().as_str()));
        let state = TaskState::Submitted;
        self.add_fact(
            Fact::attempt(
                job,
                attempt,
                AttemptFact::TaskSeen { task, context, state, peer_time: None, via, raw: None },
            ),
            keep,
        );
        self.moved(job, attempt, TaskState::Working, keep);
        self.says(number, keep);
        for (text, append) in [("# Report\n\n", false), ("It rose by a tenth, and fell by a fifth.\n", true)]
        {
            let parts = Arc::new(vec![Part::text(text)]);
            let (artifact, name) = ("report".into(), Some("report.md".into()));
            self.add_fact(
                Fact::attempt(
                    job,
                    attempt,
                    AttemptFact::ArtifactSeen { artifact, name, append, parts, last: append },
                ),
                keep,
            );
        }
        if ended {
            let failed = number.is_multiple_of(10);
            let state = if failed { TaskState::Failed } else { TaskState::Completed };
            self.moved(job, attempt, state, keep);
            self.add_fact(Fact::attempt(job, attempt, AttemptFact::Settled), keep);
            self.add_fact(Fact::Job(job, JobFact::Ended { cause: None, spent: None }), keep);
            // Nothing more is told of it.
            self.seqs.remove(&Owner::Job(job));
        }
    }

    fn moved(
        &mut self,
        job: JobId,
        attempt: AttemptId,
        state: TaskState,
        keep: &mut impl FnMut(JournalEntry),
    ) {
        let fact =
            AttemptFact::StateSeen { state, context: None, peer_time: None, via: Via::Send, raw: None };
        self.add_fact(Fact::attempt(job, attempt, fact), keep);
    }

    /// The agent of a job says something.
    pub fn says(&mut self, number: u64, keep: &mut impl FnMut(JournalEntry)) {
        let count = self.seqs.get(&Owner::Job(job_id(number))).copied().unwrap_or(0);
        let message = message(number * 2 + 1, Role::Agent, &format!("{count} pages of {number} are read"));
        self.add_fact(
            Fact::attempt(
                job_id(number),
                attempt_id(number),
                AttemptFact::MessageSeen { message, status: true },
            ),
            keep,
        );
    }
}

fn message(number: u64, role: Role, text: &str) -> Arc<Message> {
    Arc::new(Message::new(uuid(5, number).to_string().as_str(), role, vec![Part::text(text)]))
}

/// An id that is the same in each run, and differs in its first letters.
fn uuid(kind: u64, number: u64) -> Uuid {
    let spread = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uuid::from_u64_pair(spread, kind << 32 | number)
}

fn agent_id(number: u64) -> AgentId {
    AgentId(uuid(0, number))
}

/// The job of a number.
pub fn job_id(number: u64) -> JobId {
    JobId(uuid(1, number))
}

fn attempt_id(number: u64) -> AttemptId {
    AttemptId(uuid(2, number))
}
