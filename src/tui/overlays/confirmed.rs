//! Acts of menus: in production one more key confirms.

use crate::domain::intent::Intent;
use crate::tui::cmd::Cmd;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::step::{Line, Menu, Step};

/// The step that submits an intent. In production it must be confirmed.
pub fn confirmed(ctx: &Context, name: &str, intent: Intent, done: String) -> Step {
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &intent);
    let act = Step::Cmd(Cmd::Submit(intent, done));
    if !ctx.info.protect {
        return act;
    }
    let lines = vec![Line { key: 'y', label: "do it", detail: command, step: act }];
    let menu = Menu::new("PRODUCTION: do it?", name.to_owned(), lines);
    Step::Menu(Box::new(menu))
}
