//! The page of a job: its timeline at the left, its outputs and messages at the right, where the time went below.

use ratatui::layout::Rect;

use super::task_rows::{doubt, next_step};
use crate::domain::id::{AttemptKey, JobId, JobKey};
use crate::domain::job::detail::Output;
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Job};
use crate::domain::state::Changed;
use crate::tui::actions::Action;
use crate::tui::again::Again;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::followed_job::FollowedJob;
use crate::tui::queries::Subscription;
use crate::tui::screen::Screen;
use crate::tui::states;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside, with_scratch};
use crate::tui::views::output::{Stage, output_lines, size_words};
use crate::tui::views::timeline::TimelineLine;
use crate::tui::views::timeline_pane::TimelinePane;
use crate::tui::views::{conversation, delegated, strip, timeline, waiting};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span, width};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// A pane of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pane {
    Timeline,
    Output,
    Messages,
}

impl Pane {
    const ALL: [Self; 3] = [Self::Timeline, Self::Output, Self::Messages];
}

/// Below this width one pane is shown at a time.
const NARROW: u16 = 90;

/// The narrowest pane beside the timeline, and by how much the line between them moves.
const LEAST_BESIDE: u16 = 34;
const STEP: u16 = 8;

/// The page.
#[derive(Debug)]
pub struct TaskView {
    key: JobKey,
    id: JobId,
    followed: FollowedJob,
    focus: Pane,
    /// The pane at the right, outputs or messages; `None` selects the one with content.
    beside: Option<Pane>,
    timeline: TimelinePane,
    output: usize,
    output_text: TextState,
    messages_text: TextState,
    children: Vec<JobKey>,
    /// The tasks that the last attempt delegated, at any depth.
    below: Vec<AttemptKey>,
    /// Tasks of the job itself, whose children are searched for.
    own_tasks: usize,
    rev: u64,
    seen_seq: u64,
    full: bool,
}

impl TaskView {
    /// The page of a job.
    pub fn new(key: JobKey, id: JobId) -> Self {
        Self {
            key,
            id,
            followed: FollowedJob::default(),
            focus: Pane::Timeline,
            beside: None,
            timeline: TimelinePane::default(),
            output: 0,
            output_text: TextState::following(),
            messages_text: TextState::following(),
            children: Vec::new(),
            below: Vec::new(),
            own_tasks: 0,
            rev: 0,
            seen_seq: 0,
            full: false,
        }
    }

