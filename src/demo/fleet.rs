//! All embedded agents together: started, killed, brought back.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::agent::{Agent, Deaths, Links, Outgoing};
use super::condition::Condition;
use super::fault::Fault;
use super::folder::Folder;
use super::scenario::Scenario;
use super::server;
use super::telemetry::{Call, Exporter, Tracer, export};
use crate::domain::agent::{AgentSpec, Source};
use crate::domain::cause::Cause;
use crate::domain::job::message::{Hints, Message, Part, Role};
use crate::domain::job::task::TaskState;
use crate::domain::time::{At, PeerTime};
use crate::net::clock::Clock;
use crate::net::tap::{Method, Tap};
use crate::net::{Access, ConnectionUse, Net, Redactor, RpcCall};
use crate::protocol::{Deviations, Reply, Request, codec};

/// Bound of undelivered messages between agents; when it is full, senders wait.
const OUTGOING: usize = 256;
/// Agents that may be about to die for a drill; when it is full, further ones refuse.
const DYING: usize = 64;
/// From so many agents on, only one trace in ten is sent.
const MANY: usize = 200;
/// An agent answers the request to die before it does.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// A running embedded fleet. Dropping it ends every agent.
#[derive(Debug)]
pub struct Fleet {
    agents: Arc<[Running]>,
    outgoing: tokio::sync::mpsc::Sender<Outgoing>,
    delivery: AbortHandle,
    exporter: Exporter,
    export: AbortHandle,
    drills: AbortHandle,
    drill_token: http::HeaderValue,
    /// Where it is kept; `None` if it is not.
    folder: Option<Arc<Folder>>,
    clock: Arc<Clock>,
    /// When it was first started.
    began: PeerTime,
    /// Agents whose ports of the first start were taken: name, that port, the one of now.
    moved: Vec<(String, u16, u16)>,
}

#[derive(Debug)]
struct Running {
    agent: Arc<Agent>,
    address: SocketAddr,
    url: Arc<str>,
    server: Mutex<Option<AbortHandle>>,
    /// Holds the port of an agent whose port refuses from the start.
    _refusing: Option<tokio::net::TcpSocket>,
}

impl Running {
    fn kill(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = server.take() {
            self.agent.starts.fetch_add(1, Ordering::Relaxed);
            server.abort();
            self.agent.tasks.drop_streams();
        }
    }

    async fn revive(&self) {
        if self.server.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        if self.agent.part.behaviour.on_wire().forgets_tasks() {
            self.agent.tasks.forget();
        }
        // The port may still be held for a moment by a closing connection.
        for _ in 0..50 {
            match server::bind(self.address) {
                Ok(listener) => {
                    let server = tokio::spawn(server::serve(listener, self.agent.clone(), self.url.clone()));
                    *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.abort_handle());
                    self.agent.resume_work();
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, name = %self.agent.part.name, "the port is not free yet");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Kills agents for drills, and brings each back once its time is over.
async fn drill(mut dying: tokio::sync::mpsc::Receiver<(String, Duration)>, agents: Arc<[Running]>) {
    let mut deaths = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            death = dying.recv() => {
                let Some((name, time)) = death else { return };
                let agents = agents.clone();
                deaths.spawn(async move {
                    let Some(agent) = agents.iter().find(|agent| agent.agent.part.name == name) else { return };
                    tokio::time::sleep(LAST_WORDS).await;
                    agent.kill();
                    tokio::time::sleep(time).await;
                    agent.revive().await;
                });
            }
            Some(_) = deaths.join_next() => {}
        }
    }
}

/// Something that nobody can guess, from the keys that the system gives every hash map.
fn random_token() -> http::HeaderValue {
    let random = || RandomState::new().hash_one(0u8);
    let text = format!("{:016x}{:016x}", random(), random());
    let mut token = http::HeaderValue::from_str(&text).unwrap_or(http::HeaderValue::from_static(""));
    token.set_sensitive(true);
    token
}

/// One agent, as the headless demo lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its origin.
    pub url: String,
    /// Its behaviour.
    pub behaviour: &'static str,
    /// Its fault from the start; `None` if it has none.
    pub fault: Option<&'static str>,
    /// `1.0` or `0.3`.
    pub speaks: String,
}

