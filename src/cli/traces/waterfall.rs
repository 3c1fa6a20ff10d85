//! A trace as a waterfall in text.

use std::io::IsTerminal;

use unicode_width::UnicodeWidthStr;

use crate::cli::output::Printer;
use crate::domain::text::{fit, fit_middle};
use crate::domain::time::format_measured;
use crate::telemetry::tree::{Line, Trace, What};
use crate::telemetry::waterfall::{Cell, activity_word, bar};

/// The width where no terminal says one.
const WIDTH: usize = 100;
/// Columns of the name, at most, and of the agent.
const NAME: usize = 44;
const AGENT: usize = 16;
/// The fewest cells of a bar.
const BAR: usize = 20;

pub(super) fn print(trace: &Trace, out: &mut Printer) {
    let width = width();
    let names: Vec<String> = trace.lines.iter().map(|line| name(trace, line)).collect();
    let agents: Vec<String> = trace.lines.iter().map(|line| line.agent.line().into_string()).collect();
    let widest =
        |texts: &[String], most: usize| texts.iter().map(|text| text.width()).max().unwrap_or(0).min(most);
    let (name_width, agent_width) = (widest(&names, NAME), widest(&agents, AGENT));
    let cells = width.saturating_sub(name_width + agent_width + 14).max(BAR);
    out.plain(&head(trace));
    for ((line, name), agent) in trace.lines.iter().zip(&names).zip(&agents) {
        let bar: String = bar(trace, line, cells, trace.start, trace.end).into_iter().map(glyph).collect();
        let took = format_measured(line.took());
        let row = format!(
            "{}  {}  {took:>8}  {}",
            padded(name, name_width),
            padded(agent, agent_width),
            bar.trim_end()
        );
        out.plain(row.trim_end());
    }
    let total = trace.shares.iter().map(|share| share.time.as_secs_f64()).sum::<f64>();
    let shares: Vec<String> = trace
        .shares
        .iter()
        .map(|share| {
            let who =
                share.who.as_ref().map_or_else(|| "nobody says".to_owned(), |who| who.line().into_string());
            format!("{who} {:.0} %", share.time.as_secs_f64() / total.max(f64::MIN_POSITIVE) * 100.0)
        })
        .collect();
    out.plain(&format!("where the time went: {}", shares.join(", ")));
    out.plain("= on the critical path  - beside it  . nobody said anything  ' too short to draw  x error  > goes on");
    if trace.left_out > 0 {
        let left_out = trace.left_out;
        out.plain(&format!("{left_out} spans that say how a library works are left out; --all shows them"));
    }
    if trace.lines.iter().any(|line| line.moved != 0) {
        out.plain("times marked ~ are of a clock that differs from ours, and were moved");
    }
    if trace.lines.iter().any(|line| line.orphan) {
        out.plain("? belongs to a span that has not come: it goes on, or was lost");
    }
    if trace.dropped > 0 {
        out.warn(format!("{} spans, attributes or events of it were dropped for a limit", trace.dropped));
    }
}

fn head(trace: &Trace) -> String {
    let id = trace.spans.first().map(|span| span.trace.to_string()).unwrap_or_default();
    let took = format_measured(trace.end.since(trace.start));
    let agents = trace.agents.len();
    let count =
        |number: usize, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    format!(
        "{id}  {took}{}  {}  {}  {}",
        if trace.goes_on { " so far" } else { "" },
        count(trace.spans.len(), "span"),
        count(trace.errors, "error"),
        count(agents, "agent")
    )
}

fn name(trace: &Trace, line: &Line) -> String {
    let indent = "  ".repeat(line.depth.min(12));
    let What::Span(span) = line.what else { return format!("{indent}. nothing told") };
    let Some(span) = trace.spans.get(span) else { return indent };
    let error = if span.status.is_error() { "x " } else { "" };
    let moved = if line.moved == 0 { "" } else { " ~" };
    let orphan = if line.orphan { " ?" } else { "" };
    let word = activity_word(span);
    let space = if word.is_empty() { "" } else { "  " };
    let room = NAME.saturating_sub(indent.len());
    let name = format!("{error}{}{space}{word}{moved}{orphan}", span.name.line());
    indent + &fit_middle(&name, room)
}

fn padded(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let room = width.saturating_sub(text.width());
    text + &" ".repeat(room)
}

fn glyph(cell: Cell) -> char {
    match cell {
        Cell::Blank => ' ',
        Cell::Critical => '=',
        Cell::Beside => '-',
        Cell::Silent => '.',
        Cell::Point => '\'',
        Cell::Error => 'x',
        Cell::Ongoing => '>',
    }
}

fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return WIDTH;
    }
    crossterm::terminal::size().map_or(WIDTH, |(columns, _)| usize::from(columns).max(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::model::UnixNanos;
    use crate::telemetry::otlp::json;
    use crate::telemetry::query::TraceSpans;
    use crate::telemetry::tree::build;

    /// While a span goes on, everything within it is without a parent: its mark leaves room for the names.
    #[test]
    fn what_came_without_its_parent_has_a_short_mark() {
        let sent = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",
            "spanId":"00000000000000a1","parentSpanId":"00000000000000a2","name":"tools/call timetable.search",
            "startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
        let spans = json::spans(sent).unwrap();
        let trace = build(TraceSpans { spans, ..TraceSpans::default() }, UnixNanos(2));
        assert_eq!(name(&trace, &trace.lines[0]), "tools/call timetable.search ?");
    }
}
