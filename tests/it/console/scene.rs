//! One fleet at 3 a.m., built from facts: an agent of every health, a task of every state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::domain::agent::card::{Card, Dialect, Interface, Offer, SecurityScheme, Skill};
use quarterdeck::domain::agent::{Agent, AgentSpec, Health, Source};
use quarterdeck::domain::apply::apply;
use quarterdeck::domain::call::{Answered, Outcome, Probed};
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::Order;
use quarterdeck::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry, Owner};
use quarterdeck::domain::fleet::source::{SourceHealth, SourceKind, SourceSpec};
use quarterdeck::domain::id::{AgentId, AttemptId, ContextId, JobId, MessageId, TaskId};
use quarterdeck::domain::input::{Input, Rules, ServerTraits};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::message::{Json, Message, Part, Role};
use quarterdeck::domain::job::task::{CancelMark, TaskState, Verdict, Via};
use quarterdeck::domain::job::{Origin, Phase};
use quarterdeck::domain::metrics::{Block, Minute, MinuteRange, Series};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::rehearsal;
use quarterdeck::domain::rehearsal::drill::Drill;
use quarterdeck::domain::rehearsal::plan::Plan;
use quarterdeck::domain::route::decision::Decision;
use quarterdeck::domain::route::explanation::Explanation;
use quarterdeck::domain::state::State;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::domain::time::At;
use uuid::Uuid;

use super::routed;

/// 2026-11-22T03:00:00Z
const BEGINNING: i64 = 1_795_316_400_000_000;

/// So many seconds after three.
pub(crate) fn at(seconds: f64) -> At {
    At::from_micros(BEGINNING + (seconds * 1e6) as i64)
}

/// A fleet that is built fact by fact.
pub(crate) struct Scene {
    pub(crate) state: State,
    pub(crate) facts: Vec<Arc<JournalEntry>>,
    pub(crate) snapshot: Snapshot,
    /// The router has reached the agents that are up: they take work.
    pub(crate) answers: bool,
    seqs: BTreeMap<Owner, u64>,
    next: u128,
}

/// A job that was sent, with the ids that its facts refer to.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) job: JobId,
    pub(crate) attempt: AttemptId,
    number: u128,
}

impl Scene {
    /// What the router says of this fleet.
    pub(crate) fn explain(&self, now: At, send: Option<&Send>) -> Explanation {
        self.core(now).explain(now, send)
    }

    /// What acts would do.
    pub(crate) fn plan(&self, now: At, acts: &[Intent]) -> Plan {
        rehearsal::plan::of(self.core(now), now, acts, &mut |_| Some(Arc::new(work())))
    }

    /// What would happen if agents died.
    pub(crate) fn drill(&self, now: At, agents: &[AgentId]) -> Drill {
        rehearsal::drill::of(self.core(now), now, agents, &mut |_| Some(Arc::new(work())))
    }

    fn core(&self, now: At) -> Core {
        let rules = Rules { routes: Arc::new(routed::rules()), ..Rules::default() };
        let mut core = Core::new(self.state.clone(), rules, 7);
        let agents =
            self.state.agents().iter().filter(|(_, agent)| self.answers && agent.health.takes_work());
        for agent in agents.map(|(_, agent)| agent.id) {
            let mut out = Out::default();
            let intent = Intent::CheckAgent { agent };
            core.step(now, Input::Intent { ticket: 1, intent, by: None }, &mut out);
            let probe = out.effects.iter().find(|effect| matches!(effect.order, Order::Probe { .. }));
            let value = Probed { card: None, server: ServerTraits::default() };
            let outcome = Outcome::Probe(Ok(Answered { value, took: Duration::from_millis(1) }));
            core.step(now, Input::Outcome { call: probe.unwrap().call, outcome }, &mut out);
        }
        core
    }

    pub(crate) fn new() -> Self {
        let mut scene = Self {
            state: State::default(),
            facts: Vec::new(),
            snapshot: Snapshot::starting(at(0.0)),
            answers: false,
            seqs: BTreeMap::new(),
            next: 0,
        };
        scene.add_fact(0.0, Fact::Fleet(FleetFact::WatchStarted));
        scene
    }

