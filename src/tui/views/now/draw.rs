//! Layout and drawing of the first screen.

use ratatui::layout::Rect;

use crate::domain::problem::shared_attributes;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::states;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::now::next::NextStep;
use crate::tui::views::now::{NowView, Pane, lead};
use crate::tui::views::problem_rows::headline;
use crate::tui::views::pulse::{FACTS, draw_cells, now};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};

/// The area of each pane, with its title line; `None` where there is no room or no content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    pub impact: Option<Rect>,
    pub problems: Option<Rect>,
    pub changes: Option<Rect>,
    pub common: Option<Rect>,
    pub next: Option<Rect>,
    pub agents: Option<Rect>,
    pub live: Option<Rect>,
}

impl Parts {
    /// Where a pane is.
    pub fn of(&self, pane: Pane) -> Option<Rect> {
        match pane {
            Pane::Impact => self.impact,
            Pane::Problems => self.problems,
            Pane::Changes => self.changes,
            Pane::Comparison => self.common,
            Pane::Agents => self.agents,
            Pane::Live => self.live,
        }
    }

    /// The row of a pane at a place of the screen, from its first; `None` on its head.
    pub fn row_at(&self, pane: Pane, area: Rect, (x, y): (u16, u16)) -> Option<usize> {
        let at = self.of(pane)?;
        let head = match pane {
            Pane::Impact | Pane::Live => 2,
            Pane::Problems if !is_tiny(area) => 2,
            _ => 1,
        };
        let line = usize::from(y.checked_sub(at.y + head)?);
        if pane != Pane::Agents {
            return Some(line);
        }
        let columns = agent_columns(at);
        let column = (x.saturating_sub(at.x + 1) / (at.width / columns).max(1)).min(columns - 1);
        Some(line * usize::from(columns) + usize::from(column))
    }

    /// How many rows a pane shows.
    pub fn lines(&self, pane: Pane, area: Rect) -> usize {
        let height = self.of(pane).map_or(0, |at| usize::from(at.height));
        match pane {
            Pane::Impact | Pane::Live => height.saturating_sub(2),
            Pane::Problems => height.saturating_sub(if is_tiny(area) { 1 } else { 2 }),
            Pane::Changes | Pane::Comparison => height.saturating_sub(1),
            Pane::Agents => height.saturating_sub(1) * usize::from(agent_columns(area)),
        }
    }
}

/// Below this height of the view, problems are a line each.
const TINY: u16 = 14;

fn is_tiny(area: Rect) -> bool {
    area.height < TINY
}

/// How many agents stand side by side.
fn agent_columns(area: Rect) -> u16 {
    if area.width >= 110 { 2 } else { 1 }
}