impl Fleet {
    /// Starts every agent of a scenario on a port that the system chooses. `faults` is the percentage of
    /// agents that have one, dealt out in turn from the start.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(scenario: &Scenario, seed: u64, speed: f64, faults: u32) -> io::Result<Self> {
        Self::start_in(None, scenario, seed, speed, faults)
    }

    /// The same, kept in a folder: the ports are those of the first start, and the agents have the tasks that they had.
    ///
    /// # Errors
    /// No port can be had, or the folder cannot be used.
    pub fn start_in(
        folder: Option<Folder>,
        scenario: &Scenario,
        seed: u64,
        speed: f64,
        faults: u32,
    ) -> io::Result<Self> {
        let clock = Arc::new(Clock::start());
        let now = clock.now().micros();
        let folder = folder.map(Arc::new);
        if let Some(folder) = &folder {
            folder.start(scenario, now);
        }
        let progress = folder.as_ref().map(|folder| folder.progress()).unwrap_or_default();
        let (sender, messages) = tokio::sync::mpsc::channel(OUTGOING);
        let (sender_of_deaths, dying) = tokio::sync::mpsc::channel(DYING);
        let deaths = Deaths { token: random_token(), sender: sender_of_deaths };
        let links = Links { outgoing: sender.clone(), deaths: deaths.clone() };
        let (exporter, queue) = Exporter::new();
        let one_in = if scenario.agents.len() < MANY { 1 } else { 10 };
        let faulty = scenario.agents.len() * usize::try_from(faults.min(100)).unwrap_or(0) / 100;
        let mut agents = Vec::with_capacity(scenario.agents.len());
        let (mut ports, mut moved) = (BTreeMap::new(), Vec::new());
        for (index, part) in scenario.agents.iter().enumerate() {
            let fault = (index < faulty).then(|| Fault::ALL[index % Fault::ALL.len()]);
            let port = progress.ports.get(&part.name).copied();
            let (listener, refusing) = if fault == Some(Fault::Down) {
                (None, Some(at_port(port, server::refuse)?))
            } else {
                (Some(at_port(port, server::bind)?), None)
            };
            let address = match (&listener, &refusing) {
                (Some(listener), _) => listener.local_addr()?,
                (None, Some(socket)) => socket.local_addr()?,
                (None, None) => continue,
            };
            if let Some(before) = port.filter(|before| *before != address.port()) {
                moved.push((part.name.clone(), before, address.port()));
            }
            ports.insert(part.name.clone(), address.port());
            let url: Arc<str> = format!("http://{address}").into();
            let tracer =
                Tracer { how: part.telemetry, clock: clock.clone(), exporter: exporter.clone(), one_in };
            let agent = Agent::new(part.clone(), fault, speed, seed, links.clone(), tracer);
            let agent = Arc::new(agent);
            if let Some(condition) = progress.conditions.get(&part.name) {
                agent.change(condition.clone());
            }
            if let Some(folder) = &folder {
                agent.tasks.keep_in(folder.tasks_of(&part.name))?;
            }
            // An agent that the story has killed stays down until the story brings it back.
            let listener = listener.filter(|_| !progress.down.contains(&part.name));
            let server = listener.map(|listener| {
                agent.resume_work();
                tokio::spawn(server::serve(listener, agent.clone(), url.clone())).abort_handle()
            });
            agents.push(Running { agent, address, url, server: Mutex::new(server), _refusing: refusing });
        }
        if let Some(folder) = &folder {
            folder.update(|progress| progress.ports.append(&mut ports));
        }
        let places = agents.iter().map(|agent| (agent.agent.part.name.clone(), agent.url.clone())).collect();
        let redactor = Redactor::default();
        let net = Net::new(redactor.clone(), Tap::new(clock.clone(), redactor));
        let delivery = tokio::spawn(deliver(messages, places, net.clone())).abort_handle();
        let export = tokio::spawn(export(queue, net)).abort_handle();
        let agents: Arc<[Running]> = agents.into();
        let drills = tokio::spawn(drill(dying, agents.clone())).abort_handle();
        let began = PeerTime::from_micros(if folder.is_some() { progress.began } else { now });
        let drill_token = deaths.token;
        let outgoing = sender;
        Ok(Self {
            agents,
            outgoing,
            delivery,
            exporter,
            export,
            drills,
            drill_token,
            folder,
            clock,
            began,
            moved,
        })
    }

    /// Agents send their spans and log records to this receiver of OTLP from now on.
    pub fn export_to(&self, receiver: SocketAddr) {
        self.exporter.send_to(receiver);
    }

    /// Spans and records that were dropped, as there were too many or the receiver did not take them.
    pub fn not_exported(&self) -> u64 {
        self.exporter.dropped()
    }

    /// What an engine has to say so that agents die for its drills.
    pub fn drill_token(&self) -> &http::HeaderValue {
        &self.drill_token
    }

    /// Gives every agent some tasks that ended within the last day before the demo was first started.
    pub fn prefill(&self, tasks: u64) {
        for running in &*self.agents {
            running.agent.prefill(tasks, self.began);
        }
    }

    /// The time by the agents' clock.
    pub fn now(&self) -> At {
        self.clock.now()
    }

    /// The folder that keeps it, if one does.
    pub fn folder(&self) -> Option<&Arc<Folder>> {
        self.folder.as_ref()
    }

    /// What to tell about agents that could not get the port of the first start; `None` if all got theirs.
    pub fn moved(&self) -> Option<String> {
        let each = self.moved.iter().map(|(name, before, now)| format!("{name} from {before} to {now}"));
        let each: Vec<_> = each.collect();
        (!each.is_empty()).then(|| {
            format!(
                "ports of the first start are in use by others, so agents have moved: {}",
                each.join(", ")
            )
        })
    }

    /// The agents in order.
    pub fn list(&self) -> Vec<Listed> {
        let list = self.agents.iter().map(|agent| Listed {
            name: agent.agent.part.name.clone(),
            url: agent.url.to_string(),
            behaviour: agent.agent.part.behaviour.as_str(),
            fault: agent.agent.fault.map(Fault::as_str),
            speaks: agent.agent.part.speaks.clone(),
        });
        list.collect()
    }

    /// The agents as specs for an engine.
    pub fn specs(&self) -> Vec<AgentSpec> {
        let specs = self.agents.iter().map(|agent| AgentSpec {
            name: Some(agent.agent.part.name.as_str().into()),
            url: agent.url.clone(),
            source: Source::Demo,
            dialect: None,
            resubscribe: agent.agent.part.behaviour.on_wire().allows_resubscribe().then_some(true),
            labels: agent
                .agent
                .part
                .labels
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            replica_of: None,
            capacity: agent.agent.part.capacity,
            probe_interval: None,
            trace_context: None,
        });
        specs.collect()
    }

    fn find(&self, name: &str) -> Option<&Running> {
        self.agents.iter().find(|agent| agent.agent.part.name == name)
    }

    /// Changes what is different about an agent from here on.
    pub fn change(&self, name: &str, to: Condition) {
        if let Some(agent) = self.find(name) {
            agent.agent.change(to);
        }
    }

    /// Kills an agent: its port refuses connections, open ones are cut, its work stops.
    pub fn kill(&self, name: &str) {
        if let Some(agent) = self.find(name) {
            agent.kill();
        }
    }

    /// Starts a killed agent again on its port.
    pub async fn revive(&self, name: &str) {
        if let Some(agent) = self.find(name) {
            agent.revive().await;
        }
    }

    /// The built-in caller: sends a task to each agent that speaks 1.0 in turn, so that each gets one in every `round`.
    pub async fn call(&self, round: Duration) {
        let names: Vec<_> = self
            .agents
            .iter()
            .filter(|agent| agent.agent.part.speaks == "1.0")
            .map(|agent| agent.agent.part.name.clone())
            .collect();
        let pause = round / u32::try_from(names.len().max(1)).unwrap_or(u32::MAX);
        // A start goes on where the last one ended: the same piece of work would be the same message.
        let sent = self.folder.as_ref().map_or(0, |folder| folder.progress().calm);
        let sent = usize::try_from(sent).unwrap_or(0);
        for (number, name) in names.iter().cycle().enumerate().skip(sent) {
            if let Some(folder) = &self.folder {
                folder.update(|progress| progress.calm = number as u64 + 1);
            }
            let message = Outgoing {
                to: name.clone(),
                text: format!("piece of work {}", number + 1),
                caller: "demo-caller".into(),
                parent: None,
                call: None,
            };
            if self.outgoing.send(message).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
        std::future::pending::<()>().await;
    }

    /// Every task that the agents have: the agent's name, the text, and the state.
    pub fn tasks(&self) -> Vec<(String, String, TaskState)> {
        let of = |agent: &Running| {
            let (name, tasks) = (agent.agent.part.name.clone(), agent.agent.tasks.all());
            tasks.into_iter().map(move |(text, state)| (name.clone(), text, state))
        };
        self.agents.iter().flat_map(of).collect()
    }

    /// How many sends arrived at all agents, and how many of them repeated an earlier message id.
    pub fn received(&self) -> (u64, u64) {
        let counts = self.agents.iter().map(|agent| agent.agent.tasks.arrivals());
        counts.fold((0, 0), |(all, doubled), (more, again)| (all + more, doubled + again))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.delivery.abort();
        self.export.abort();
        self.drills.abort();
        for agent in &*self.agents {
            if let Some(server) = agent.server.lock().unwrap_or_else(PoisonError::into_inner).take() {
                server.abort();
            }
        }
    }
}

