//! A problem written down for the chat or the ticket: as Markdown that nothing an agent said can leave.

use super::about::Lines;
use super::problem::{self, Known};
use super::tasks::with_scratch;
use crate::domain::fleet::changes;
use crate::domain::id::ProblemKey;
use crate::protocol::timestamp;
use crate::tui::model::Shared;
use crate::tui::widgets::canvas::Canvas;

/// Words of a line are not broken: whoever reads it has another width.
const WIDTH: usize = usize::MAX / 2;
/// Changes before the problem that are listed.
const CHANGES: usize = 12;

/// The report; empty if the problem is gone.
pub fn of(shared: &Shared, key: ProblemKey) -> String {
    let Some(row) = shared.snapshot.problems.get(key) else { return String::new() };
    let known = Known::of(shared, key, row);
    let headline = super::problems::headline(&shared.snapshot, row);
    let explain = |canvas: &Canvas<'_>| problem::explain(canvas, shared, row, &known, &headline, WIDTH);
    let until = row.cleared.map_or_else(
        || format!("open at {}", timestamp::format_at(shared.now)),
        |at| format!("over at {}", timestamp::format_at(at)),
    );
    let mut out = format!(
        "# p-{} {} ({})\n\nbegan {}, {until}; watched by quarterdeck as fleet {}\n",
        row.number,
        row.kind.as_str(),
        row.kind.severity().as_str(),
        timestamp::format_at(row.since),
        shared.info.fleet,
    );
    section(&mut out, "What it is", &with_scratch(shared, explain));
    section(&mut out, "What shows it", &known.shown);
    let watch = shared.watch.as_deref().unwrap_or_default();
    let before = changes::changes(&shared.snapshot, watch, row.since - problem::BEFORE, row.since);
    let before = before.iter().take(CHANGES).rev();
    let words = before.map(|change| format!("{}  {}", timestamp::format_at(change.at), change.words));
    lines(&mut out, "What changed before it began", &words.collect::<Vec<_>>());
    match problem::log(shared, row) {
        Some(log) => section(&mut out, "What happened and who did what", &log),
        None => out.push_str("\nWhat happened around it was not read: it is on the problem's page.\n"),
    }
    out.push_str(&format!("\nSee it: `quarterdeck{} open p-{}`\n", shared.info.flags, row.number));
    out
}

fn section(out: &mut String, title: &str, told: &Lines) {
    let told: Vec<String> =
        told.iter().map(|line| line.iter().map(|span| span.text.as_str()).collect()).collect();
    lines(out, title, &told);
}

/// Every line is indented: Markdown shows it as it is, whatever is in it.
fn lines(out: &mut String, title: &str, told: &[String]) {
    out.push_str(&format!("\n## {title}\n\n"));
    if told.is_empty() {
        out.push_str("nothing\n");
    }
    for line in told {
        out.push_str(&format!("    {}\n", line.trim_end()));
    }
}