impl NowView {
    /// The panes of an area. Where there is little room, the heat map goes first, then what the failed have in common;
    /// results, problems, the next step and tasks remain. On the smallest screens problems are a line each.
    pub(super) fn parts(&self, area: Rect) -> Parts {
        let whole = Rect { x: area.x, width: area.width, ..area };
        let height = area.height;
        let problems = self.problems.rows.len();
        let rows = |count: usize, most: u16| u16::try_from(count).unwrap_or(u16::MAX).min(most);
        let most = match height {
            45.. => 12,
            30.. => 6,
            TINY.. => 3,
            _ => 1,
        };
        let impact = (rows(self.impact.rows.len(), most).max(1) + 2).min(height);
        let mut parts = Parts { impact: Some(Rect { height: impact, ..whole }), ..Parts::default() };
        // Tasks always get at least two lines, with their title and head.
        let least_tasks = if height >= TINY { 4 } else { 3 };
        let mut left = height.saturating_sub(impact + least_tasks);
        let mut wanted = |high: u16, least: u16| {
            let high = high.min(left);
            let high = if high >= least { high } else { 0 };
            left -= high;
            high
        };
        let problems = match (problems, height) {
            (0, _) => wanted(1, 1),
            (count, 45..) => wanted(rows(count, 10) + 2, 3),
            (count, 30..) => wanted(rows(count, 4) + 2, 3),
            (count, TINY..) => wanted(rows(count, 3) + 2, 3),
            (count, _) => wanted(rows(count, 4) + 1, 2),
        };
        let (is_troubled, speaks) = (!self.problems.rows.is_empty(), self.speaks_for_itself());
        // A problem has a cause, a step and keys; a row without one has less to say.
        let says = if self.lead.cause.is_some() { 4 } else { 3 };
        let next = if (is_troubled || speaks) && height >= TINY { wanted(says, 2) } else { 0 };
        let says = self.lead.changes.len().max(self.lead.common.shared.len() + 1).max(2);
        let lead = if is_troubled && height >= 28 {
            wanted(rows(says, if height >= 45 { 8 } else { 5 }) + 1, 4)
        } else {
            0
        };
        let agents = self.pulse.rows.len().div_ceil(usize::from(agent_columns(area)));
        let agents = if height >= 26 && agents > 0 {
            wanted(rows(agents, if height >= 45 { 10 } else { 4 }) + 1, 2)
        } else {
            0
        };
        let mut y = area.y + impact;
        let mut place = |height: u16| {
            let part = Rect { y, height, ..whole };
            y += height;
            (height > 0).then_some(part)
        };
        parts.problems = place(problems);
        if let Some(both) = place(lead) {
            let half = both.width / 2;
            parts.changes = Some(Rect { width: half + 1, ..both });
            parts.common = Some(Rect { x: both.x + half, width: both.width - half, ..both });
        }
        parts.next = place(next);
        parts.agents = place(agents);
        parts.live = place(height.saturating_sub(impact + problems + lead + next + agents));
        parts
    }

    pub(super) fn draw_all(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let parts = self.parts(area);
        self.draw_impact(canvas, area, parts.impact.unwrap_or(area), ctx);
        if ctx.snapshot.agents.iter().all(|(_, agent)| !agent.listed) {
            return;
        }
        if let Some(pane) = parts.problems {
            self.draw_problems(canvas, pane, ctx, is_tiny(area));
        }
        if let (Some(changes), Some(common)) = (parts.changes, parts.common) {
            self.draw_changes(canvas, changes, ctx);
            self.draw_common(canvas, common, ctx);
            canvas.divider(common.x, common.y, common.bottom());
        }
        if let Some(pane) = parts.next {
            self.draw_next(canvas, pane);
        }
        if let Some(pane) = parts.agents {
            self.draw_agents(canvas, pane, ctx);
        }
        if let Some(pane) = parts.live {
            self.draw_live(canvas, pane, ctx);
        }
    }

    fn title(&self, pane: Pane, text: String) -> Span {
        span(text, if self.pane == pane { Role::Title } else { Role::Plain })
    }

    fn draw_impact(&self, canvas: &mut Canvas<'_>, area: Rect, pane: Rect, ctx: &Context) {
        let text = format!("{} · {} · worst first", ctx.window_words(), ctx.baseline_words());
        let mut facts = self.impact.facts(ctx, area, text);
        let above = self.impact.state.above(&self.impact.rows);
        if above > 0 {
            facts.push(span(format!(" · {} {above} above", ctx.glyphs().more), Role::You));
        }
        let by = self.by_words();
        let title = [
            span("now", Role::Title),
            span(" ── ", Role::Quiet),
            self.title(Pane::Impact, format!("results by {by}")),
        ];
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let inner = Rect {
            x: pane.x + 1,
            y: pane.y + 1,
            width: pane.width.saturating_sub(2),
            height: pane.height - 1,
        };
        if ctx.snapshot.agents.iter().all(|(_, agent)| !agent.listed) {
            return empty(
                canvas,
                ctx,
                inside(area),
                false,
                &[
                    "No agents yet.",
                    "Name some on the command line: quarterdeck http://127.0.0.1:9101",
                    "or in the configuration, as [[fleet.NAME.agents]]; quarterdeck config example shows how.",
                    "quarterdeck demo starts a demo fleet.",
                ],
            );
        }
        if self.impact.rows.is_empty() {
            let hints =
                [ctx.hint(Action::New, "sends a task."), ctx.hint(Action::Time, "chooses another time.")];
            let text = format!("No work in this window. {}", hints.join(" ").trim_start());
            canvas.put(inner.x + 2, inner.y, &text, Role::Doubt, inner.width.saturating_sub(2));
            return;
        }
        if self.pane == Pane::Impact {
            self.impact.draw(canvas, inner, ctx);
        } else {
            self.impact.draw_plain(canvas, inner, ctx);
        }
    }

