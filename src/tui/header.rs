//! The first line of the screen: the state of the fleet in counts.

use crate::domain::agent::Health;
use crate::domain::problem::Severity;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span, width};

/// The counts in the first line; the line is redrawn only if they change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    up: usize,
    degraded: usize,
    down: usize,
    login: usize,
    not_spoken: usize,
    other: usize,
    live: u32,
    need_you: u32,
    problems: usize,
    worst: Option<Severity>,
    failures: usize,
    events: u32,
    unsaved: bool,
}

impl Counts {
    /// Counts a snapshot.
    pub fn of(ctx: &Context, snapshot: &Snapshot) -> Self {
        let mut counts = Self {
            failures: ctx.failures_a_minute(),
            events: snapshot.events_per_second,
            unsaved: snapshot.unsaved,
            ..Self::default()
        };
        for (_, agent) in snapshot.agents.iter() {
            counts.live += agent.counts.live;
            counts.need_you += agent.counts.need_you;
            if !agent.listed {
                continue;
            }
            match agent.health {
                Health::Up => counts.up += 1,
                Health::Degraded => counts.degraded += 1,
                Health::Down => counts.down += 1,
                Health::LoginNeeded => counts.login += 1,
                Health::NotSpoken => counts.not_spoken += 1,
                Health::Unknown | Health::Stale => counts.other += 1,
            }
        }
        for (_, problem) in snapshot.open_problems().filter(|(_, problem)| problem.muted.is_none()) {
            let severity = problem.kind.severity();
            if severity > Severity::Info {
                counts.problems += 1;
            }
            counts.worst = counts.worst.max(Some(severity));
        }
        counts
    }
}

/// A part of the line, with its priority when space is short.
struct Piece {
    spans: Vec<Span>,
    /// The higher, the longer it stays; 9 never goes.
    keep: u8,
}

/// Draws the first line.
pub fn draw(canvas: &mut Canvas<'_>, ctx: &Context, y: u16) {
    let counts = Counts::of(ctx, &ctx.snapshot);
    let clock = canvas.minute();
    let area = canvas.area();
    let clock_width = u16::try_from(clock.len()).unwrap_or(6);
    let room = area.width.saturating_sub(clock_width + 3);
    let mut line = Vec::new();
    for level in [Words::All, Words::Few, Words::None] {
        line = pieces(ctx, &counts, level);
        // The most important parts are abbreviated before they are dropped.
        let least = if level == Words::None { 9 } else { 8 };
        while total(&line) > room {
            let weakest = (0..line.len()).filter(|at| line[*at].keep < least).min_by_key(|at| line[*at].keep);
            match weakest {
                Some(at) if level != Words::All => line.remove(at),
                _ => break,
            };
        }
        if total(&line) <= room {
            break;
        }
    }
    let mut x = area.x + 1;
    for piece in &line {
        x += canvas.put_spans(x, y, &piece.spans, area.right().saturating_sub(x + clock_width + 2)) + 3;
    }
    canvas.put_right(area.right().saturating_sub(1), y, &clock, Role::Plain, clock_width);
}

/// The amount of text beside the symbols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Words {
    All,
    /// None beside agents.
    Few,
    /// None at all.
    None,
}

fn total(line: &[Piece]) -> u16 {
    line.iter().map(|piece| width(&piece.spans) + 3).sum()
}

fn pieces(ctx: &Context, counts: &Counts, level: Words) -> Vec<Piece> {
    let glyphs = ctx.glyphs();
    let words = level == Words::All;
    let mut fleet = vec![span(ctx.info.fleet.clone(), Role::Title)];
    if ctx.info.protect {
        let mark = if ctx.theme.is_ascii() { " *PROD*".into() } else { format!(" {}PROD", glyphs.protect) };
        fleet.push(span(mark, Role::Bad));
    }
    if ctx.info.read_only {
        fleet.push(span(" read-only", Role::Warn));
    }
    let mut agents = Vec::new();
    for (count, mark, word, role) in [
        (counts.up, glyphs.up, "up", Role::Ok),
        (counts.degraded, glyphs.degraded, "degraded", Role::Warn),
        (counts.down, glyphs.down, "down", Role::Bad),
        (counts.login, glyphs.login, "login", Role::You),
        (counts.not_spoken, glyphs.not_spoken, "not spoken", Role::Doubt),
        (counts.other, glyphs.unknown, "unknown", Role::Doubt),
    ] {
        if count > 0 {
            if !agents.is_empty() {
                agents.push(span(if words { "  " } else { " " }, Role::Plain));
            }
            let word = if words { format!(" {word}") } else { String::new() };
            agents.push(span(format!("{mark} {count}{word}"), role));
        }
    }
    if agents.is_empty() {
        agents.push(span("no agents", Role::Doubt));
    }
    let quiet = |count: usize, role| if count == 0 { Role::Quiet } else { role };
    let need = counts.need_you as usize;
    let need_words = if need == 1 { "needs you" } else { "need you" };
    let problem_words = if counts.problems == 1 { "problem" } else { "problems" };
    let problem_role = match counts.worst {
        Some(Severity::Bad) => Role::Bad,
        Some(Severity::Warn) => Role::Warn,
        _ => Role::Quiet,
    };
    let mut need = format!("{need} {need_words}");
    let mut problems = format!("{} {problem_words}", counts.problems);
    if level == Words::None {
        let mark = if problem_role == Role::Bad { glyphs.down } else { glyphs.degraded };
        need = format!("{}{}", glyphs.you, counts.need_you);
        problems = format!("{mark}{}", counts.problems);
    }
    let last = if counts.failures > 0 {
        Some(span(format!("{} fails/min", counts.failures), Role::Bad))
    } else if counts.events > 0 {
        Some(span(format!("{} events/s", counts.events), Role::Quiet))
    } else {
        None
    };
    let mut line = vec![
        Piece { spans: fleet, keep: 9 },
        Piece { spans: agents, keep: 8 },
        Piece { spans: vec![span(format!("{} live", counts.live), Role::Plain)], keep: 3 },
        Piece { spans: vec![span(need, quiet(counts.need_you as usize, Role::You))], keep: 9 },
        Piece { spans: vec![span(problems, quiet(counts.problems, problem_role))], keep: 9 },
    ];
    if counts.unsaved {
        line.push(Piece { spans: vec![span("UNSAVED", Role::Bad)], keep: 9 });
    }
    if let Some(last) = last {
        line.push(Piece { spans: vec![last], keep: 2 });
    }
    line.push(Piece { spans: vec![span(ctx.window.word(&ctx.clocks), Role::Quiet)], keep: 1 });
    if ctx.held {
        let behind = ctx.latest.rev - ctx.snapshot.rev;
        line.push(Piece { spans: vec![span(format!("HELD, {behind} changes behind"), Role::You)], keep: 9 });
    }
    if let Some(second) = ctx.caption.as_ref().and_then(|caption| caption.second) {
        let time = format!("story {}:{:02}", second / 60, second % 60);
        line.push(Piece { spans: vec![span(time, Role::Quiet)], keep: 1 });
    }
    line
}