    /// An id that is the same in each run, and differs in its first letters.
    pub(crate) fn uuid(&mut self) -> Uuid {
        self.next += 1;
        let spread = self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Uuid::from_u128(spread)
    }

    pub(crate) fn add_fact(&mut self, seconds: f64, fact: Fact) {
        self.add_fact_by(seconds, None, fact);
    }

    pub(crate) fn add_fact_by(&mut self, seconds: f64, actor: Option<&str>, fact: Fact) {
        let seq = self.seqs.entry(fact.owner()).or_default();
        *seq += 1;
        let entry = JournalEntry { at: at(seconds), seq: *seq, actor: actor.map(Into::into), fact };
        apply(&mut self.state, &entry);
        self.facts.push(Arc::new(entry));
    }

    /// What is known at a time.
    pub(crate) fn publish(&mut self, seconds: f64) -> Arc<Snapshot> {
        let changed = self.state.take_changes();
        self.snapshot.publish(&self.state, at(seconds), changed);
        Arc::new(self.snapshot.clone())
    }

    /// The story of a job so far, and the number of its last fact.
    pub(crate) fn story(&self, job: JobId) -> (Vec<Arc<JournalEntry>>, u64) {
        let of_job = self.facts.iter().filter(|fact| fact.owner() == Owner::Job(job)).cloned();
        (of_job.collect(), self.seqs.get(&Owner::Job(job)).copied().unwrap_or(0))
    }

    pub(crate) fn agent(
        &mut self,
        name: &str,
        dialect: Dialect,
        health: Health,
        cause: Option<Cause>,
    ) -> AgentId {
        let id = AgentId(self.uuid());
        let number = self.seqs.len();
        let url = format!("http://10.0.0.{number}:9000/");
        let spec = AgentSpec {
            labels: vec![("region".into(), "eu".into())],
            ..AgentSpec::at(url.as_str(), Source::Config)
        };
        let order = u32::try_from(number).unwrap();
        self.add_fact(
            0.1,
            Fact::Agent(id, AgentFact::Listed { spec: Arc::new(spec), order, name: name.into() }),
        );
        self.add_fact(
            0.1,
            Fact::Agent(id, AgentFact::Sourced { sources: vec![Source::Config.as_str().into()] }),
        );
        if health != Health::Unknown {
            let card = card(name, &url, dialect);
            let interface =
                Interface { dialect, binding: "JSONRPC".into(), url: url.as_str().into(), tenant: None };
            self.add_fact(
                0.2,
                Fact::Agent(id, AgentFact::CardSeen { card: Arc::new(card), reported: false }),
            );
            if health != Health::NotSpoken {
                self.add_fact(
                    0.2,
                    Fact::Agent(id, AgentFact::InterfaceChosen { interface: Some(Arc::new(interface)) }),
                );
            }
            self.add_fact(
                0.3,
                Fact::Agent(
                    id,
                    AgentFact::HealthChanged { health: Health::Up, cause: None, last_seen: at(0.3) },
                ),
            );
        }
        if !matches!(health, Health::Up | Health::Unknown) {
            let cause = cause.map(Arc::new);
            self.add_fact(
                100.0,
                Fact::Agent(id, AgentFact::HealthChanged { health, cause, last_seen: at(90.0) }),
            );
        }
        id
    }

    pub(crate) fn job(&mut self, seconds: f64, agent: AgentId, words: &str, caller: &str) -> Sent {
        self.routed(seconds, agent, words, caller, None)
    }

