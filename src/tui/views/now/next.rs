//! The next step: for the problem that the panes speak of, or for the selected row.

use crate::domain::metrics::Tally;
use crate::domain::problem::Problem;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::metrics::Group;
use crate::tui::theme::Role;
use crate::tui::views::measured::percentile;
use crate::tui::views::now::impact;
use crate::tui::views::now::impact::GroupRisk;
use crate::tui::views::problem::next_step;
use crate::tui::views::problem_rows::headline;
use crate::tui::widgets::canvas::{Span, span};

/// The pane of the next step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NextStep {
    /// What it is for.
    pub title: String,
    /// Where `enter` leads.
    pub leads: &'static str,
    /// The step, and keys.
    pub lines: Vec<Vec<Span>>,
}

/// The next step for a problem: its cause, what to do, and the keys that do something about it.
pub fn of_problem(ctx: &Context, problem: &Problem, cause: Option<&str>) -> NextStep {
    let mut keys: Vec<Span> = Vec::new();
    let mut offer = |action: Action, words: &str| {
        if !ctx.offers(action) {
            return;
        }
        if !keys.is_empty() {
            keys.push(span("   ", Role::Plain));
        }
        keys.push(span(ctx.key(action), Role::Key));
        keys.push(span(format!(" {words}"), Role::Plain));
    };
    match &problem.taken {
        None => offer(Action::Answer, "take it, so that others see it"),
        Some(taken) => offer(Action::Undo, &format!("give it back ({} has it)", taken.by.line())),
    }
    if let Some(agent) = problem.agent.and_then(|key| ctx.snapshot.agents.get(key)) {
        offer(Action::Service, &format!("{} in or out of service", agent.name.line()));
    }
    offer(Action::Mute, "mute");
    offer(Action::Note, "note");
    offer(Action::Save, "report");
    let cause = cause.map(|cause| format!("cause: {cause}")).unwrap_or_default();
    let lines = vec![vec![span(cause, Role::Plain)], vec![span(next_step(ctx, problem), Role::You)], keys];
    NextStep { title: headline(&ctx.snapshot, problem), leads: "enter evidence", lines }
}

/// The next step for a row that no problem affects: what is unusual about it, most urgent first, or that nothing is.
pub fn of_row(ctx: &Context, group: &Group, risk: GroupRisk, step: u32) -> NextStep {
    let key = |action: Action| ctx.key(action);
    let open = key(Action::Open);
    let Tally { failed, refused, lost, .. } = group.total;
    let ended = group.total.ended();
    let mut lines = Vec::new();
    if risk.need_you > 0 {
        let (count, need) = (risk.need_you, if risk.need_you == 1 { "needs" } else { "need" });
        lines.push((format!("{count} {need} you: {} shows what for", key(Action::ViewInbox)), Role::You));
    }
    if failed > 0 {
        let text = format!("{failed} of {ended} failed: {open} shows them; not enough for a problem so far");
        lines.push((text, Role::Bad));
    }
    if refused + lost > 0 {
        let text = match (refused, lost) {
            (refused, 0) => format!("{refused} refused: {open} shows them, worst first"),
            (0, lost) => format!("{lost} lost: {open} shows them, worst first"),
            (refused, lost) => format!("{refused} refused and {lost} lost: {open} shows them, worst first"),
        };
        lines.push((text, Role::Warn));
    }
    if risk.at_risk > 0 {
        let text = format!("{} at risk: {open} shows them, worst first", risk.at_risk);
        lines.push((text, Role::Warn));
    }
    if lines.is_empty() && impact::is_unusual(group, risk, step) {
        let p95 = |tally: &Tally| percentile(&tally.took, 95);
        let (now, was) = (p95(&impact::lately(group, step)), p95(&group.previous));
        let text =
            format!("slower than usual lately: p95 {now}, was {was}; {} charts it", key(Action::ViewMetrics));
        lines.push((text, Role::Warn));
    }
    if lines.is_empty() {
        lines.push((format!("nothing unusual; {open} shows its tasks"), Role::Quiet));
    }
    let lines = lines.into_iter().map(|(text, role)| vec![span(text, role)]).collect();
    NextStep { title: group.name.clone(), leads: "enter its tasks", lines }
}
