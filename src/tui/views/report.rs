//! A problem as a Markdown report for a chat or a ticket. Text of agents is quoted, so that it cannot become markup.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::fact::Owner;
use crate::domain::fleet::changes;
use crate::domain::id::ProblemKey;
use crate::protocol::timestamp;
use crate::tui::context::Context;
use crate::tui::screen::Screen;
use crate::tui::views::about::Lines;
use crate::tui::views::problem;
use crate::tui::views::problem::Known;
use crate::tui::widgets::canvas::Canvas;

/// Lines are not wrapped: the reader's width is unknown.
const WIDTH: usize = usize::MAX / 2;
/// Changes before the problem that are listed.
const CHANGES: usize = 12;

/// The report, with the facts that the view has read; empty if the problem is gone.
pub fn of(ctx: &Context, key: ProblemKey, screen: &dyn Screen) -> String {
    let Some(row) = ctx.snapshot.problems.get(key) else { return String::new() };
    let clocks = ctx.clocks.dated();
    let known = Known::of(ctx, &clocks, key, row);
    let headline = crate::tui::views::problem_rows::headline(&ctx.snapshot, row);
    let explain = |canvas: &Canvas<'_>| problem::explain(canvas, ctx, row, &known, &headline, WIDTH);
    let until = row.cleared.map_or_else(
        || format!("open at {}", timestamp::format_at(ctx.now)),
        |at| format!("over at {}", timestamp::format_at(at)),
    );
    let mut out = format!(
        "# p-{} {} ({})\n\nbegan {}, {until}; watched by quarterdeck as fleet {}\n",
        row.number,
        row.kind.as_str(),
        row.severity().as_str(),
        timestamp::format_at(row.since),
        ctx.info.fleet,
    );
    let mut buffer = Buffer::empty(Rect::ZERO);
    let canvas = Canvas::new(&mut buffer, &ctx.theme, &clocks, ctx.now);
    section(&mut out, "Description", &explain(&canvas));
    section(&mut out, "Evidence", &known.shown);
    let facts = screen.facts(Owner::Fleet).unwrap_or_default();
    let before = changes::changes(&ctx.snapshot, facts, row.since - problem::BEFORE, row.since);
    let before = before.iter().take(CHANGES).rev();
    let words = before.map(|change| format!("{}  {}", timestamp::format_at(change.at), change.words));
    lines(&mut out, "What changed before it began", &words.collect::<Vec<_>>());
    match problem::log(ctx, &clocks, row, |owner| screen.facts(owner)) {
        Some(log) => section(&mut out, "What happened and who did what", &log),
        None => out.push_str("\nIts log was not read; the problem's page shows it.\n"),
    }
    out.push_str(&format!("\nSee it: `quarterdeck{} open p-{}`\n", ctx.info.flags, row.number));
    out
}

fn section(out: &mut String, title: &str, entries: &Lines) {
    let entries: Vec<String> =
        entries.iter().map(|line| line.iter().map(|span| span.text.as_str()).collect()).collect();
    lines(out, title, &entries);
}

/// Every line is indented, so that Markdown shows it verbatim.
fn lines(out: &mut String, title: &str, entries: &[String]) {
    out.push_str(&format!("\n## {title}\n\n"));
    if entries.is_empty() {
        out.push_str("nothing\n");
    }
    for line in entries {
        out.push_str(&format!("    {}\n", line.trim_end()));
    }
}