    /// A job that a decision of the router sent.
    fn routed(
        &mut self,
        seconds: f64,
        agent: AgentId,
        words: &str,
        caller: &str,
        decision: Option<Decision>,
    ) -> Sent {
        let (job, attempt) = (JobId(self.uuid()), AttemptId(self.uuid()));
        let message_id = MessageId::from(self.uuid().to_string().as_str());
        let message = self.said(Role::User, vec![Part::text(words)]);
        self.add_fact(
            seconds,
            Fact::Job(
                job,
                JobFact::Opened {
                    origin: Origin::Sent,
                    title: words.into(),
                    caller: Some(caller.into()),
                    skill: Some("charge".into()),
                    context: None,
                    parent: None,
                    message: Some(message.clone()),
                    plan: None,
                },
            ),
        );
        if let Some(decision) = decision.map(Arc::new) {
            self.add_fact(seconds, Fact::Job(job, JobFact::Routed { decision, retry: false }));
        }
        self.add_fact(
            seconds,
            Fact::attempt(job, attempt, AttemptFact::Planned { agent, message_id: Some(message_id) }),
        );
        self.moved(seconds, job, attempt, Phase::Sending, None);
        Sent { job, attempt, number: self.next }
    }

    fn said(&mut self, role: Role, parts: Vec<Part>) -> Arc<Message> {
        Arc::new(Message::new(self.uuid().to_string().as_str(), role, parts))
    }

    pub(crate) fn moved(
        &mut self,
        seconds: f64,
        job: JobId,
        attempt: AttemptId,
        phase: Phase,
        cause: Option<Cause>,
    ) {
        let cause = cause.map(Arc::new);
        self.add_fact(seconds, Fact::attempt(job, attempt, AttemptFact::Moved { phase, cause }));
    }

    /// The agent made a task of it.
    pub(crate) fn accepted(&mut self, seconds: f64, sent: Sent) {
        let attempt = sent.attempt;
        self.moved(seconds, sent.job, attempt, Phase::Accepted, None);
        let task = TaskId::from(
            Uuid::from_u128(sent.number.wrapping_mul(0xd1b5_4a32_d192_ed03) << 64).to_string().as_str(),
        );
        let context = Some(ContextId::from(format!("c-{:04x}", sent.number * 7919 % 65536).as_str()));
        let raw = format!(
            r#"{{"id":"{}","status":{{"state":"TASK_STATE_SUBMITTED"}},"kind":"task"}}"#,
            &*task.raw()
        );
        self.add_fact(
            seconds,
            Fact::attempt(
                sent.job,
                attempt,
                AttemptFact::TaskSeen {
                    task,
                    context,
                    state: TaskState::Submitted,
                    peer_time: None,
                    via: Via::Send,
                    raw: Some(Json::new(raw)),
                },
            ),
        );
    }

    pub(crate) fn state(&mut self, seconds: f64, sent: Sent, state: TaskState) {
        let attempt = sent.attempt;
        self.add_fact(
            seconds,
            Fact::attempt(
                sent.job,
                attempt,
                AttemptFact::StateSeen { state, context: None, peer_time: None, via: Via::Send, raw: None },
            ),
        );
    }

    pub(crate) fn says(&mut self, seconds: f64, sent: Sent, parts: Vec<Part>) {
        let offers = quarterdeck::protocol::question::offered(&parts);
        let message = Message { offers, ..Message::clone(&self.said(Role::Agent, parts)) };
        let message = Arc::new(message);
        self.add_fact(
            seconds,
            Fact::attempt(sent.job, sent.attempt, AttemptFact::MessageSeen { message, status: true }),
        );
    }

    pub(crate) fn verdict(&mut self, seconds: f64, sent: Sent, verdict: Option<Verdict>) {
        self.add_fact(
            seconds,
            Fact::attempt(sent.job, sent.attempt, AttemptFact::VerdictChanged { verdict, usual: None }),
        );
    }

    pub(crate) fn problem(
        &mut self,
        seconds: f64,
        number: u32,
        kind: Kind,
        agent: Option<AgentId>,
        sent: Option<Sent>,
        text: &str,
    ) {
        self.add_fact(
            seconds,
            Fact::Fleet(FleetFact::ProblemRaised {
                number,
                kind,
                agent,
                attempt: sent.map(|sent| (sent.job, sent.attempt)),
                source: None,
                text: text.into(),
                next: "look at the agent's own log".into(),
            }),
        );
    }
}

