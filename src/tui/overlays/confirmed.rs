//! Acts of menus: those that take work away from an agent are asked a reason for, and in production one more step confirms
//! the others.

use crate::domain::intent::Intent;
use crate::tui::cmd::Cmd;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::step::{Line, Menu, Step, WantsReason};

/// The step that submits an intent. What takes work away from an agent takes a reason, as a cancel does; in production it
/// must have one, and other acts must be confirmed.
pub fn confirmed(ctx: &Context, name: &str, label: &str, intent: Intent, done: String) -> Step {
    if intent.wants_reason(false) {
        return Step::AskWhy(Box::new(WantsReason { intent, name: format!("{label} {name}"), done }));
    }
    if !ctx.info.protect {
        return Step::Cmd(Cmd::Submit(intent, done));
    }
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &intent);
    let act = Step::Cmd(Cmd::Submit(intent, done));
    let lines = vec![Line { key: 'y', label: "do it", detail: command, step: act }];
    let menu = Menu::new("PRODUCTION: do it?", name.to_owned(), lines);
    Step::Menu(Box::new(menu))
}