    fn job<'s>(&self, ctx: &'s Context) -> Option<&'s Job> {
        ctx.snapshot.jobs.get(self.key).filter(|job| job.id == self.id)
    }

    fn latest<'s>(&self, ctx: &'s Context) -> Option<(AttemptKey, &'s Attempt)> {
        let key = self.job(ctx)?.current(|key| ctx.snapshot.attempts.get(key))?;
        Some((key, ctx.snapshot.attempts.get(key)?))
    }

    /// Tasks that this job delegated to other agents.
    fn find_children(&mut self, ctx: &Context) -> bool {
        let snapshot = &ctx.snapshot;
        let Some(job) = self.job(ctx) else { return false };
        let ids: Vec<_> =
            timeline::attempts(ctx, job).filter_map(|(_, attempt)| attempt.task.as_ref()).collect();
        let is_child = |key: JobKey| {
            let parent = snapshot.jobs.get(key).and_then(|job| job.parent.as_ref());
            parent.is_some_and(|parent| ids.iter().any(|task| task.id == *parent))
        };
        let mut children = self.children.clone();
        // Whose child a job is may become clear only when our own task does.
        let all = self.rev == 0 || ids.len() != self.own_tasks;
        self.own_tasks = ids.len();
        match snapshot.changes_since(self.rev).filter(|_| !all) {
            Some(changes) => {
                for change in changes {
                    if let Changed::Job(key) | Changed::Timeline(key) = change
                        && is_child(key)
                        && !children.contains(&key)
                    {
                        children.push(key);
                    }
                }
                children.retain(|key| is_child(*key));
            }
            None => {
                children = snapshot.jobs.iter().map(|(key, _)| key).filter(|key| is_child(*key)).collect();
            }
        }
        let changed = children != self.children;
        self.children = children;
        changed
    }

    /// The content of the right pane.
    fn right(&self) -> Pane {
        let has_output =
            self.followed.of(self.id).is_some_and(|followed| !followed.detail.outputs.is_empty());
        match (self.focus, self.beside) {
            (Pane::Output | Pane::Messages, _) => self.focus,
            (Pane::Timeline, Some(pane)) => pane,
            (Pane::Timeline, None) if has_output => Pane::Output,
            (Pane::Timeline, None) => Pane::Messages,
        }
    }

    fn parts(&self, area: Rect, ctx: &Context) -> Parts {
        let inner = inside(area);
        let head = Rect { height: inner.height.min(1), ..inner };
        let mut panes = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
        let mut below = None;
        if panes.height >= 18 && !self.full {
            // A job without an attempt has not taken any time of an agent.
            let job = self.job(ctx).filter(|job| !job.attempts.is_empty());
            let height = job.map_or(0, |job| strip::lines(ctx, job, &self.children) + 1);
            below = (height > 0).then(|| Rect { y: panes.bottom() - height, height, ..panes });
            panes.height -= height;
        }
        let (left, right) = if area.width < NARROW || self.full {
            match self.focus {
                Pane::Timeline => (Some(panes), None),
                Pane::Output | Pane::Messages => (None, Some(panes)),
            }
        } else {
            let left = Rect { width: self.left_width(panes.width, ctx), ..panes };
            (Some(left), Some(Rect { x: left.right() + 1, width: panes.width - left.width - 1, ..panes }))
        };
        Parts { head, left, right, below }
    }

    /// The width of the timeline beside the other pane: what its lines need, and what the other leaves.
    fn left_width(&self, whole: u16, ctx: &Context) -> u16 {
        let beside = whole - (whole * 5 / 8).min(whole - LEAST_BESIDE);
        let others = self.right_lines(ctx, self.right(), usize::from(beside.saturating_sub(2)));
        let others = others.iter().map(|line| width(line).saturating_add(3)).max().unwrap_or(0);
        let title = width(&self.right_title(ctx).0).saturating_add(4);
        let lines = with_scratch(ctx, |canvas| self.timeline_lines(canvas, ctx));
        let needs = lines.iter().map(TimelinePane::width).max().unwrap_or(0);
        // Few changes of a text move the line between the panes.
        let needs = needs.saturating_add(STEP - 1) / STEP * STEP;
        let others = others.max(title);
        needs.clamp(whole / 2, whole - others.clamp(LEAST_BESIDE, beside))
    }

    fn timeline_lines(&self, canvas: &Canvas<'_>, ctx: &Context) -> Vec<TimelineLine> {
        match (self.job(ctx), self.followed.of(self.id)) {
            (Some(job), Some(followed)) => {
                timeline::lines(canvas, ctx, job, followed, &self.children, &self.timeline.folded)
            }
            _ => Vec::new(),
        }
    }

    fn chosen_output<'s>(&self, followed: &'s FollowedJob) -> Option<&'s Output> {
        let outputs = &followed.detail.outputs;
        outputs.get(self.output.min(outputs.len().saturating_sub(1)))
    }

    fn stage(&self, ctx: &Context, output: &Output) -> Stage {
        let attempts = self.job(ctx).into_iter().flat_map(|job| &job.attempts);
        let mut attempts = attempts.filter_map(|key| ctx.snapshot.attempts.get(*key));
        let attempt = attempts.find(|attempt| attempt.id == output.attempt);
        let completed = attempt.and_then(|attempt| attempt.task.as_ref()).map(|task| &task.state);
        match attempt {
            _ if output.closed || completed == Some(&TaskState::Completed) => Stage::Done,
            Some(attempt) if attempt.is_live() => Stage::Growing,
            _ => Stage::Over,
        }
    }

    fn right_lines(&self, ctx: &Context, pane: Pane, width: usize) -> Vec<Vec<Span>> {
        let Some(followed) = self.followed.of(self.id) else {
            return vec![vec![span("reading", Role::Doubt)]];
        };
        match pane {
            Pane::Messages => conversation::messages(ctx, self.job(ctx), followed, width),
            Pane::Timeline | Pane::Output => match self.chosen_output(followed) {
                Some(output) => output_lines(output, self.stage(ctx, output), width),
                None => vec![vec![span("No output yet. It appears here as it grows.", Role::Doubt)]],
            },
        }
    }

    /// The height of the timeline's lines.
    fn timeline_height(&self, ctx: &Context, area: Rect) -> usize {
        self.parts(area, ctx).left.map_or(0, |left| usize::from(left.height.saturating_sub(1)))
    }

    fn draw_timeline(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let lines = self.timeline_lines(canvas, ctx);
        self.timeline.draw(canvas, area, ctx, &lines, self.focus == Pane::Timeline);
    }

    fn draw_right(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let pane = self.right();
        let text_area = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height.saturating_sub(1),
        };
        let Some(followed) = self.followed.of(self.id) else { return };
        let outputs = &followed.detail.outputs;
        let mut body = text_area;
        if pane == Pane::Output && outputs.len() > 1 && text_area.height > 8 {
            let names = u16::try_from(outputs.len()).unwrap_or(4).min(4);
            body.height -= names + 1;
            for (line, (at, output)) in outputs.iter().enumerate().rev().take(usize::from(names)).enumerate()
            {
                let y = text_area.bottom() - 1 - u16::try_from(line).unwrap_or(0);
                let chosen = at == self.output.min(outputs.len() - 1);
                let role = if chosen { Role::Title } else { Role::Quiet };
                let name = output.name.as_ref().unwrap_or(&output.id).line();
                canvas.put(text_area.x, y, &name, role, text_area.width.saturating_sub(25));
                canvas.put_right(
                    text_area.right(),
                    y,
                    &size_words(output, self.stage(ctx, output)),
                    role,
                    24,
                );
            }
        }
        let lines = self.right_lines(ctx, pane, usize::from(body.width));
        let state = if pane == Pane::Messages { &self.messages_text } else { &self.output_text };
        text::draw(canvas, body, &lines, state);
    }

    /// The title of the right pane, and the text at its end.
    fn right_title(&self, ctx: &Context) -> (Vec<Span>, bool) {
        let pane = self.right();
        let role = if self.focus == Pane::Timeline { Role::Quiet } else { Role::Title };
        let Some(followed) = self.followed.of(self.id) else { return (vec![span("output", role)], false) };
        if pane == Pane::Messages {
            let count = followed.detail.messages.len();
            return (vec![span(format!("messages · {count}"), role)], false);
        }
        let Some(output) = self.chosen_output(followed) else { return (vec![span("output", role)], false) };
        let name = output.name.as_ref().unwrap_or(&output.id).line();
        let stage = self.stage(ctx, output);
        (vec![span(format!("{name} · {}", size_words(output, stage)), role)], stage == Stage::Growing)
    }
}

