//! The service menu of an agent. The second letter acts, or asks for a reason where work is taken away from the agent.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::{Agent, Source};
use crate::domain::intent::Intent;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::cmd::Cmd;
use crate::tui::context::Context;
use crate::tui::destination::Destination;
use crate::tui::overlays::confirmed::confirmed;
use crate::tui::overlays::shift;
use crate::tui::step::{Line, Menu, Step};

/// The menu about an agent.
pub fn menu(ctx: &Context, agent: &Agent) -> Menu {
    let by = Untrusted::from(ctx.info.operator.as_str());
    let name = agent.name.line().fit(40);
    let mut lines = Vec::new();
    let live = match agent.counts.live {
        0 => String::new(),
        1 => "; its task is still watched".into(),
        live => format!("; its {live} tasks are still watched"),
    };
    let again = ctx.key(Action::Service);
    let mut offer = |key, label, detail: String, to, done: String| {
        let intent = Intent::Service { agent: agent.id, to, why: None, by: by.clone() };
        let step = confirmed(ctx, &name, label, intent, format!("{name}: {done}"));
        lines.push(Line { key, label, detail, step });
    };
    let back = format!("{again} r puts it back");
    match &agent.service {
        None => {
            let cordon = ServiceChange::Cordon { window: None };
            let detail = format!("no new work{live}");
            offer('c', "cordon", detail, cordon, format!("gets no new work; {back}"));
        }
        Some(out) => {
            let detail = format!("{}: back in service", out.in_words());
            offer('r', "resume", detail, ServiceChange::Resume, "is back in service".to_owned());
        }
    }
    if agent.service.as_ref().is_none_or(|out| out.drain.is_none()) {
        let drain = ServiceChange::Drain { window: None, move_after: None };
        let detail = "no new work, and word once nothing runs there".to_owned();
        offer('d', "drain", detail, drain, format!("is being drained; {back}"));
    }
    lines.extend(shift::line(ctx, agent));
    let window = Step::Menu(Box::new(windows(ctx, agent, &name, &by)));
    lines.push(Line { key: 'w', label: "window…", detail: "no new work for a while".into(), step: window });
    let breaker_menu = Step::Menu(Box::new(breaker(ctx, agent, &name, &by, &live)));
    let detail = format!("{}: open, close, or leave it to itself", agent.breaker.in_words());
    lines.push(Line { key: 'b', label: "breaker…", detail, step: breaker_menu });
    if agent.sources.iter().any(|name| **name == *Source::Kept.as_str()) {
        let intent = Intent::RemoveAgent { agent: agent.id, why: None, by: by.clone() };
        let step =
            confirmed(ctx, &name, "remove", intent, format!("{name}: removed from the operator's list"));
        let detail = "added by an operator; it leaves unless something else names it".to_owned();
        lines.push(Line { key: 'x', label: "remove from the fleet", detail, step });
    }
    let drill = Step::Open(Box::new(Destination::Drill(vec![agent.id])));
    let detail = "what would happen if it died now; nothing is done".to_owned();
    lines.push(Line { key: 'f', label: "failover drill", detail, step: drill });
    let check = Step::Cmd(Cmd::Submit(Intent::CheckAgent { agent: agent.id }, format!("checking {name}")));
    lines.push(Line { key: 'k', label: "check now", detail: "card and interface".into(), step: check });
    Menu::new("in or out of service", name, lines)
}

/// Maintenance windows: the agent is back by itself.
fn windows(ctx: &Context, agent: &Agent, name: &str, by: &Untrusted) -> Menu {
    let window = |(key, label, minutes): (char, &'static str, u64)| {
        let to = ServiceChange::Cordon { window: Some(Duration::from_secs(minutes * 60)) };
        let intent = Intent::Service { agent: agent.id, to, why: None, by: by.clone() };
        let step = confirmed(ctx, name, "cordon", intent, format!("{name}: gets no new work for {label}"));
        Line { key, label, detail: "back in service by itself".into(), step }
    };
    let lines = [('1', "15 minutes", 15), ('2', "1 hour", 60), ('3', "4 hours", 240), ('4', "a day", 1440)];
    Menu::new("out of service for", name.to_owned(), lines.map(window).into())
}

/// The breaker by hand.
fn breaker(ctx: &Context, agent: &Agent, name: &str, by: &Untrusted, live: &str) -> Menu {
    let held = agent.breaker.forced.is_some();
    let again = ctx.key(Action::Service);
    let mut lines = Vec::new();
    let mut offer = |key, label, detail: String, to, done: &str| {
        let intent = Intent::Breaker { agent: agent.id, to, why: None, by: by.clone() };
        let step = confirmed(ctx, name, label, intent, format!("{name}: {done}"));
        lines.push(Line { key, label, detail, step });
    };
    if agent.breaker.position != BreakerState::Open || !held {
        let done = format!("nothing is sent to it; {again} b a ends that");
        offer('o', "stop sending", format!("held open{live}"), Some(BreakerState::Open), &done);
    }
    if agent.breaker.position != BreakerState::Closed || !held {
        let detail = "held closed, even if everything fails".to_owned();
        let done = format!("everything is sent to it; {again} b a ends that");
        offer('c', "always send", detail, Some(BreakerState::Closed), &done);
    }
    if held || agent.breaker.position != BreakerState::Closed {
        let detail = "sends again; it opens when too much fails, and tries again by itself".to_owned();
        offer('a', "automatic", detail, None, "its breaker works automatically again");
    }
    Menu::new("breaker", name.to_owned(), lines)
}

/// The menu of a candidate.
pub fn candidate(ctx: &Context, url: &str, by: &str) -> Menu {
    let shown = Untrusted::from(url).line().fit(60);
    let keep = Intent::AddAgent { url: url.into(), by: Untrusted::from(ctx.info.operator.as_str()) };
    let step = confirmed(ctx, &shown, "add", keep, format!("{shown} is in the fleet; o x there removes it"));
    let detail = format!("permanently; named by {}", Untrusted::from(by).line().fit(40));
    Menu::new("candidate", shown, vec![Line { key: 'a', label: "add to the fleet", detail, step }])
}
