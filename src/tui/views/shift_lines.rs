//! Shifts of work to successors, a line or two each: where it goes, how far it is, and what the next step needs.

use crate::domain::agent::Agent;
use crate::domain::agent::shift::{Results, Shift, ShiftStage};
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::views::about::Lines;
use crate::tui::widgets::canvas::{Span, span};
use crate::tui::widgets::text::wrap;

/// Shifts that are shown at most.
const SHOWN: usize = 5;

/// All shifts, those that went back first.
pub fn of_fleet(ctx: &Context, width: usize) -> Lines {
    let shifts = ctx.snapshot.agents.iter().filter_map(|(_, agent)| Some((agent, agent.shift.as_deref()?)));
    let mut shifts: Vec<_> = shifts.collect();
    shifts.sort_by_key(|(agent, shift)| (shift.stage != ShiftStage::Back, agent.order));
    let more = shifts.len().saturating_sub(SHOWN);
    let mut lines: Lines =
        shifts.into_iter().take(SHOWN).flat_map(|(agent, shift)| of(ctx, agent, shift, width)).collect();
    if more > 0 {
        lines.push(vec![span(
            format!("{more} more; quarterdeck route shift --status lists all"),
            Role::Quiet,
        )]);
    }
    lines
}

fn role(shift: &Shift) -> Role {
    match shift.stage {
        ShiftStage::Running | ShiftStage::Held => Role::Plain,
        ShiftStage::Back => Role::Warn,
        ShiftStage::Complete => Role::Ok,
    }
}

fn of(ctx: &Context, legacy: &Agent, shift: &Shift, width: usize) -> Lines {
    let to = ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == shift.terms.to);
    let to = to.map_or_else(|| "an agent that has left".to_owned(), |(_, to)| to.name.line().fit(24));
    let from = legacy.name.line().fit(24);
    let arrow = if ctx.theme.is_ascii() { "->" } else { "→" };
    let results = |name: &str, results: &Results| format!("{name} {}", results.in_words());
    let skill = shift.terms.skill.as_ref().map(|skill| format!(", skill {}", skill.line().fit(20)));
    let head =
        format!("{from} {arrow} {to}  {} %  {}{}", shift.percent(), shift.place(), skill.unwrap_or_default());
    let numbers =
        format!("{} · {}", results(&to, &shift.counts.successor), results(&from, &shift.counts.legacy));
    let next = match &shift.why {
        Some(why) => why.line().into_string(),
        None => shift.missing_in_words(ctx.snapshot.at),
    };
    let mut lines: Lines = Vec::new();
    let mut line: Vec<Span> = Vec::new();
    let mut used = 0;
    for (text, role) in [(head, role(shift)), (numbers, Role::Plain), (next, Role::Quiet)] {
        if text.is_empty() {
            continue;
        }
        for (at, part) in wrap(&text, width.saturating_sub(2)).into_iter().enumerate() {
            let cells = unicode_width::UnicodeWidthStr::width(part.as_str());
            // What belongs together stays on one line where there is room.
            if !line.is_empty() && (at > 0 || used + 3 + cells > width) {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            let lead = match (line.is_empty(), lines.is_empty()) {
                (true, true) => "",
                (true, false) => "  ",
                (false, _) => "   ",
            };
            used += lead.len() + cells;
            line.push(span(format!("{lead}{part}"), role));
        }
    }
    lines.push(line);
    lines
}
