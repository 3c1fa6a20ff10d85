//! `agents`: the fleet with its health, after a round of probes.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Agents, Global};
use super::output::{Failure, Printer, table};
use super::session::{Session, Setup, probed};
use crate::domain::agent::{Agent, normalise_url};
use crate::domain::cause::Cause;
use crate::domain::discovery::SourceHealth;
use crate::domain::intent::Intent;
use crate::domain::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::protocol::timestamp;

pub(super) async fn run(global: &Global, args: Agents, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    for url in &args.urls {
        super::session::card_url(url)?;
    }
    let session = Session::open(&setup, &args.urls, &args.login, false).await?;
    let snapshot = session.handle.snapshot();
    if !session.is_own() {
        // The running engine probes by itself; this is a fresh round.
        for (_, agent) in snapshot.agents.iter().filter(|(_, agent)| agent.listed) {
            let _told_by_the_state = session.handle.submit(Intent::CheckAgent { agent: agent.id }).await;
        }
    }
    let keys: Vec<_> = shown(&snapshot, &args.urls).iter().map(|(key, _)| *key).collect();
    out.progress("probing…");
    let all = probed(&session.handle, (!args.urls.is_empty()).then_some(&keys), args.timeout).await;
    let snapshot = session.handle.snapshot();
    let rows = shown(&snapshot, &args.urls);
    if out.is_json() {
        let agents: Vec<Value> = rows.iter().map(|(_, agent)| row(agent)).collect();
        out.document(&json!({ "agents": agents }));
    } else if rows.is_empty() {
        out.warn("no agents: name one by its URL, or configure a fleet (quarterdeck config example)");
    } else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|(_, agent)| {
                let dialect = agent.interface.as_ref().map(|i| format!("{} {}", i.dialect, i.binding.line()));
                vec![
                    agent.name.line().into_string(),
                    agent.health.as_str().to_owned(),
                    dialect.unwrap_or_else(|| "–".into()),
                    agent.spec.url.to_string(),
                    agent.cause.as_deref().map(Cause::to_string).unwrap_or_default(),
                ]
            })
            .collect();
        for line in table(&["AGENT", "STATE", "SPEAKS", "URL", "REASON"], &cells) {
            out.row(&line);
        }
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

/// The agents that are asked for, in the order configured or typed.
fn shown<'s>(snapshot: &'s Snapshot, urls: &[String]) -> Vec<(crate::domain::id::AgentKey, &'s Agent)> {
    let wanted: Vec<_> = urls.iter().map(|url| normalise_url(url)).collect();
    let named = |agent: &Agent| wanted.is_empty() || wanted.contains(&normalise_url(&agent.spec.url));
    let mut rows: Vec<_> = snapshot.agents.iter().filter(|(_, agent)| agent.listed && named(agent)).collect();
    rows.sort_by_key(|(_, agent)| agent.order);
    rows
}

/// An agent in the shape that scripts rely on.
fn row(agent: &Agent) -> Value {
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
    })
}
