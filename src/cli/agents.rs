//! `agents`: the fleet with its health, after a round of probes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::args::{Agents, Global};
use super::output::{Failure, Printer, table};
use super::session::{Session, Setup, probed};
use crate::domain::agent::candidates::Candidates;
use crate::domain::agent::replicas::ReplicaKey;
use crate::domain::agent::{Agent, normalise_url};
use crate::domain::cause::Cause;
use crate::domain::fleet::source::SourceHealth;
use crate::domain::id::AgentKey;
use crate::domain::intent::Intent;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::{Untrusted, confusable};
use crate::protocol::timestamp;

pub(super) async fn run(global: &Global, args: Agents, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    for url in &args.urls {
        super::login::card_url(url)?;
    }
    let session = Session::open(&setup, &args.urls, &args.login, false).await?;
    if let Err(failure) = change(&setup, &session, &args, out).await {
        session.close(true).await;
        return Err(failure);
    }
    let snapshot = session.handle.snapshot();
    if !session.is_own() {
        // The running engine probes on its own; this is an extra round.
        let listed = snapshot.agents.iter().filter(|(_, agent)| agent.listed);
        // All at once: each is confirmed after a commit to the journal.
        let checks = listed.map(|(_, agent)| session.handle.submit(Intent::CheckAgent { agent: agent.id }));
        let _shown_by_the_state = join_all(checks).await;
    }
    let keys: Vec<_> = shown(&snapshot, &args.urls).iter().map(|(key, _)| *key).collect();
    out.progress("probing…");
    let all = probed(&session.handle, (!args.urls.is_empty()).then_some(&keys), args.timeout).await;
    let snapshot = session.handle.snapshot();
    let rows = shown(&snapshot, &args.urls);
    if args.candidates {
        print_candidates(&snapshot, out);
    } else if out.is_json() {
        out.document(&document(&snapshot, &args.urls));
    } else if rows.is_empty() {
        out.warn("no agents: name one by its URL, or configure a fleet (quarterdeck config example)");
    } else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|(_, agent)| {
                let dialect = agent.interface.as_ref().map(|i| format!("{} {}", i.dialect, i.binding.line()));
                vec![
                    agent.name.line().into_string(),
                    agent.service.as_ref().map_or_else(
                        || agent.health.as_str().to_owned(),
                        |out| format!("{}, {}", agent.health.as_str(), out.word()),
                    ),
                    agent.breaker.in_words(),
                    dialect.unwrap_or_else(|| "–".into()),
                    agent.card.as_ref().map(|card| card.version.line().into_string()).unwrap_or_default(),
                    agent.spec.url.to_string(),
                    agent.cause.as_deref().map(Cause::to_string).unwrap_or_default(),
                ]
            })
            .collect();
        for line in table(&["AGENT", "STATE", "BREAKER", "SPEAKS", "VERSION", "URL", "REASON"], &cells) {
            out.row(&line);
        }
    }
    let names: Vec<_> = rows.iter().map(|(_, agent)| agent.name.line()).collect();
    for (one, other) in confusable(names.iter().map(|name| &**name)) {
        out.warn(format!(
            "two names look alike and differ: {} at {} and {} at {}; compare their addresses",
            names[one], rows[one].1.spec.url, names[other], rows[other].1.spec.url
        ));
    }
    if !all {
        out.warn("some agents or sources did not answer in time");
    }
    for (_, source) in snapshot.sources.iter().filter(|_| args.urls.is_empty()) {
        if let (SourceHealth::Failing, Some(cause)) = (source.health, &source.cause) {
            out.warn(format!("source {} cannot be read: {cause}", source.spec.name));
        }
    }
    session.close(true).await;
    Ok(ExitCode::SUCCESS)
}

/// The requested agents, in the order configured or typed.
fn shown<'s>(snapshot: &'s Snapshot, urls: &[String]) -> Vec<(crate::domain::id::AgentKey, &'s Agent)> {
    let wanted: Vec<_> = urls.iter().map(|url| normalise_url(url)).collect();
    let named = |agent: &Agent| wanted.is_empty() || wanted.contains(&normalise_url(&agent.spec.url));
    let mut rows: Vec<_> = snapshot.agents.iter().filter(|(_, agent)| agent.listed && named(agent)).collect();
    rows.sort_by_key(|(_, agent)| agent.order);
    rows
}

/// The document of `-o json`: the agents at these URLs, or all.
pub fn document(snapshot: &Snapshot, urls: &[String]) -> Value {
    let groups = groups(snapshot);
    let rows = shown(snapshot, urls);
    let agents: Vec<Value> = rows.iter().map(|(key, agent)| row(agent, groups.get(key))).collect();
    json!({ "agents": agents })
}