/// The panes of the page.
struct Parts {
    head: Rect,
    left: Option<Rect>,
    right: Option<Rect>,
    below: Option<Rect>,
}

impl TaskView {
    /// The tabs, where only one pane fits.
    fn tabs(&self) -> Vec<Span> {
        let mut tabs = Vec::new();
        for (pane, word) in
            [(Pane::Timeline, "timeline"), (Pane::Output, "output"), (Pane::Messages, "messages")]
        {
            if !tabs.is_empty() {
                tabs.push(span("   ", Role::Quiet));
            }
            let here = self.focus == pane;
            tabs.push(span(word, if here { Role::Title } else { Role::Quiet }));
        }
        tabs
    }
}

impl Screen for TaskView {
    fn word(&self) -> &'static str {
        "task"
    }

    fn refresh(&mut self, ctx: &Context, _area: Rect) -> bool {
        let mut visible = self.find_children(ctx);
        // Only a page with delegated tasks pays for looking at all jobs.
        let latest = self.latest(ctx).map(|(key, _)| key).filter(|_| !self.children.is_empty());
        let below = latest.map(|key| delegated::below(ctx, key)).unwrap_or_default();
        visible |= below != self.below;
        self.below = below;
        if let Some(changes) = ctx.snapshot.changes_since(self.rev) {
            let job = self.job(ctx);
            visible |= changes.iter().any(|change| match change {
                Changed::Job(key) | Changed::Timeline(key) => *key == self.key || self.children.contains(key),
                Changed::Attempt(key) => {
                    let of = ctx.snapshot.attempts.get(*key).map(|attempt| attempt.job);
                    job.is_some_and(|job| job.attempts.contains(key))
                        || of.is_some_and(|of| self.children.contains(&of))
                        || self.below.contains(key)
                }
                Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) => false,
            });
        } else {
            visible = true;
        }
        self.rev = ctx.snapshot.rev;
        let seq = self.followed.of(self.id).map_or(0, |followed| followed.seq);
        visible |= seq != self.seen_seq;
        self.seen_seq = seq;
        if self.timeline.has_cursor() {
            let lines = with_scratch(ctx, |canvas| self.timeline_lines(canvas, ctx));
            self.timeline.shrink(lines.len());
        }
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let Some(job) = self.job(ctx) else {
            canvas.rule(area, area.y, Edge::Top, &[span("task", Role::Title)], &[]);
            return empty(
                canvas,
                ctx,
                inside(area),
                false,
                &[
                    "This task is no longer known: ended tasks are kept for a while, then removed.",
                    &format!("{} goes back.", ctx.key(Action::Back)),
                ],
            );
        };
        let attempt = self.latest(ctx).map(|(_, attempt)| attempt);
        let id = self.title(ctx);
        let title =
            [span(format!("tasks › {id} "), Role::Title), span(job.title.line().into_string(), Role::Title)];
        let facts = Self::state_facts(canvas, ctx, job, attempt);
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let parts = self.parts(area, ctx);
        Self::draw_head(canvas, parts.head, ctx, job, attempt, &self.below);
        let y = parts.head.bottom();
        let (right_title, growing) = self.right_title(ctx);
        let follows = if growing { vec![span("growing", Role::Quiet)] } else { Vec::new() };
        let timeline_role = if self.focus == Pane::Timeline { Role::Title } else { Role::Quiet };
        match (parts.left, parts.right) {
            (Some(left), Some(right)) => {
                let left_rule = Rect { x: area.x, width: left.width + 2, ..left };
                let right_rule = Rect { x: right.x - 1, width: right.width + 2, ..right };
                canvas.rule(right_rule, y, Edge::Middle, &right_title, &[]);
                canvas.rule(left_rule, y, Edge::Middle, &[span("timeline", timeline_role)], &[]);
                let bottom = parts.below.map_or(area.bottom(), |below| below.y);
                canvas.divider(right.x - 1, y, bottom);
                self.draw_timeline(canvas, left, ctx);
                self.draw_right(canvas, right, ctx);
            }
            (Some(left), None) => {
                canvas.rule(area, y, Edge::Middle, &self.tabs(), &[]);
                self.draw_timeline(canvas, left, ctx);
            }
            (None, Some(right)) => {
                if self.full {
                    canvas.rule(area, y, Edge::Middle, &right_title, &follows);
                } else {
                    canvas.rule(area, y, Edge::Middle, &self.tabs(), &right_title);
                }
                self.draw_right(canvas, right, ctx);
            }
            (None, None) => {}
        }
        if let (Some(below), Some(followed)) = (parts.below, self.followed.of(self.id)) {
            let shares = strip::shares(ctx, job, followed, &self.children);
            canvas.rule_across(
                area,
                below.y,
                &[span("where the time went", Role::Title)],
                &shares,
                parts.right,
            );
            let bars = Rect {
                x: below.x + 1,
                y: below.y + 1,
                width: below.width.saturating_sub(2),
                height: below.height - 1,
            };
            strip::draw(canvas, bars, ctx, job, followed, &self.children);
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        match action {
            Action::NextPane | Action::PrevPane => {
                let at = Pane::ALL.iter().position(|pane| *pane == self.focus).unwrap_or(0);
                let by = if action == Action::NextPane { 1 } else { 2 };
                self.focus = Pane::ALL[(at + by) % 3];
                if self.focus != Pane::Timeline {
                    self.beside = Some(self.focus);
                }
                return Some(Vec::new());
            }
            Action::FullScreen => {
                self.full = !self.full;
                return Some(Vec::new());
            }
            Action::Back if self.full => {
                self.full = false;
                return Some(Vec::new());
            }
            Action::Raw => {
                let title = format!("tasks › {} › raw", self.title(ctx));
                let page = Destination::RawJob { title, job: self.id, target: self.target(ctx) };
                return Some(vec![Step::Open(Box::new(page))]);
            }
            Action::Open if self.focus == Pane::Timeline => {
                let lines = with_scratch(ctx, |canvas| self.timeline_lines(canvas, ctx));
                let here = lines.get(self.timeline.here(lines.len()))?;
                if let Some(page) = here.leads.and_then(|child| Destination::job(ctx, child)) {
                    return Some(vec![Step::Open(Box::new(page))]);
                }
                if let Some(attempt) = here.begins
                    && !self.timeline.folded.remove(&attempt)
                {
                    self.timeline.folded.insert(attempt);
                }
                return Some(Vec::new());
            }
            _ => {}
        }
        let parts = self.parts(area, ctx);
        let pane = self.right();
        match self.focus {
            Pane::Timeline => {
                let lines = with_scratch(ctx, |canvas| self.timeline_lines(canvas, ctx));
                self.timeline.act(action, &lines, self.timeline_height(ctx, area)).then(Vec::new)
            }
            Pane::Output | Pane::Messages => {
                let outputs = self.followed.of(self.id).map_or(0, |followed| followed.detail.outputs.len());
                if pane == Pane::Output && outputs > 1 && matches!(action, Action::Left | Action::Right) {
                    let by = if action == Action::Right { 1 } else { outputs - 1 };
                    self.output = (self.output.min(outputs - 1) + by) % outputs;
                    self.output_text = TextState::following();
                    return Some(Vec::new());
                }
                let right = parts.right.unwrap_or_default();
                let lines = self.right_lines(ctx, pane, usize::from(right.width.saturating_sub(2)));
                let height = usize::from(right.height.saturating_sub(1));
                let state =
                    if pane == Pane::Messages { &mut self.messages_text } else { &mut self.output_text };
                state.act(action, &lines, height).then(Vec::new)
            }
        }
    }

    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)> {
        let attempt = self.latest(ctx).map(|(_, attempt)| attempt);
        let mut keys = Vec::new();
        if !self.searched().is_empty() {
            keys.extend([(Action::NextMatch, "next match"), (Action::Back, "end search")]);
        }
        // Possible actions come first.
        let again = attempt.and_then(|attempt| Again::of(&ctx.snapshot, attempt).ok());
        match again {
            Some(Again::Uncertain) => keys.push((Action::Again, "again, or lost")),
            Some(Again::Unreachable) => keys.push((Action::Again, "elsewhere, or lost")),
            Some(Again::Ended) => keys.push((Action::Again, "send it again")),
            None if !self.jobs(ctx).is_empty() => keys.push((Action::Again, "send it again")),
            Some(Again::Live) | None if attempt.is_some_and(Attempt::needs_you) => {
                keys.push((Action::Answer, "answer"));
            }
            Some(Again::Live) | None => {}
        }
        if attempt.is_some_and(|attempt| attempt.task.is_some() && attempt.is_live()) {
            keys.push((Action::Cancel, "cancel"));
        }
        if again == Some(Again::Live) {
            keys.push((Action::Again, "move it"));
        }
        keys.extend([
            (Action::NextPane, "pane"),
            (Action::Filter, "search"),
            (Action::EditCopy, "edit a copy"),
            (Action::GoTo, "go to"),
            (Action::RowLogs, "logs"),
            (Action::Raw, "raw"),
            (Action::FullScreen, "full"),
            (Action::Check, "check now"),
            (Action::Left, "fold"),
            (Action::Copy, "copy"),
        ]);
        keys
    }

    fn target(&self, ctx: &Context) -> Target {
        match self.latest(ctx) {
            Some((key, attempt)) => {
                Target { agent: Some(attempt.agent), attempt: Some(key), problem: None, trace: None }
            }
            None => Target::default(),
        }
    }

    fn in_text(&self) -> bool {
        // While the timeline is searched, `n` is the next match.
        self.focus != Pane::Timeline || !self.timeline.search.is_empty()
    }

    fn click(&mut self, ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area, ctx);
        let within = |rect: Option<Rect>| rect.is_some_and(|rect| rect.contains((x, y).into()));
        if within(parts.left) {
            self.focus = Pane::Timeline;
            let lines = with_scratch(ctx, |canvas| self.timeline_lines(canvas, ctx)).len();
            let top = parts.left.map_or(0, |left| left.y + 1);
            let height = self.timeline_height(ctx, area);
            return y
                .checked_sub(top)
                .is_some_and(|row| self.timeline.click(usize::from(row), lines, height));
        } else if within(parts.right) {
            self.focus = self.right();
            self.beside = Some(self.focus);
        }
        false
    }

    fn searched(&self) -> String {
        match self.focus {
            Pane::Timeline => self.timeline.search.clone(),
            Pane::Output => self.output_text.search.clone(),
            Pane::Messages => self.messages_text.search.clone(),
        }
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        if self.focus == Pane::Timeline {
            let lines = with_scratch(ctx, |canvas| self.timeline_lines(canvas, ctx));
            return Some(self.timeline.look_for(text, &lines, self.timeline_height(ctx, area)));
        }
        let right = self.parts(area, ctx).right.unwrap_or_default();
        let pane = self.right();
        let lines = self.right_lines(ctx, pane, usize::from(right.width.saturating_sub(2)));
        let height = usize::from(right.height.saturating_sub(1));
        let state = if pane == Pane::Messages { &mut self.messages_text } else { &mut self.output_text };
        Some(state.look_for(text, &lines, height))
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        vec![Subscription::Job(self.id)]
    }

    fn followed(&self) -> Option<&FollowedJob> {
        Some(&self.followed)
    }

    fn jobs(&self, ctx: &Context) -> Vec<JobKey> {
        let job = self.job(ctx).filter(|job| job.attempts.is_empty() && job.phase == JobPhase::Over);
        job.map(|_| self.key).into_iter().collect()
    }

    fn followed_mut(&mut self) -> Option<&mut FollowedJob> {
        Some(&mut self.followed)
    }
}

