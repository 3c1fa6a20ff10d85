//! The menu of the window and of its baseline.

use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::step::{Line, Menu, Step};
use crate::tui::window::{Baseline, Window};

/// The menu of `t`, over a row.
pub fn menu(ctx: &Context, target: Target) -> Menu {
    let mut lines = Vec::new();
    for (key, label, minutes) in Window::CHOICES {
        let window = Window::last(minutes);
        let detail = if ctx.window == window { "now" } else { "" };
        lines.push(Line { key, label, detail: detail.into(), step: Step::Window(window) });
    }
    if let Some(at) = happened(ctx, target) {
        let detail = format!("15m on both sides of {}", ctx.clocks.second(at, ctx.now));
        lines.push(Line {
            key: 'a',
            label: "around this row",
            detail,
            step: Step::Window(Window::around(at)),
        });
    }
    lines.push(Line {
        key: 'f',
        label: "from, until",
        detail: ":time 02:50..03:10, or any 90m, 12h, 3d".into(),
        step: Step::Type(":time ".into()),
    });
    for (key, baseline) in ['H', 'D', 'W'].into_iter().zip(Baseline::ALL) {
        let label = match baseline {
            Baseline::Hour => "compare with the hour before",
            Baseline::Day => "compare with the day before",
            Baseline::Week => "compare with the week before",
        };
        let detail = if ctx.baseline == baseline { "now" } else { "" };
        lines.push(Line { key, label, detail: detail.into(), step: Step::Baseline(baseline) });
    }
    let facts = format!("{}, WAS {}", ctx.window.word(&ctx.clocks), ctx.baseline.word());
    Menu::new("time", facts, lines)
}

/// The time of the event under the cursor.
pub fn happened(ctx: &Context, target: Target) -> Option<At> {
    let snapshot = &ctx.snapshot;
    let problem = target.problem.and_then(|key| snapshot.problems.get(key)).map(|problem| problem.since);
    let attempt = target.attempt.and_then(|key| snapshot.attempts.get(key)).map(|attempt| attempt.since().at);
    let agent = target.agent.and_then(|key| snapshot.agents.get(key)).map(|agent| agent.since);
    problem.or(attempt).or(agent).filter(|at| *at > At::ZERO)
}
