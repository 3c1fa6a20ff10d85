//! The first line of the screen: the state of the fleet in counts.

use crate::domain::agent::Health;
use crate::domain::problem::Severity;
use crate::domain::problem::counts::ProblemCounts;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
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
    problems: ProblemCounts,
    failures: usize,
    events: u32,
    unsaved: bool,
}

impl Counts {
    /// Counts a snapshot.
    pub fn of(ctx: &Context, snapshot: &Snapshot) -> Self {
        let tasks = snapshot.task_counts();
        let mut counts = Self {
            live: tasks.live,
            need_you: tasks.need_you,
            failures: ctx.failures_a_minute(),
            events: snapshot.events_per_second,
            problems: snapshot.problem_counts(),
            unsaved: snapshot.unsaved,
            ..Self::default()
        };
        for (_, agent) in snapshot.agents.iter().filter(|(_, agent)| agent.listed) {
            match agent.health {
                Health::Up => counts.up += 1,
                Health::Degraded => counts.degraded += 1,
                Health::Down => counts.down += 1,
                Health::LoginNeeded => counts.login += 1,
                Health::NotSpoken => counts.not_spoken += 1,
                Health::Unknown | Health::Stale => counts.other += 1,
            }
        }
        counts
    }
}

/// A part of the line, with its priority when space is short.
struct Piece {
    spans: Vec<Span>,
    /// The higher, the longer it stays; 9 never goes.
    keep: u8,
    /// What stands there before it goes.
    short: Option<Span>,
}

impl Piece {
    fn new(span: Span, keep: u8) -> Self {
        Self { spans: vec![span], keep, short: None }
    }
}