fn card(name: &str, url: &str, dialect: Dialect) -> Card {
    let skill = Skill {
        id: "charge".into(),
        name: "charge a basket".into(),
        description: "Takes a basket and charges it.".into(),
        tags: vec!["payments".into(), "eu".into()],
        examples: vec!["charge order 88213".into()],
        input_modes: Vec::new(),
        output_modes: Vec::new(),
    };
    Card {
        name: name.into(),
        description: format!("{name} does what its name says, for shops in the EU").into(),
        version: "2.4.1".into(),
        provider: Some("Example Payments".into()),
        offers: vec![
            Offer {
                url: url.into(),
                binding: "JSONRPC".into(),
                version: Some(dialect.as_str().into()),
                tenant: None,
            },
            Offer { url: url.into(), binding: "GRPC".into(), version: Some("1.0".into()), tenant: None },
        ],
        streaming: true,
        skills: vec![skill],
        input_modes: vec!["text/plain".into(), "application/json".into()],
        output_modes: vec!["text/plain".into()],
        security: vec![SecurityScheme { name: "bearer".into(), kind: "http Bearer".into() }],
        raw: Some(format!(r#"{{"name":"{name}","version":"2.4.1","url":"{url}"}}"#).into()),
        digest: 7,
        ..Card::empty()
    }
}

/// The jobs of the scene that tests refer to.
pub(crate) struct Cast {
    pub(crate) cashier: AgentId,
    pub(crate) working: Sent,
    pub(crate) asking: Sent,
    pub(crate) uncertain: Sent,
    pub(crate) ended: Sent,
}

/// The scene at 03:04:12.
#[expect(clippy::too_many_lines, reason = "a story is read from its beginning to its end")]
pub(crate) fn three_in_the_morning() -> (Scene, Cast) {
    let mut scene = Scene::new();
    let s = &mut scene;
    let cashier = s.agent("cashier-1", Dialect::V1_0, Health::Up, None);
    let second = s.agent("cashier-2", Dialect::V1_0, Health::Degraded, Some(Cause::Failing(9)));
    let ledger = s.agent("ledger-1", Dialect::V0_3, Health::Down, Some(Cause::Refused));
    let login =
        Cause::Login { status: 401, challenge: Some("Bearer realm=\"bank\"".into()), had_credentials: false };
    let bank = s.agent("bank-link", Dialect::V1_0, Health::LoginNeeded, Some(login));
    let refunds = s.agent("refund-desk", Dialect::V0_3, Health::Up, None);
    s.agent("catalog", Dialect::V1_0, Health::NotSpoken, Some(Cause::NotSpoken("GRPC 1.0".into())));
    s.agent("東京-shipping", Dialect::V1_0, Health::Unknown, None);
    let hostile = s.agent("deals\u{1b}[2J-bot\u{202e}", Dialect::V1_0, Health::Up, None);

    let working = s.job(140.1, cashier, "charge order 88213", "shop-web");
    s.accepted(140.123, working);
    s.state(140.302, working, TaskState::Working);
    s.says(141.0, working, vec![Part::text("the basket is read")]);
    s.add_fact(
        143.5,
        Fact::attempt(
            working.job,
            working.attempt,
            AttemptFact::GapOpened { since: at(143.5), cause: Some(Arc::new(Cause::Reset)) },
        ),
    );
    s.add_fact(
        144.9,
        Fact::attempt(working.job, working.attempt, AttemptFact::GapClosed { via: Via::Get, changed: false }),
    );
    for (seconds, text, append) in [
        (150.0, "# Receipt, order 88213\n\n", false),
        (151.2, "oak desk   1   412.00\n", true),
        (249.0, "lamp       2    58.00\n", true),
    ] {
        s.add_fact(
            seconds,
            Fact::attempt(
                working.job,
                working.attempt,
                AttemptFact::ArtifactSeen {
                    artifact: "receipt".into(),
                    name: Some("receipt.md".into()),
                    append,
                    parts: Arc::new(vec![Part::text(text)]),
                    last: false,
                },
            ),
        );
    }
    let asking = s.job(2.0, refunds, "refund order 88107", "shop-web");
    s.accepted(2.1, asking);
    s.state(3.0, asking, TaskState::Working);
    s.state(10.0, asking, TaskState::InputRequired);
    s.says(10.0, asking, vec![
        Part::text("Refund 412.00 EUR? It is over the limit of 300 that I may refund without a second pair of eyes."),
        data(r#"{"decision":["approve","decline"]}"#),
    ]);
    let signing = s.job(120.0, cashier, "refund order 88140", "refund-desk");
    s.accepted(120.1, signing);
    s.state(121.0, signing, TaskState::AuthRequired);
    s.says(121.0, signing, vec![Part::text("Sign in to the bank gateway at https://bank.example/device")]);
    let uncertain = s.job(130.0, bank, "send order 88190", "shop-web");
    s.moved(131.0, uncertain.job, uncertain.attempt, Phase::Uncertain, Some(Cause::Reset));
    let ended = s.job(60.0, cashier, "charge order 88201", "shop-app");
    s.accepted(60.1, ended);
    s.state(60.2, ended, TaskState::Working);
    s.says(64.0, ended, vec![Part::text("charged 39.90 EUR")]);
    s.state(64.2, ended, TaskState::Completed);
    let decision = routed::decision(second, cashier, ledger);
    let failed = s.routed(200.0, second, "charge order 88214", "shop-web", Some(decision));
    s.accepted(200.1, failed);
    s.says(206.3, failed, vec![Part::text("no rule for code SUMMER")]);
    s.state(206.3, failed, TaskState::Failed);
    let canceled = s.job(180.0, second, "charge order 88210", "shop-web");
    s.accepted(180.1, canceled);
    for (seconds, mark) in
        [(185.0, CancelMark::Asked), (185.2, CancelMark::Agreed), (186.0, CancelMark::Verified)]
    {
        if mark == CancelMark::Verified {
            s.state(186.0, canceled, TaskState::Canceled);
        }
        s.add_fact(
            seconds,
            Fact::attempt(
                canceled.job,
                canceled.attempt,
                AttemptFact::CancelMoved { mark, cause: None, late: None },
            ),
        );
    }
    let stale = s.job(90.0, ledger, "post order 88213 to the ledger", "cashier-1");
    s.accepted(90.2, stale);
    s.state(90.4, stale, TaskState::Working);
    s.verdict(100.0, stale, Some(Verdict::Stale));
    let lost = s.job(30.0, ledger, "post order 88100 to the ledger", "cashier-1");
    s.accepted(30.2, lost);
    s.verdict(95.0, lost, Some(Verdict::Lost));
    let silent = s.job(
        110.0,
        second,
        "charge order 88219, with a title that is far too long for any column of this screen",
        "shop-app",
    );
    s.accepted(110.2, silent);
    s.state(110.4, silent, TaskState::Working);
    s.verdict(200.0, silent, Some(Verdict::Silent));
    let forged = s.job(230.0, hostile, "anything cheap?", "shop-app");
    s.accepted(230.1, forged);
    s.says(
        230.5,
        forged,
        vec![Part::text("\u{1b}[2J\u{1b}[HALL AGENTS DOWN\u{7}\u{202e}gnp.exe\u{1b}]0;root\u{7}")],
    );
    s.state(230.6, forged, TaskState::Working);

    for (name, kind, at, reported) in [
        ("cards", SourceKind::Path, "/etc/quarterdeck/cards", Some((SourceHealth::Working, 3))),
        ("platform", SourceKind::Registry, "https://registry.example.com", Some((SourceHealth::Failing, 5))),
        ("ard:shop.example", SourceKind::Ard, "shop.example", None),
    ] {
        let spec = SourceSpec { name: name.into(), kind, at: at.into() };
        s.add_fact(0.1, Fact::Fleet(FleetFact::SourceListed { spec }));
        if let Some((health, agents)) = reported {
            let busy = Cause::status(503, "out of order\u{1b}[2J until six");
            let cause = (health == SourceHealth::Failing).then(|| Arc::new(busy));
            s.add_fact(
                96.0,
                Fact::Fleet(FleetFact::SourceReported { name: name.into(), health, cause, agents }),
            );
        }
    }

    s.problem(
        100.0,
        1,
        Kind::AgentDown,
        Some(ledger),
        None,
        "is down: its port refuses connections; 2 tasks at risk",
    );
    s.problem(95.0, 2, Kind::TaskLost, Some(ledger), Some(lost), "no longer knows the task");
    s.problem(
        131.0,
        3,
        Kind::SendUncertain,
        Some(bank),
        Some(uncertain),
        "nobody can tell whether the sending arrived",
    );
    s.problem(200.0, 4, Kind::TaskSilent, Some(second), Some(silent), "says working and sends nothing");
    s.problem(
        230.5,
        5,
        Kind::HostileText,
        Some(hostile),
        None,
        "sent control sequences; they are shown as plain text",
    );
    s.problem(
        20.0,
        6,
        Kind::AgentDegraded,
        Some(cashier),
        None,
        "is degraded: 3 of its last 20 calls failed",
    );
    s.add_fact(50.0, Fact::Fleet(FleetFact::ProblemCleared { number: 6, into: None }));
    s.queue(failed.job);
    (scene, Cast { cashier, working, asking, uncertain, ended })
}

pub(crate) fn data(json: &str) -> Part {
    use quarterdeck::domain::job::message::Content;
    Part { content: Content::Data(Json::new(json)), ..Part::text("") }
}

/// How long the scene has been watched.
pub(crate) const NOW: f64 = 252.0;

/// The clock moves on.
pub(crate) fn later(seconds: f64) -> At {
    at(NOW) + Duration::from_secs_f64(seconds)
}

/// The metrics of each agent of a scene, minute by minute: the usual ones, adjusted to its health in the scene.
impl Scene {
    pub(crate) fn metrics(&self, stretch: MinuteRange) -> Vec<(Minute, Arc<Block>)> {
        let now = Minute::of(at(0.0)).after(5);
        let first = now.before(9 * 24 * 60);
        let mut blocks: BTreeMap<Minute, Block> = BTreeMap::new();
        for minute in (stretch.from.max(first).0..stretch.until.min(now).0).map(Minute) {
            let block = blocks.entry(stretch.begins(minute)).or_default();
            for (place, (_, agent)) in (0u32..).zip(self.state.agents().iter()) {
                measure(block, agent, place, minute, now);
            }
        }
        blocks.into_iter().map(|(minute, block)| (minute, Arc::new(block))).collect()
    }
}

fn measure(block: &mut Block, agent: &Agent, place: u32, minute: Minute, now: Minute) {
    if agent.health == Health::Unknown {
        return;
    }
    let lately = minute >= now.before(6);
    let wave = (minute.0 * 7 + place * 13) % 5;
    let own = block.tally(Series::of_agent(agent.id));
    own.calls += 2;
    own.answer.add(Duration::from_millis(2 + u64::from(wave)));
    if matches!(agent.health, Health::Down) && lately {
        own.calls_failed += 2;
        return;
    }
    let (caller, skill) =
        if place.is_multiple_of(2) { ("shop-web", "charge") } else { ("helpdesk", "answer") };
    let series =
        Series { agent: agent.id, skill: Some(skill.into()), caller: Some(caller.into()), rule: None };
    let tally = block.tally(series);
    let slow = if matches!(agent.health, Health::Degraded) && lately { 6 } else { 1 };
    let failed = if slow > 1 { wave.min(2) } else { 0 };
    tally.begun += 2 + wave;
    tally.ok += 2 + wave - failed;
    tally.failed += failed;
    for task in 0..u64::from(2 + wave) {
        tally.took.add(Duration::from_millis((900 + task * 400) * slow));
        tally.first.add(Duration::from_millis(20 + task));
        tally.between.add(Duration::from_millis(200));
    }
}

fn work() -> Message {
    Message::new("m-work", Role::User, vec![Part::text("work")])
}
