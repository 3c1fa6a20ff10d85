//! Acts of menus: in production one more step confirms them.

use crate::domain::intent::Intent;
use crate::tui::cmd::Cmd;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::step::{Line, Menu, Step, WantsReason};

/// The step that submits an intent. In production it must be confirmed, by its reason if it takes work away from the agent.
pub fn confirmed(ctx: &Context, name: &str, label: &str, intent: Intent, done: String) -> Step {
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &intent);
    if !ctx.info.protect {
        return Step::Cmd(Cmd::Submit(intent, done));
    }
    if intent.wants_reason(false) {
        return Step::AskWhy(Box::new(WantsReason { intent, name: format!("{label} {name}"), done }));
    }
    let act = Step::Cmd(Cmd::Submit(intent, done));
    let lines = vec![Line { key: 'y', label: "do it", detail: command, step: act }];
    let menu = Menu::new("PRODUCTION: do it?", name.to_owned(), lines);
    Step::Menu(Box::new(menu))
}
