//! Which stretch of time every view speaks of, and what it is compared with.

use super::menu::{Line, Menu};
use crate::domain::time::At;
use crate::tui::model::{Shared, Step};
use crate::tui::views::Target;
use crate::tui::window::{Before, Window};

/// The menu of `t`, over a row.
pub fn menu(shared: &Shared, target: Target) -> Menu {
    let mut lines = Vec::new();
    for (key, label, minutes) in Window::CHOICES {
        let window = Window::last(minutes);
        let detail = if shared.window == window { "now" } else { "" };
        lines.push(Line { key, label, detail: detail.into(), step: Step::Window(window) });
    }
    if let Some(at) = happened(shared, target) {
        let detail = format!("15 minutes on both sides of {}", shared.clocks.second(at, shared.now));
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
    for (key, before) in ['H', 'D', 'W'].into_iter().zip(Before::ALL) {
        let label = match before {
            Before::Hour => "compare with the hour before",
            Before::Day => "compare with the day before",
            Before::Week => "compare with the week before",
        };
        let detail = if shared.before == before { "now" } else { "" };
        lines.push(Line { key, label, detail: detail.into(), step: Step::Before(before) });
    }
    let facts = format!("{}, WAS {}", shared.window.word(&shared.clocks), shared.before.word());
    Menu::new("time", facts, lines)
}

/// When what is under the cursor happened.
pub fn happened(shared: &Shared, target: Target) -> Option<At> {
    let snapshot = &shared.snapshot;
    let problem = target.problem.and_then(|key| snapshot.problems.get(key)).map(|problem| problem.since);
    let attempt = target
        .attempt
        .and_then(|key| snapshot.attempts.get(key))
        .map(|attempt| attempt.task.as_ref().map_or(attempt.phase_since, |task| task.state_since));
    let agent = target.agent.and_then(|key| snapshot.agents.get(key)).map(|agent| agent.since);
    problem.or(attempt).or(agent).filter(|at| *at > At::ZERO)
}
