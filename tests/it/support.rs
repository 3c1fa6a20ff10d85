//! What tests of the running engine share: an embedded fleet, an engine on it, and waiting for conditions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::demo::{AgentPart, Behaviour, Fleet, Scenario};
use quarterdeck::domain::agent::{Agent, AgentSpec};
use quarterdeck::domain::id::{AgentId, AttemptId, JobId};
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::{Intent, Receipt, Refusal, Send};
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::job::{Attempt, Task};
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Engine, Handle, Options};

/// Longer than anything here may take; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// An agent of a test's own fleet.
pub(crate) fn part(name: &str, behaviour: Behaviour) -> AgentPart {
    let mut scenario = Scenario::steady(1);
    AgentPart { name: name.into(), behaviour, ..scenario.agents.remove(0) }
}

/// The same in the older dialect.
pub(crate) fn old_part(name: &str, behaviour: Behaviour) -> AgentPart {
    AgentPart { speaks: "0.3".into(), ..part(name, behaviour) }
}

/// A fleet that lives ten times as fast.
pub(crate) fn fleet(parts: Vec<AgentPart>) -> Fleet {
    let scenario = Scenario { agents: parts, ..Scenario::steady(0) };
    Fleet::start(&scenario, 7, 10.0, 0).unwrap()
}

pub(crate) fn rules() -> Rules {
    Rules {
        probe_interval: Duration::from_secs(2),
        journal_settles: Duration::from_secs(1),
        ..Rules::default()
    }
}

/// An engine that watches a fleet; it keeps its data in `dir`, if there is one.
pub(crate) fn engine(fleet: &Fleet, dir: Option<&Path>) -> Engine {
    engine_with(fleet, dir, rules())
}

pub(crate) fn engine_with(fleet: &Fleet, dir: Option<&Path>, rules: Rules) -> Engine {
    Engine::start(options(fleet.specs(), dir, rules)).unwrap()
}

/// The options of an engine that watches these agents.
pub(crate) fn options(specs: Vec<AgentSpec>, dir: Option<&Path>, rules: Rules) -> Options {
    Options {
        dir: dir.map(Path::to_owned),
        power_loss_safe: false,
        rules,
        specs,
        sources: Vec::new(),
        webhook: None,
        telemetry: quarterdeck::telemetry::limits::Retention::default(),
        access: CredentialBook::default(),
        seed: Some(7),
        lock: None,
    }
}

/// An engine that watches these agents.
pub(crate) fn engine_on(
    specs: Vec<AgentSpec>,
    access: CredentialBook,
    dir: Option<&Path>,
    rules: Rules,
) -> Engine {
    Engine::start(Options { access, ..options(specs, dir, rules) }).unwrap()
}

/// Waits until a snapshot fits, and returns what was found in it.
#[track_caller]
pub(crate) fn until<T>(
    handle: &Handle,
    what: &str,
    find: impl Fn(&Snapshot) -> Option<T>,
) -> impl Future<Output = T> {
    let mut snapshots = handle.watch();
    let what = what.to_owned();
    async move {
        let found = tokio::time::timeout(LONG, async {
            loop {
                let snapshot: Arc<Snapshot> = snapshots.borrow_and_update().clone();
                if let Some(found) = find(&snapshot) {
                    return found;
                }
                snapshots.changed().await.expect("the engine has ended");
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => {
                let snapshot = snapshots.borrow().clone();
                let agents: Vec<_> =
                    snapshot.agents.iter().map(|(_, a)| format!("{} {:?}", a.name, a.health)).collect();
                let attempts: Vec<_> = snapshot.attempts.iter().map(|(_, a)| format!("{a:?}")).collect();
                panic!("never saw {what}; agents {agents:?}, attempts {attempts:#?}");
            }
        }
    }
}

/// Asks another process again and again until `ask` finds something; an error is the reason why it is not there yet.
pub(crate) async fn polled<T>(mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = tokio::time::Instant::now() + LONG;
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(why) => assert!(tokio::time::Instant::now() < end, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn agent_of<'s>(snapshot: &'s Snapshot, name: &str) -> Option<&'s Agent> {
    snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == name).map(|(_, agent)| agent)
}

pub(crate) fn attempt_of(snapshot: &Snapshot, id: AttemptId) -> Option<&Attempt> {
    snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id).map(|(_, attempt)| attempt)
}

pub(crate) fn task_of(snapshot: &Snapshot, id: AttemptId) -> Option<&Task> {
    attempt_of(snapshot, id)?.task.as_ref()
}

/// Waits until an agent has been seen.
pub(crate) async fn known(handle: &Handle, name: &str) -> AgentId {
    let name = name.to_owned();
    until(handle, "the agent", move |snapshot| agent_of(snapshot, &name).map(|agent| agent.id)).await
}

pub(crate) async fn try_send(
    handle: &Handle,
    agent: &str,
    text: &str,
) -> Result<(JobId, AttemptId), Refusal> {
    let agent = known(handle, agent).await;
    let send = Send::new(agent, vec![Part::text(text)]);
    match handle.submit(Intent::Send(Box::new(send))).await? {
        Receipt::Taken { job, attempt } => {
            Ok((job, attempt.expect("an agent that is not full gets it at once")))
        }
        other => panic!("a sending is not {other:?}"),
    }
}

pub(crate) async fn send(handle: &Handle, agent: &str, text: &str) -> (JobId, AttemptId) {
    try_send(handle, agent, text).await.unwrap()
}