    fn draw_problems(&self, canvas: &mut Canvas<'_>, pane: Rect, ctx: &Context, as_lines: bool) {
        let count = self.problems.rows.len();
        if count == 0 {
            let last = ctx.snapshot.problems.iter().filter_map(|(_, problem)| problem.cleared).max();
            let mut words = match last {
                Some(at) => format!("no problem since {}", ctx.clocks.second(at, ctx.now)),
                None => "no problem".to_owned(),
            };
            if !self.lead.changes.is_empty() {
                let key = ctx.key(Action::Changes);
                let count = self.lead.changes.len();
                let (word, them) = if count == 1 { ("change", "it") } else { ("changes", "them") };
                let window = ctx.window.word(&ctx.clocks);
                words = format!("{words} · {count} {word} in {window}, {key} shows {them}");
            }
            canvas.rule(pane, pane.y, Edge::Middle, &[span(words, Role::Ok)], &[]);
            return;
        }
        let words = ctx.snapshot.problem_counts().words();
        let title = [self.title(Pane::Problems, "problems".to_owned())];
        canvas.rule(pane, pane.y, Edge::Middle, &title, &[span(words, Role::Quiet)]);
        let table = below(pane);
        if as_lines {
            return self.draw_problem_lines(canvas, table, ctx);
        }
        if self.pane == Pane::Problems {
            self.problems.draw(canvas, table, ctx);
        } else {
            self.problems.draw_plain(canvas, table, ctx);
            // The problem that keys mean while the cursor is on a row above.
            let meant = self.problem(ctx).map(|(key, _)| key).filter(|_| self.pane == Pane::Impact);
            let rows = (table.y + 1..table.bottom()).zip(self.problems.rows.iter());
            if let Some((y, _)) = rows.into_iter().find(|(_, key)| Some(*key) == meant) {
                canvas.put(table.x, y, canvas.theme.glyphs.cursor, Role::Quiet, 1);
            }
        }
    }

    /// A line for each problem: its severity, its id and what it is.
    fn draw_problem_lines(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let (window, cursor) = self.problems.state.window(&self.problems.rows, usize::from(area.height));
        for (y, (line, key)) in (area.y..area.bottom()).zip(window.iter().enumerate()) {
            let Some(problem) = ctx.snapshot.problems.get(*key) else { continue };
            let label = states::severity(problem.severity(), ctx.glyphs());
            canvas.put(area.x + 1, y, label.mark, label.role, 1);
            let text = format!("p-{} {}", problem.number, headline(&ctx.snapshot, problem));
            canvas.put(area.x + 3, y, &text, Role::Plain, area.width.saturating_sub(3));
            if self.pane == Pane::Problems && cursor.unwrap_or(0) == line {
                canvas.put(area.x, y, ctx.glyphs().cursor, Role::You, 1);
            }
        }
    }

    fn draw_changes(&self, canvas: &mut Canvas<'_>, pane: Rect, ctx: &Context) {
        let words = if self.problem(ctx).is_some() {
            format!("what changed from 2h before {} on", ctx.clocks.second(self.lead.began, ctx.now))
        } else {
            format!("what changed in {}", ctx.window.word(&ctx.clocks))
        };
        let title = [self.title(Pane::Changes, words)];
        canvas.rule(pane, pane.y, Edge::Middle, &title, &[]);
        let lines = usize::from(pane.height - 1);
        if self.lead.changes.is_empty() {
            let text = "no known change in that time";
            canvas.put(pane.x + 2, pane.y + 1, text, Role::Doubt, pane.width.saturating_sub(3));
        }
        let skip = (self.change + 1).saturating_sub(lines);
        for (at, change) in self.lead.changes.iter().enumerate().skip(skip).take(lines) {
            let y = pane.y + 1 + u16::try_from(at - skip).unwrap_or(0);
            let after = change.at > self.lead.began;
            let role = if after { Role::Quiet } else { Role::Plain };
            let line = format!(
                "{} {:>10}  {:<7} {}",
                ctx.clocks.second(change.at, ctx.now),
                lead::distance(change, self.lead.began),
                change.kind.as_str(),
                change.words.line()
            );
            canvas.put(pane.x + 2, y, &line, role, pane.width.saturating_sub(4));
            if self.pane == Pane::Changes && at == self.change {
                canvas.put(pane.x + 1, y, canvas.theme.glyphs.cursor, Role::You, 1);
                canvas.select(Rect::new(pane.x + 2, y, pane.width.saturating_sub(4), 1));
            }
        }
    }