/// Tries a port; if it is taken, or none is wanted, the system chooses one.
fn at_port<T>(port: Option<u16>, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match port.map(|port| bind(at(port))) {
        Some(Ok(bound)) => Ok(bound),
        Some(Err(_)) | None => bind(at(0)),
    }
}

/// Delivers delegated messages over real connections.
async fn deliver(
    mut messages: tokio::sync::mpsc::Receiver<Outgoing>,
    places: std::collections::BTreeMap<String, Arc<str>>,
    net: Net,
) {
    while let Some(outgoing) = messages.recv().await {
        let Some(url) = places.get(&outgoing.to).cloned() else { continue };
        let net = net.clone();
        tokio::spawn(async move {
            let codec = codec(crate::domain::agent::card::Dialect::V1_0);
            let parent = outgoing.parent.as_ref().map(crate::domain::id::TaskId::text).unwrap_or_default();
            let parent = parent.raw();
            let id =
                crate::domain::job::message::text_hash(&format!("{parent}{}{}", outgoing.to, outgoing.text));
            let message = Message {
                references: outgoing.parent.iter().cloned().collect(),
                hints: Hints {
                    caller: Some(outgoing.caller.as_str().into()),
                    skill: None,
                    parent: outgoing.parent.clone(),
                    ..Hints::default()
                },
                ..Message::new(
                    format!("{}-{id:016x}", outgoing.caller).as_str(),
                    Role::User,
                    vec![Part::text(outgoing.text.as_str())],
                )
            };
            let body = codec.encode_request("1", None, &Request::Send { message: &message, stream: false });
            let access = Access::open(&url);
            let line = net.tap().line(crate::domain::id::AgentKey(0), 0, Method::Send, None);
            let to = format!("{url}/").into();
            let mut span = outgoing.call;
            if let Some(span) = &mut span {
                span.begin(&message.id.raw());
            }
            let trace = span.as_ref().map(Call::parent);
            let call = RpcCall { url: &to, headers: codec.headers(), trace, body };
            let asked = net.call(&access, &line, call, ConnectionUse::Dedicated, crate::net::SEND);
            let answer = match asked.await {
                Ok((text, _)) => codec.decode_reply(&text, &mut Deviations::default()),
                Err(failure) => Err(failure.cause),
            };
            if let Err(cause) = &answer {
                tracing::debug!(%cause, "a message between embedded agents failed");
            }
            if let Some(span) = span {
                let task = match &answer {
                    Ok(Reply::Task(report)) => Some(&report.id),
                    _ => None,
                };
                let failed = answer.as_ref().err().map(|cause| (error_type(cause), cause.to_string()));
                span.end(task, failed.as_ref().map(|(kind, why)| (*kind, why.as_str())));
            }
        });
    }
}

/// The class of an error, as OpenTelemetry's `error.type` has it.
fn error_type(cause: &Cause) -> &'static str {
    match cause {
        Cause::Refused | Cause::Unreachable(_) => "connection_refused",
        Cause::Reset => "connection_reset",
        Cause::TimedOut(_) => "timeout",
        _ => "_OTHER",
    }
}