impl TaskView {
    /// The state at the right of the title.
    fn state_facts(canvas: &Canvas<'_>, ctx: &Context, job: &Job, attempt: Option<&Attempt>) -> Vec<Span> {
        let Some(attempt) = attempt else {
            let label = waiting::state(ctx, job, ctx.glyphs());
            return vec![span(format!("{} {}", label.mark, label.word), label.role)];
        };
        let label = states::attempt(attempt, ctx.glyphs());
        let took = timeline::so_far(canvas, attempt);
        let (number, count) = (attempt.number, job.attempts.len());
        if count < 2 {
            return vec![span(format!("{} {}{took}", label.mark, label.word), label.role)];
        }
        let won = job.race().is_some_and(|race| race.won == Some(number));
        let won = if won { ", won" } else { "" };
        // The last attempt took less than the job.
        let (began, ended) = job.span(|key| ctx.snapshot.attempts.get(key));
        let whole = match ended {
            Some(end) => format!("in {}", timeline::precise(end.since(began))),
            None => canvas.age(began),
        };
        vec![
            span(format!("{} {}", label.mark, label.word), label.role),
            span(format!(" · attempt {number} of {count}{won}{took} · job {whole}"), Role::Plain),
        ]
    }

    fn title(&self, ctx: &Context) -> String {
        let task =
            self.latest(ctx).and_then(|(_, attempt)| attempt.task.as_ref().map(|task| task.id.short()));
        task.unwrap_or_else(|| self.id.short())
    }

