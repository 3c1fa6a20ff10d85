//! `card get`: prints an agent's card, optionally validated.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::args::{Card, Global, Target};
use super::output::{Failure, Printer};
use super::session::{AgentReference, Session, Setup, find_agent, probed, resolve_reference};
use crate::domain::agent::Agent;
use crate::domain::agent::card;
use crate::domain::text::Untrusted;

pub(super) async fn run(global: &Global, args: Card, out: &mut Printer) -> Result<ExitCode, Failure> {
    let Card::Get { target, validate } = args;
    let setup = Setup::load(global)?.of_open_tasks();
    let (session, agent) = reach(&setup, &target).await?;
    let Some(card) = &agent.card else {
        let failure = agent.cause.as_deref().map_or_else(
            || Failure::new(3, "A2ACLI_ERR_CARD_NOT_FOUND", "there is no card"),
            |cause| Failure::from_call(&agent, cause),
        );
        session.close(false).await;
        return Err(failure);
    };
    let card = card.clone();
    session.close(false).await;
    if out.is_json() {
        match card.raw.as_ref().and_then(|raw| serde_json::from_str::<Value>(raw.raw()).ok()) {
            Some(value) => out.document(&value),
            None => return Err(Failure::internal("the card is too large to be kept whole")),
        }
    } else {
        print(&card, &agent, out);
    }
    if validate {
        for fault in &card.faults {
            out.warn(fault.clone());
        }
        if !card.faults.is_empty() {
            let message =
                format!("the card lacks or breaks {} of what the specification requires", card.faults.len());
            if out.is_json() {
                out.warn(message);
                return Ok(ExitCode::from(1));
            }
            return Err(Failure::new(1, "A2ACLI_ERR_CARD_INVALID", message));
        }
        out.warn("the card has everything that the specification requires");
    }
    Ok(ExitCode::SUCCESS)
}

/// Reaches the agent of a reference and waits until its card was read or could not be.
async fn reach(setup: &Setup, target: &Target) -> Result<(Session, Agent), Failure> {
    let (session, reference) = match resolve_reference(setup, &target.agent).await? {
        AgentReference::Fleet(name) => (Session::open(setup, &[], &target.login, false).await?, name),
        AgentReference::Running(session, _) => (session, target.agent.clone()),
        AgentReference::Direct(reference) => {
            let url = super::login::card_url(&reference)?;
            (Session::direct(setup, &reference, &target.login)?, url)
        }
    };
    let key = find_agent(&session.handle.snapshot(), &reference).map(|(key, _)| key);
    let key = key.ok_or_else(|| Failure::usage(format!("no agent is called {reference:?}")))?;
    probed(&session.handle, Some(&[key]), Duration::from_secs(15)).await;
    let agent = session.handle.snapshot().agents.get(key).cloned();
    let agent = agent.ok_or_else(|| Failure::internal("the agent has gone"))?;
    Ok((session, agent))
}

fn print(card: &card::Card, agent: &Agent, out: &mut Printer) {
    let list = |items: &[Untrusted]| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    out.field("Name", card.name.clone());
    out.field("Description", card.description.clone());
    out.field("Version", card.version.clone());
    if let Some(provider) = &card.provider {
        out.field("Provider", provider.clone());
    }
    for offer in &card.offers {
        let version = offer.version.as_ref().map_or_else(|| "no version".to_owned(), ToString::to_string);
        let used = agent.interface.as_ref().is_some_and(|used| {
            used.url == offer.url
                && used.binding == offer.binding
                && crate::domain::agent::card::Dialect::from_version(&version) == Some(used.dialect)
        });
        let mark = if used { ", used here" } else { "" };
        out.field("Interface", format!("{} {version} at {}{mark}", offer.binding, offer.url));
    }
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    out.field("Streaming", yes(card.streaming));
    out.field("Push notifications", yes(card.push_notifications));
    out.field("Extended card", yes(card.extended_card));
    out.field("Takes", list(&card.input_modes));
    out.field("Gives", list(&card.output_modes));
    for scheme in &card.security {
        out.field("Security", format!("{}: {}", scheme.name, scheme.kind));
    }
    if !card.required_security.is_empty() {
        out.field("Requires", list(&card.required_security));
    }
    for skill in &card.skills {
        let tags = if skill.tags.is_empty() { String::new() } else { format!(" [{}]", list(&skill.tags)) };
        out.field("Skill", format!("{} ({}){tags}: {}", skill.id, skill.name, skill.description));
    }
    if card.signatures > 0 {
        out.field("Signatures", format!("{}, not verified", card.signatures));
    }
    if agent.interface.is_none()
        && let Some(cause) = &agent.cause
    {
        out.warn(cause.to_string());
    }
}
