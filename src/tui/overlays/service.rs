//! The service menu of an agent. The second letter acts; in production a third one confirms.

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{Agent, Source};
use crate::domain::intent::Intent;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::cmd::Cmd;
use crate::tui::command;
use crate::tui::context::Context;
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
    let held = agent.breaker.forced.is_some();
    let again = ctx.key(Action::Service);
    let mut offer = |key, label, detail: String, to, done: &str| {
        let intent = Intent::Breaker { agent: agent.id, to, by: by.clone() };
        lines.push(Line {
            key,
            label,
            detail,
            step: confirmed(ctx, &name, intent, format!("{name}: {done}")),
        });
    };
    if agent.breaker.position != BreakerState::Open || !held {
        let detail = format!("its breaker is held open{live}");
        offer(
            'o',
            "stop sending",
            detail,
            Some(BreakerState::Open),
            &format!("nothing is sent to it; {again} a ends that"),
        );
    }
    if agent.breaker.position != BreakerState::Closed || !held {
        let detail = "its breaker is held closed, even if everything fails".to_owned();
        offer(
            'c',
            "always send",
            detail,
            Some(BreakerState::Closed),
            &format!("everything is sent to it; {again} a ends that"),
        );
    }
    if held || agent.breaker.position != BreakerState::Closed {
        let detail =
            "sends again; its breaker opens when too much fails, and tries again by itself".to_owned();
        offer('a', "automatic", detail, None, "its breaker works automatically again");
    }
    if agent.sources.iter().any(|name| **name == *Source::Kept.as_str()) {
        let intent = Intent::RemoveAgent { agent: agent.id, by: by.clone() };
        let step = confirmed(ctx, &name, intent, format!("{name}: removed from the operator's list"));
        let detail = "added by an operator; it leaves unless something else names it".to_owned();
        lines.push(Line { key: 'd', label: "remove from the fleet", detail, step });
    }
    let check = Step::Cmd(Cmd::Submit(Intent::CheckAgent { agent: agent.id }, format!("checking {name}")));
    lines.push(Line { key: 'k', label: "check now", detail: "card and interface".into(), step: check });
    Menu::new("in or out of service", name, lines)
}

/// The menu of a candidate.
pub fn candidate(ctx: &Context, url: &str, by: &str) -> Menu {
    let shown = Untrusted::from(url).line().fit(60);
    let keep = Intent::AddAgent { url: url.into(), by: Untrusted::from(ctx.info.operator.as_str()) };
    let step = confirmed(ctx, &shown, keep, format!("{shown} is in the fleet; o d there removes it"));
    let detail = format!("permanently; named by {}", Untrusted::from(by).line().fit(40));
    Menu::new("candidate", shown, vec![Line { key: 'a', label: "add to the fleet", detail, step }])
}

/// In production an action must be confirmed.
fn confirmed(ctx: &Context, name: &str, intent: Intent, done: String) -> Step {
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &intent);
    let act = Step::Cmd(Cmd::Submit(intent, done));
    if !ctx.info.protect {
        return act;
    }
    let lines = vec![Line { key: 'y', label: "do it", detail: command, step: act }];
    let menu = Menu::new("PRODUCTION: do it?", name.to_owned(), lines);
    Step::Menu(Box::new(menu))
}