    fn draw_head(
        canvas: &mut Canvas<'_>,
        area: Rect,
        ctx: &Context,
        job: &Job,
        attempt: Option<&Attempt>,
        below: &[AttemptKey],
    ) {
        let mut line = vec![span(format!("job {}", job.id.short()), Role::Quiet)];
        let mut add = |text: String, role| {
            line.push(span(" · ", Role::Quiet));
            line.push(span(text, role));
        };
        if let Some(caller) = &job.caller {
            add(format!("from {}", caller.line()), Role::Plain);
        }
        if let Some(agent) = attempt.and_then(|attempt| ctx.snapshot.agents.get(attempt.agent)) {
            add(format!("on {}", agent.name.line()), Role::Plain);
        }
        if let Some(skill) = &job.skill {
            add(format!("skill {}", skill.line()), Role::Plain);
        }
        if let Some(parent) = &job.parent {
            add(format!("delegated by task {}", parent.short()), Role::Plain);
        }
        if let Some((words, role)) = attempt.and_then(|attempt| delegated::words(ctx, attempt, below)) {
            add(words, role);
        }
        if let Some(plan) = waiting::queued(job) {
            let _counts_down = canvas.age(ctx.now);
            if attempt.is_some() {
                add(format!("waits for {}", waiting::wait_words(plan, ctx.now)), Role::Warn);
            }
            let by = if plan.rule.is_some() { "rule" } else { "sent to" };
            add(format!("{by} {}", waiting::rule_words(&ctx.snapshot, plan)), Role::Plain);
        } else if let Some(doubt) = attempt.and_then(|attempt| doubt(canvas, attempt)) {
            add(doubt, Role::Warn);
        } else if let Some(next) = attempt.and_then(|attempt| next_step(ctx, attempt)) {
            add(next, Role::You);
        } else if let Some(spent) = waiting::spent(job) {
            add(spent, Role::Warn);
        } else if let Some(cause) = waiting::dead(job) {
            add(waiting::cause_words(cause), Role::Warn);
        } else if let Some(context) =
            attempt.and_then(|attempt| attempt.task.as_ref()).and_then(|task| task.context.as_ref())
        {
            add(format!("context {}", context.text().shortened(12)), Role::Quiet);
        }
        canvas.put_spans(area.x + 1, area.y, &line, area.width.saturating_sub(2));
    }
}