/// Draws the first line.
pub fn draw(canvas: &mut Canvas<'_>, ctx: &Context, y: u16) {
    let counts = Counts::of(ctx, &ctx.snapshot);
    let clock = canvas.minute();
    let area = canvas.area();
    let clock_width = u16::try_from(clock.len()).unwrap_or(6);
    let room = area.width.saturating_sub(clock_width + 3);
    let mut line = Vec::new();
    let mut gap = GAP;
    for level in [Words::All, Words::Few, Words::None, Words::Least] {
        line = pieces(ctx, &counts, level);
        gap = match level {
            Words::All | Words::Few => GAP,
            Words::None => GAP - 1,
            Words::Least => GAP - 2,
        };
        while level != Words::All && total(&line, gap) > room {
            let weakest = (0..line.len()).filter(|at| line[*at].keep < 9).min_by_key(|at| line[*at].keep);
            let Some(at) = weakest else { break };
            match line[at].short.take() {
                Some(short) => line[at].spans = vec![short],
                None => drop(line.remove(at)),
            }
        }
        if total(&line, gap) <= room {
            break;
        }
    }
    let mut x = area.x + 1;
    for piece in &line {
        x += canvas.put_spans(x, y, &piece.spans, area.right().saturating_sub(x + clock_width + 2)) + gap;
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
    /// Nor a glyph for each state of agents that seldom occurs.
    Least,
}

/// Cells between two parts, while there is room for words.
const GAP: u16 = 3;
/// The longest name of a fleet where there is no room for words.
const SHORT_NAME: usize = 12;

fn total(line: &[Piece], gap: u16) -> u16 {
    line.iter().map(|piece| width(&piece.spans) + gap).sum::<u16>().saturating_sub(gap)
}

fn pieces(ctx: &Context, counts: &Counts, level: Words) -> Vec<Piece> {
    let glyphs = ctx.glyphs();
    let short = matches!(level, Words::None | Words::Least);
    let name = if short {
        Untrusted::from(ctx.info.fleet.as_str()).line().fit(SHORT_NAME)
    } else {
        ctx.info.fleet.clone()
    };
    let mut fleet = vec![span(name, Role::Title)];
    if ctx.info.protect {
        let mark = match (level, ctx.theme.is_ascii()) {
            (Words::Least, _) => glyphs.protect.to_owned(),
            (_, true) => " *PROD*".to_owned(),
            (_, false) => format!(" {}PROD", glyphs.protect),
        };
        fleet.push(span(mark, Role::Bad));
    }
    if ctx.info.read_only {
        fleet.push(span(if short { " r/o" } else { " read-only" }, Role::Warn));
    }
    let quiet = |count: usize, role| if count == 0 { Role::Quiet } else { role };
    let need = counts.need_you as usize;
    let need_words = if need == 1 { "needs you" } else { "need you" };
    let problem_role = match counts.problems.worst {
        Some(Severity::Bad) => Role::Bad,
        Some(Severity::Warn) => Role::Warn,
        _ => Role::Quiet,
    };
    let mut need = format!("{need} {need_words}");
    let mut problems = ProblemCounts { notices: 0, muted: 0, ..counts.problems }.words();
    let notices = counts.problems.notice_words();
    if short {
        need = format!("{}{}", glyphs.you, counts.need_you);
        problems = format!("{}{}", glyphs.problems, counts.problems.problems);
    }
    let last = if counts.failures > 0 {
        Some(span(format!("{} failed/min", counts.failures), Role::Bad))
    } else if counts.events > 0 {
        let word = if counts.events == 1 { "event" } else { "events" };
        Some(span(format!("{} {word}/s", counts.events), Role::Quiet))
    } else {
        None
    };
    let mut line = vec![
        Piece { spans: fleet, keep: 9, short: None },
        Piece { spans: agents(ctx, counts, level), keep: 9, short: None },
        Piece::new(span(format!("{} live", counts.live), Role::Plain), 3),
        Piece::new(span(need, quiet(counts.need_you as usize, Role::You)), 9),
        Piece::new(span(problems, quiet(counts.problems.problems as usize, problem_role)), 9),
    ];
    if counts.problems.notices > 0 {
        let short = Some(span(format!("{}{}", glyphs.info, counts.problems.notices), Role::Quiet));
        line.push(Piece { short, ..Piece::new(span(notices, Role::Quiet), 4) });
    }
    if counts.unsaved {
        line.push(Piece::new(span("UNSAVED", Role::Bad), 9));
    }
    if let Some(last) = last {
        line.push(Piece::new(last, 2));
    }
    if let Some(batch) = &ctx.batch {
        let role = if batch.bad > 0 { Role::Warn } else { Role::Plain };
        line.push(Piece::new(span(batch.words(), role), 9));
    }
    line.push(Piece::new(span(ctx.window.word(&ctx.clocks), Role::Quiet), 1));
    if ctx.held {
        let behind = ctx.latest.rev - ctx.snapshot.rev;
        let word = if behind == 1 { "change" } else { "changes" };
        line.push(Piece::new(span(format!("HELD, {behind} {word} behind"), Role::You), 9));
    }
    if let Some(second) = ctx.caption.as_ref().and_then(|caption| caption.second) {
        let time = format!("story {}:{:02}", second / 60, second % 60);
        line.push(Piece::new(span(time, Role::Quiet), 1));
    }
    line
}

/// The agents by their health.
fn agents(ctx: &Context, counts: &Counts, level: Words) -> Vec<Span> {
    let glyphs = ctx.glyphs();
    let words = level == Words::All;
    let mut agents = Vec::new();
    let seldom = [
        (counts.login, glyphs.login, "login", Role::You),
        (counts.not_spoken, glyphs.not_spoken, "not spoken", Role::Doubt),
        (counts.other, glyphs.unknown, "unknown", Role::Doubt),
    ];
    let together = [(seldom.iter().map(|(count, ..)| count).sum(), glyphs.unknown, "others", Role::Doubt)];
    let seldom = if level == Words::Least { &together[..] } else { &seldom[..] };
    let often = [
        (counts.up, glyphs.up, "up", Role::Ok),
        (counts.degraded, glyphs.degraded, "degraded", Role::Warn),
        (counts.down, glyphs.down, "down", Role::Bad),
    ];
    for (count, mark, word, role) in often.iter().chain(seldom).copied() {
        if count > 0 {
            if !agents.is_empty() {
                agents.push(span(if words { "  " } else { " " }, Role::Plain));
            }
            agents.push(span(
                match level {
                    Words::All => format!("{mark} {count} {word}"),
                    Words::Few => format!("{mark} {count}"),
                    Words::None | Words::Least => format!("{mark}{count}"),
                },
                role,
            ));
        }
    }
    if agents.is_empty() {
        agents.push(span("no agents", Role::Doubt));
    }
    agents
}
