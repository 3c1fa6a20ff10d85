//! Rehearsals of the core, away from the loop, and the death of demo agents for real.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::handle::{Answer, QueryError};
use super::run::Runner;
use crate::domain::cause::{Cause, Failure};
use crate::domain::core::Core;
use crate::domain::fact::{Fact, JobFact, JournalEntry, Owner};
use crate::domain::id::{AgentId, AgentKey, JobId};
use crate::domain::intent::Intent;
use crate::domain::job::message::Message;
use crate::domain::job::plan::JobPhase;
use crate::domain::rehearsal::{self, drill, plan};
use crate::domain::state::State;
use crate::domain::time::At;
use crate::net::{Access, ConnectionUse, Method, RpcCall};
use crate::store::Reader;

/// The provider in the cards of the demo's agents: others are never asked to die.
const DEMO: &str = "Quarterdeck demo";
/// The header in which they are told that their own engine asks.
const TOKEN: http::HeaderName = http::HeaderName::from_static("quarterdeck-drill");
/// A demo agent stays dead for so long at most.
const LONGEST: Duration = Duration::from_secs(600);
/// The answer of a demo agent that is about to die.
const ANSWERS: Duration = Duration::from_secs(5);

/// What is rehearsed.
#[derive(Debug)]
pub(super) enum Rehearsed {
    Acts(Vec<Intent>),
    Death(Vec<AgentId>),
}

impl Runner {
    /// Rehearses on a copy of the core, in a thread of its own: the loop pays for the copy alone.
    pub(super) fn rehearse(&self, what: Rehearsed, reply: oneshot::Sender<Result<Answer, QueryError>>) {
        let (core, now) = (self.core.clone(), self.clock.now());
        let reader = self.reader.clone();
        // Facts of jobs that are being written may hold the only copy of a message.
        let pending = self.unwritten_messages(&what);
        tokio::task::spawn_blocking(move || {
            let mut messages = |job: JobId| {
                let stored = reader.as_ref().and_then(|reader| first_facts(reader, job));
                let facts = stored.filter(|facts| !facts.is_empty());
                facts.map_or_else(|| pending.get(&job).cloned(), |facts| message_of(&facts))
            };
            let answer = answer(core, now, &what, &mut messages);
            let _the_surface_has_gone = reply.send(Ok(answer));
        });
    }

    fn unwritten_messages(&self, what: &Rehearsed) -> BTreeMap<JobId, Arc<Message>> {
        let state = self.core.state();
        let jobs = concerned(state, what);
        let message = |job: JobId| Some((job, message_of(&self.pending(Owner::Job(job)))?));
        jobs.into_iter().filter_map(message).collect()
    }

    /// Kills agents of a demo fleet.
    pub(super) fn kill(
        &self,
        agents: &[AgentId],
        time: Duration,
        reply: oneshot::Sender<Result<Answer, QueryError>>,
    ) {
        let state = self.core.state();
        let target = |agent: &AgentId| {
            let key = state.agent_key(*agent)?;
            let row = state.agent(key)?;
            let is_demo = row.card.as_ref()?.provider.as_ref()?.raw() == DEMO;
            let url = row.interface.as_ref()?.url.raw().to_owned();
            let is_local = ["http://127.0.0.1:", "http://[::1]:"].iter().any(|local| url.starts_with(local));
            (is_demo && is_local).then_some((key, url))
        };
        let targets = agents.iter().map(target).collect::<Option<Vec<_>>>();
        let (Some(targets), Some(token)) = (targets, self.drill_token.get().cloned()) else {
            let why = "not all of them are agents of a demo that this engine owns, so none is killed";
            let cause = Cause::Unsupported(why.into());
            let _the_surface_has_gone = reply.send(Err(QueryError::Failed(Arc::new(cause))));
            return;
        };
        let net = self.net.clone();
        tokio::spawn(async move {
            let mut answer = Ok(Answer::Killed);
            for (key, url) in targets {
                if let Err(why) = die(&net, (key, &url), &token, time.min(LONGEST)).await {
                    answer = Err(QueryError::Failed(Arc::new(why.cause)));
                }
            }
            let _the_surface_has_gone = reply.send(answer);
        });
    }
}

/// The jobs whose messages may be needed.
fn concerned(state: &State, what: &Rehearsed) -> Vec<JobId> {
    let attempts: Vec<_> = match what {
        Rehearsed::Acts(acts) => acts.iter().filter_map(|act| state.attempt_key(act.attempt()?)).collect(),
        Rehearsed::Death(agents) => {
            let keys = agents.iter().filter_map(|agent| state.agent_key(*agent));
            keys.flat_map(|key| state.open_attempts(key)).collect()
        }
    };
    let jobs = attempts.into_iter().filter_map(|key| state.job_of(state.attempt(key)?));
    jobs.filter(|job| job.phase != JobPhase::Over || job.message.is_none())
        .map(|job| job.id)
        .take(plan::MOST)
        .collect()
}

fn answer(core: Core, now: At, what: &Rehearsed, messages: &mut rehearsal::Messages<'_>) -> Answer {
    match what {
        Rehearsed::Acts(acts) => Answer::Planned(Box::new(plan::of(core, now, acts, messages))),
        Rehearsed::Death(agents) => Answer::Drilled(Box::new(drill::of(core, now, agents, messages))),
    }
}

fn first_facts(reader: &std::sync::Mutex<Reader>, job: JobId) -> Option<Vec<JournalEntry>> {
    let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    reader.first_facts(Owner::Job(job), 1).ok()
}

fn message_of(facts: &[JournalEntry]) -> Option<Arc<Message>> {
    facts.iter().find_map(|entry| match &entry.fact {
        Fact::Job(_, JobFact::Opened { message, .. }) => message.clone(),
        _ => None,
    })
}

async fn die(
    net: &crate::net::Net,
    (key, url): (AgentKey, &str),
    token: &http::HeaderValue,
    time: Duration,
) -> Result<(), Failure> {
    let access = Access { parameters: vec![(TOKEN, token.clone())], ..Access::open(url) };
    let line = net.tap().line(key, 0, Method::Notify, None);
    let to = format!("{}/demo/die", url.trim_end_matches('/')).into();
    let body = format!("{{\"seconds\":{}}}", time.as_secs().max(1));
    let call = RpcCall { url: &to, headers: &[], trace: None, body };
    net.call(&access, &line, call, ConnectionUse::Dedicated, ANSWERS).await.map(|_| ())
}