/// Adds and removes for good.
async fn change(setup: &Setup, session: &Session, args: &Agents, out: &mut Printer) -> Result<(), Failure> {
    let by = Untrusted::from(setup.config.operator.as_str());
    let why = || args.why.as_deref().map(Untrusted::from);
    for url in &args.add {
        let intent = Intent::AddAgent { url: url.as_str().into(), by: by.clone() };
        session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal))?;
        out.warn(format!(
            "{} is in the fleet from now on; --remove takes it out",
            Untrusted::from(url.as_str())
        ));
    }
    for wanted in &args.remove {
        let snapshot = session.handle.snapshot();
        let url = normalise_url(wanted);
        let mut rows = snapshot.agents.iter().filter(|(_, agent)| agent.listed);
        let named = |agent: &Agent| *agent.name.line() == **wanted || normalise_url(&agent.spec.url) == url;
        let Some((_, agent)) = rows.find(|(_, agent)| named(agent)) else {
            let failure = Failure::usage(format!("there is no agent {wanted:?} in the fleet"));
            return Err(failure.hint("quarterdeck agents names them"));
        };
        let intent = Intent::RemoveAgent { agent: agent.id, why: why(), by: by.clone() };
        session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal))?;
        out.warn(format!("{} is no longer in the operator's list", Untrusted::from(wanted.as_str())));
    }
    Ok(())
}

/// Prints candidates and the agents that name them.
fn print_candidates(snapshot: &Snapshot, out: &mut Printer) {
    let candidates = Candidates::of(snapshot.agents.iter());
    let name = |key: &AgentKey| snapshot.agents.get(*key).map(|agent| agent.name.line().into_string());
    let rows: Vec<_> = candidates
        .iter()
        .map(|one| {
            let by: Vec<String> = one.by.iter().filter_map(name).collect();
            (one.url, one.name.map(|name| name.line().into_string()), by)
        })
        .collect();
    if out.is_json() {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(url, name, by)| json!({ "url": &**url, "name": name, "namedBy": by }))
            .collect();
        return out.document(&json!({ "candidates": rows }));
    }
    if rows.is_empty() {
        return out.warn("no card names an agent that is not in the fleet");
    }
    let cells: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(url, name, by)| vec![url.to_string(), name.unwrap_or_else(|| "–".into()), by.join(", ")])
        .collect();
    for line in table(&["URL", "NAME", "NAMED BY"], &cells) {
        out.row(&line);
    }
    out.warn("quarterdeck agents --add URL adds one for good");
}

/// The names of groups of replicas: their card's name, numbered where several groups share one.
fn groups(snapshot: &Snapshot) -> BTreeMap<AgentKey, String> {
    let mut members: BTreeMap<&ReplicaKey, Vec<AgentKey>> = BTreeMap::new();
    for (key, agent) in snapshot.agents.iter().filter(|(_, agent)| agent.listed) {
        if let Some(replica_key) = &agent.replica_key {
            members.entry(replica_key).or_default().push(key);
        }
    }
    let mut groups: Vec<_> = members.into_values().filter(|keys| keys.len() > 1).collect();
    groups.sort();
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let mut named = BTreeMap::new();
    for keys in groups {
        let card = keys.first().and_then(|key| snapshot.agents.get(*key)?.card.clone());
        let base = card.map(|card| card.name.line().into_string()).unwrap_or_default();
        let number = taken.entry(base.clone()).or_default();
        *number += 1;
        let name = if *number == 1 { base } else { format!("{base}~{number}") };
        named.extend(keys.into_iter().map(|key| (key, name.clone())));
    }
    named
}

/// An agent in the shape that scripts rely on.
fn row(agent: &Agent, group: Option<&String>) -> Value {
    let printable = |text: &str| Untrusted::from(text).line().into_string();
    let labels: serde_json::Map<String, Value> =
        agent.spec.labels.iter().map(|(key, value)| (printable(key), json!(printable(value)))).collect();
    let text = |text: &Untrusted| text.line().into_string();
    json!({
        "id": agent.id.to_string(),
        "name": text(&agent.name),
        "url": &*agent.spec.url,
        "state": agent.health.as_str(),
        "dialect": agent.interface.as_ref().map(|interface| interface.dialect.as_str()),
        "binding": agent.interface.as_ref().map(|interface| text(&interface.binding)),
        "reason": agent.cause.as_deref().map(Cause::to_string),
        "since": timestamp::format_at(agent.since),
        "breaker": agent.breaker.position.as_str(),
        "service": agent.service.as_ref().map_or("in-service", |out| out.word()),
        "version": agent.card.as_ref().map(|card| text(&card.version)),
        "labels": labels,
        "group": group,
        "deviations": agent.deviations.iter().map(text).collect::<Vec<_>>(),
    })
}