    fn draw_common(&self, canvas: &mut Canvas<'_>, pane: Rect, ctx: &Context) {
        let common = &self.lead.common;
        let title = [self.title(Pane::Comparison, "what failed tasks have in common".to_owned())];
        canvas.rule(pane, pane.y, Edge::Middle, &title, &[]);
        let lines = usize::from(pane.height - 1);
        let room = pane.width.saturating_sub(3);
        if common.failed < shared_attributes::LEAST {
            let mut words = match common.failed {
                0 => vec!["none failed".to_owned()],
                failed => vec![format!("{failed} failed")],
            };
            let others = [(self.lead.refused, "refused"), (self.lead.lost, "lost")];
            let others = others.iter().filter(|(count, _)| *count > 0);
            words.extend(others.map(|(count, word)| format!("{count} {word}")));
            let least = shared_attributes::LEAST;
            let few = match common.failed {
                0 => String::new(),
                _ => format!("; too few to compare, which needs {least}"),
            };
            canvas.put(pane.x + 2, pane.y + 1, &format!("{}{few}", words.join(", ")), Role::Doubt, room);
            for (y, (words, count)) in (pane.y + 2..pane.bottom()).zip(&self.lead.errors) {
                canvas.put(pane.x + 2, y, &format!("{count} × {words}"), Role::Bad, room);
            }
            return;
        }
        let right = pane.right() - 1;
        let (failed_at, fine_at) = (right.saturating_sub(28), right.saturating_sub(14));
        let head = (format!("of {} FAILED", common.failed), format!("of {} FINE", common.fine));
        canvas.put(failed_at, pane.y + 1, &head.0, Role::Quiet, 13);
        canvas.put(fine_at, pane.y + 1, &head.1, Role::Quiet, 11);
        if let Some((words, count)) = self.lead.errors.first() {
            let text = format!("{count} × {words}");
            canvas.put(pane.x + 2, pane.y + 1, &text, Role::Bad, failed_at.saturating_sub(pane.x + 3));
        }
        let shown = lines.saturating_sub(1).max(1);
        let skip = (self.alike + 1).saturating_sub(shown);
        if common.shared.is_empty() {
            canvas.put(pane.x + 2, pane.y + 2, "nothing that sets them apart", Role::Doubt, room);
        }
        for (at, found) in common.shared.iter().enumerate().skip(skip).take(shown) {
            let y = pane.y + 2 + u16::try_from(at - skip).unwrap_or(0);
            let words: Vec<String> = found
                .attributes
                .iter()
                .map(|(key, value)| format!("{} {}", key.line(), value.line()))
                .collect();
            let role = if found.as_usual { Role::Quiet } else { Role::Plain };
            let room = failed_at.saturating_sub(pane.x + 3);
            canvas.put(pane.x + 2, y, &words.join(" + "), role, room);
            let bar = |part: u32, of: u32| {
                let cells = usize::try_from(u64::from(part) * 8 / u64::from(of.max(1))).unwrap_or(0);
                format!("{part:>4} {}", ctx.glyphs().bar.repeat(cells.max(usize::from(part > 0))))
            };
            let bad = if found.as_usual { Role::Quiet } else { Role::Bad };
            canvas.put(failed_at, y, &bar(found.failed, common.failed), bad, 13);
            let fine = if found.as_usual {
                format!("{:>4} as usual", found.fine)
            } else {
                bar(found.fine, common.fine)
            };
            canvas.put(fine_at, y, &fine, Role::Quiet, 13);
            if self.pane == Pane::Comparison && at == self.alike {
                canvas.put(pane.x + 1, y, canvas.theme.glyphs.cursor, Role::You, 1);
                canvas.select(Rect::new(pane.x + 2, y, room, 1));
            }
        }
    }

