//! The copy menu; what was copied is shown.

use super::menu::{Line, Menu};
use crate::domain::intent::Intent;
use crate::domain::job::message::Part;
use crate::domain::trace::{TraceCarrier, TraceId};
use crate::protocol::json::safe as escaped;
use crate::tui::cmd::Cmd;
use crate::tui::command;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::views::report;

fn copy(text: String) -> Step {
    Step::Cmd(Cmd::Copy(text))
}

/// The command that shows the item under the cursor.
pub fn command_of(shared: &Context, target: Target) -> String {
    let snapshot = &shared.snapshot;
    let flags = &shared.info.flags;
    if let Some((trace, _)) = target.trace {
        return format!("quarterdeck{flags} traces {trace}");
    }
    if let Some(attempt) = target.attempt.and_then(|key| snapshot.attempts.get(key)) {
        let intent = match (&attempt.task, attempt.phase) {
            (None, crate::domain::job::Phase::Uncertain) => Intent::Resend { attempt: attempt.id, why: None },
            (None, _) => return format!("quarterdeck{flags} task list"),
            (Some(_), _) => Intent::CheckTask { attempt: attempt.id },
        };
        return command::of_intent(snapshot, flags, &intent);
    }
    if target.problem.is_some() {
        return format!("quarterdeck{flags} problems");
    }
    match target.agent.and_then(|key| snapshot.agents.get(key)) {
        Some(agent) => command::of_agent(agent, flags),
        None => format!("quarterdeck{flags} task list"),
    }
}

/// The menu.
pub fn menu(shared: &Context, screen: &dyn Screen) -> Menu {
    let snapshot = &shared.snapshot;
    let target = screen.target(shared);
    let mut lines = vec![Line {
        key: 'y',
        label: "the command for this",
        detail: String::new(),
        step: copy(command_of(shared, target)),
    }];
    let attempt = target.attempt.and_then(|key| snapshot.attempts.get(key));
    let agent = target.agent.and_then(|key| snapshot.agents.get(key));
    if let Some(attempt) = attempt.filter(|attempt| attempt.awaits_answer()) {
        let parts = vec![Part::text("your answer")];
        let answer = Intent::Answer { attempt: attempt.id, parts, metadata: None };
        lines.push(Line {
            key: 'a',
            label: "the command that answers it",
            detail: String::new(),
            step: copy(command::of_intent(snapshot, &shared.info.flags, &answer)),
        });
    }
    let id = match (attempt, target.problem.and_then(|key| snapshot.problems.get(key)), agent) {
        (_, Some(problem), _) => Some(format!("p-{}", problem.number)),
        (Some(attempt), ..) => Some(match &attempt.task {
            Some(task) => task.id.to_string(),
            None => attempt.id.to_string(),
        }),
        (None, None, Some(agent)) => Some(agent.name.line().into_string()),
        (None, None, None) => None,
    };
    if let Some(id) = id {
        let short = crate::domain::text::fit(&id, 36);
        lines.push(Line { key: 'i', label: "id", detail: short, step: copy(id) });
    }
    if let Some((trace, span)) = target.trace {
        let id = trace.to_string();
        lines.push(Line { key: 'r', label: "trace id", detail: id.clone(), step: copy(id) });
        if let Some(span) = span {
            let id = span.to_string();
            lines.push(Line { key: 's', label: "span id", detail: id.clone(), step: copy(id) });
        }
    } else if let (Some(attempt), Some(agent)) = (attempt, agent)
        && let Some(job) = snapshot.job_of(attempt)
        && agent.spec.trace_carrier() != TraceCarrier::Off
    {
        let id = TraceId::from(job.id).to_string();
        lines.push(Line { key: 'r', label: "trace id", detail: id.clone(), step: copy(id) });
    }
    if let Some(agent) = agent
        && let Some(curl) = command::curl(agent, attempt)
    {
        let detail = if curl.is_without_credential {
            "no credential is set for its origin"
        } else {
            "secrets left out"
        };
        let (detail, step) = (detail.into(), copy(curl.command));
        lines.push(Line { key: 'u', label: "curl", detail, step });
    }
    if let Some(json) = json_of(shared, screen, target) {
        lines.push(Line {
            key: 'j',
            label: "JSON as the agent sent it",
            detail: String::new(),
            step: copy(json),
        });
    }
    if let Some(problem) = target.problem {
        lines.push(Line {
            key: 'm',
            label: "a report as Markdown",
            detail: String::new(),
            step: copy(report::of(shared, problem, screen)),
        });
    }
    if let Some(table) = screen.table(shared) {
        let rows = table.len().saturating_sub(1);
        lines.push(Line {
            key: 't',
            label: "this table as text",
            detail: format!("{rows} rows"),
            step: copy(as_text(&table)),
        });
        lines.push(Line {
            key: 'c',
            label: "this table as CSV",
            detail: String::new(),
            step: copy(as_csv(&table)),
        });
    }
    Menu::new("copy", "clipboard, and shown".into(), lines)
}

fn json_of(shared: &Context, screen: &dyn Screen, target: Target) -> Option<String> {
    let snapshot = &shared.snapshot;
    if let Some(attempt) = target.attempt.and_then(|key| snapshot.attempts.get(key)) {
        let job = snapshot.job_of(attempt)?;
        let raw = screen.followed()?.of(job.id)?.detail.raw.as_ref()?;
        return Some(escaped(&raw.0));
    }
    let card = target.agent.and_then(|key| snapshot.agents.get(key))?.card.as_ref()?;
    Some(escaped(card.raw.as_ref()?))
}

pub(super) fn as_text(table: &[Vec<String>]) -> String {
    use unicode_width::UnicodeWidthStr;
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| table.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in table {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            line.push_str(cell);
            line.push_str(&" ".repeat(widths[at] - cell.width() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub(super) fn as_csv(table: &[Vec<String>]) -> String {
    let quoted = |cell: &String| {
        let cell = if is_formula(cell) { format!("'{cell}") } else { cell.clone() };
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    };
    let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
    table.iter().map(line).collect()
}

/// True if a spreadsheet may run a cell: it begins like a formula, also behind blanks or in another width.
fn is_formula(cell: &str) -> bool {
    let begun = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    begun.starts_with([
        '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\u{fe66}', '\u{fe62}',
        '\u{fe63}', '\u{fe6b}', '\u{2212}',
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_text_and_csv() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = [row(&["A", "LONG"]), row(&["x, \"y\"", "=1+1"])];
        assert_eq!(as_text(&table), "A       LONG\nx, \"y\"  =1+1\n");
        assert_eq!(as_csv(&table), "A,LONG\n\"x, \"\"y\"\"\",'=1+1\n");
    }

    #[test]
    fn no_cell_of_a_spreadsheet_is_a_formula() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1+1", "'\t=1+1"),
            (" =1+1", "' =1+1"),
            ("\u{3000}=1+1", "'\u{3000}=1+1"),
            ("\u{ff1d}cmd", "'\u{ff1d}cmd"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}x", "'\u{ff20}x"),
            ("\r=1", "\"'\r=1\""),
            ("1=1", "1=1"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(as_csv(&[vec![cell.to_owned()]]), format!("{written}\n"), "{cell:?}");
        }
    }
}
