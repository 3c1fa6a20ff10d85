//! Acts of menus: a card says what will happen before anything does. Those that take work away from an agent are asked a
//! reason for, which production must have; the others are confirmed.

use crate::domain::intent::Intent;
use crate::tui::cmd::Cmd;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::step::{Line, Menu, Step, WantsReason};

/// The step that opens the card of an intent. What takes work away from an agent takes a reason, as a cancel does.
pub fn confirmed(ctx: &Context, name: &str, label: &str, intent: Intent, done: String) -> Step {
    if intent.wants_reason(false) {
        return Step::AskWhy(Box::new(WantsReason { intent, name: format!("{label} {name}"), done }));
    }
    let command = command::of_intent(&ctx.snapshot, &ctx.info.flags, &intent);
    let detail = format!("{done}\n{command}");
    let act = Step::Cmd(Cmd::Submit(intent, done));
    let lines = vec![Line { key: 'y', label: "do it", detail, step: act }];
    let title = if ctx.info.protect { "PRODUCTION: do it?" } else { "do it?" };
    Step::Menu(Box::new(Menu::new(title, format!("{label} {name}"), lines)))
}