    fn draw_next(&self, canvas: &mut Canvas<'_>, pane: Rect) {
        let NextStep { title, leads, lines } = &self.next;
        let title = [span(format!("next: {title}"), Role::Plain)];
        canvas.rule(pane, pane.y, Edge::Middle, &title, &[span(*leads, Role::Quiet)]);
        for (y, line) in (pane.y + 1..pane.bottom()).zip(lines) {
            canvas.put_spans(pane.x + 2, y, line, pane.width.saturating_sub(4));
        }
    }

    fn draw_agents(&self, canvas: &mut Canvas<'_>, pane: Rect, ctx: &Context) {
        let title = [self.title(Pane::Agents, "agents".to_owned())];
        let facts = [span(format!("{} · :pulse", ctx.window_words()), Role::Quiet)];
        canvas.rule(pane, pane.y, Edge::Middle, &title, &facts);
        let columns = agent_columns(pane);
        let wide = (pane.width - 2) / columns;
        let lines = pane.height.saturating_sub(1);
        let most = usize::from(lines * columns);
        let (window, cursor) = self.pulse.state.window(&self.pulse.rows, most);
        let names = window.iter().filter_map(|key| self.pulse.source.groups.get(*key));
        let longest = names.map(|group| group.name.chars().count()).max().unwrap_or(0);
        let name = u16::try_from(longest).unwrap_or(u16::MAX).clamp(8, (wide / 3).max(8));
        for (at, key) in window.iter().enumerate() {
            let Some(group) = self.pulse.source.groups.get(*key) else { continue };
            let at = u16::try_from(at).unwrap_or(0);
            let (x, y) = (pane.x + 1 + at % columns * wide, pane.y + 1 + at / columns);
            let agent = group.agent.and_then(|key| ctx.snapshot.agents.get(key));
            if let Some(agent) = agent {
                let label = states::agent(agent, ctx.glyphs());
                canvas.put(x + 1, y, label.mark, label.role, 1);
            }
            canvas.put(x + 3, y, &group.name, Role::Plain, name);
            let room = wide.saturating_sub(name + FACTS + 6);
            draw_cells(canvas, Rect { x: x + name + 4, y, width: room, height: 1 }, group);
            let now = now(ctx, group, FACTS);
            canvas.put(x + wide - FACTS - 1, y, &now.text, now.role, FACTS);
            if self.pane == Pane::Agents && cursor.unwrap_or(0) == usize::from(at) {
                canvas.put(x, y, canvas.theme.glyphs.cursor, Role::You, 1);
                canvas.select(Rect::new(x + 1, y, name + 2, 1));
            }
        }
    }

    fn draw_live(&self, canvas: &mut Canvas<'_>, pane: Rect, ctx: &Context) {
        let title = [self.title(Pane::Live, "tasks".to_owned())];
        let live = ctx.snapshot.task_counts().live;
        let of = ctx.snapshot.attempts.len();
        let facts =
            [span(format!("{live} live of {of} · needs you first, then doubtful, then newest"), Role::Quiet)];
        canvas.rule(pane, pane.y, Edge::Middle, &title, &facts);
        let table = below(pane);
        if self.live.rows.is_empty() {
            let since = ctx.snapshot.watching_since;
            let since = if since > At::ZERO { ctx.clocks.second(since, ctx.now) } else { String::new() };
            let text = format!("No task since {since}. {}", ctx.hint(Action::New, "sends one."));
            canvas.put(table.x + 2, table.y, &text, Role::Doubt, table.width.saturating_sub(2));
        } else if self.pane == Pane::Live {
            self.live.draw(canvas, table, ctx);
        } else {
            self.live.draw_plain(canvas, table, ctx);
        }
    }
}

/// The area below a pane's title line.
fn below(pane: Rect) -> Rect {
    Rect {
        x: pane.x + 1,
        y: pane.y + 1,
        width: pane.width.saturating_sub(2),
        height: pane.height.saturating_sub(1),
    }
}
