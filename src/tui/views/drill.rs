//! A failover drill: what would happen if agents died now; on a demo fleet they can die for real, and what becomes of
//! each task is shown beside what was foretold.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::id::{AgentId, AttemptId};
use crate::domain::rehearsal::drill::{self, Drill};
use crate::domain::rehearsal::words::{Names, Tone};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::queries::{Ask, Refresh, Subscription};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{TextPage, page};
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::text::{TextState, wrap};

/// The names of its queries.
const FORETOLD: &str = "drill";
const KILL: &str = "kill";
/// How long agents stay dead.
pub const DEAD: Duration = Duration::from_secs(90);

/// A death for real.
#[derive(Debug)]
struct Real {
    at: At,
    is_dead: bool,
    /// What became of each task while its agent was dead; afterwards it does not change.
    fates: Vec<(AttemptId, drill::Fate)>,
}

/// The view.
#[derive(Debug)]
pub struct DrillView {
    agents: Vec<AgentId>,
    foretold: Option<Box<Drill>>,
    real: Option<Real>,
    page: TextPage,
    /// Counts how often it was asked for.
    version: u64,
    width: u16,
    rev: u64,
}

/// Names as they are on the screen.
pub(in crate::tui) struct Named<'s>(pub &'s Snapshot);

impl Names for Named<'_> {
    fn agent(&self, id: AgentId) -> String {
        let found = self.0.agents.iter().find(|(_, agent)| agent.id == id);
        found.map_or_else(|| "an agent that is gone".to_owned(), |(_, agent)| agent.name.line().fit(40))
    }

    fn task(&self, id: AttemptId) -> String {
        let found = self.0.attempts.iter().find(|(_, attempt)| attempt.id == id);
        let found = found.and_then(|(_, attempt)| {
            let title = self.0.job_of(attempt).map(|job| job.title.line().fit(40)).unwrap_or_default();
            Some(format!("{} {title}", attempt.task.as_ref()?.id.short()))
        });
        found.unwrap_or_else(|| "a message on its way".to_owned())
    }
}

impl DrillView {
    /// The view of a drill of these agents.
    pub fn new(agents: Vec<AgentId>) -> Self {
        Self { agents, foretold: None, real: None, page: TextPage::default(), version: 0, width: 0, rev: 0 }
    }

    /// The agents.
    pub fn agents(&self) -> &[AgentId] {
        &self.agents
    }

    /// What has to be typed before they die for real: the name of the agent, or how many there are.
    pub fn expected(&self, ctx: &Context) -> String {
        match self.agents.as_slice() {
            [one] => Named(&ctx.latest).agent(*one),
            many => many.len().to_string(),
        }
    }

    /// They die for real from here on.
    pub fn kill(&mut self, at: At) {
        self.real = Some(Real { at, is_dead: false, fates: Vec::new() });
        // What becomes of the tasks is at the top.
        self.page.state = TextState::default();
        self.rev = 0;
    }

    /// They were not killed.
    pub fn spare(&mut self) {
        self.real = None;
        self.rev = 0;
    }

    /// What has become of the tasks so far.
    fn watch(&mut self, ctx: &Context) {
        let (Some(foretold), Some(real)) = (&self.foretold, &mut self.real) else { return };
        // Once they are back, what was given up is canceled there: that is no longer the drill.
        if !real.is_dead || ctx.latest.at.since(real.at) >= DEAD {
            return;
        }
        let snapshot = &ctx.latest;
        let fate = |id: AttemptId| {
            let (key, _) = snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id)?;
            let (fate, _) = drill::fate(&snapshot.agents, &snapshot.jobs, &snapshot.attempts, key)?;
            Some((id, fate))
        };
        real.fates = foretold.tasks.iter().filter_map(|task| fate(task.attempt)).collect();
    }

    fn write(&mut self, ctx: &Context, width: usize) {
        let mut lines = Vec::new();
        let names = Named(&ctx.latest);
        if let Some(foretold) = &self.foretold {
            lines.push(vec![span(foretold.title(&names), Role::Title)]);
            if let Some(real) = &self.real {
                lines.extend(real_lines(foretold, real, ctx, &names, width));
            }
            for (tone, line) in foretold.lines(&names) {
                let line = Untrusted::from(line).line().into_string();
                if tone == Tone::Head {
                    lines.push(Vec::new());
                    lines.push(vec![span(line, Role::Title)]);
                    continue;
                }
                let role = role_of(tone);
                lines.extend(
                    wrap(&line, width.saturating_sub(2))
                        .into_iter()
                        .map(|line| vec![span("  ", Role::Plain), span(line, role)]),
                );
            }
        } else {
            lines.push(vec![span("the engine plays it through…", Role::Quiet)]);
        }
        self.page.lines = lines;
    }
}

fn role_of(tone: Tone) -> Role {
    match tone {
        Tone::Head => Role::Title,
        Tone::Plain => Role::Plain,
        Tone::Good => Role::Ok,
        Tone::Warn => Role::Warn,
        Tone::Bad => Role::Bad,
    }
}

/// What became of each task, beside what was foretold.
fn real_lines(
    foretold: &Drill,
    real: &Real,
    ctx: &Context,
    names: &Named<'_>,
    width: usize,
) -> Vec<Vec<Span>> {
    let same = |task: &drill::Foretold, fate: &drill::Fate| {
        std::mem::discriminant(&task.fate) == std::mem::discriminant(fate)
    };
    let found = |task: &drill::Foretold| real.fates.iter().find(|(id, _)| *id == task.attempt);
    let as_foretold =
        foretold.tasks.iter().filter(|task| found(task).is_some_and(|(_, fate)| same(task, fate)));
    let (as_foretold, all) = (as_foretold.count(), foretold.tasks.len());
    let passed = ctx.latest.at.since(real.at);
    let head = if !real.is_dead {
        "for real: they are asked to die".to_owned()
    } else if passed < DEAD {
        format!(
            "for real: dead for {}s of {}s; {as_foretold} of {all} tasks as foretold so far",
            passed.as_secs(),
            DEAD.as_secs()
        )
    } else {
        format!("for real: they are back; {as_foretold} of {all} tasks went as foretold")
    };
    let mut lines = vec![Vec::new(), vec![span(head, Role::You)]];
    for task in &foretold.tasks {
        let Some((_, fate)) = found(task) else { continue };
        let (role, mark) = if same(task, fate) {
            (Role::Ok, ctx.glyphs().completed)
        } else {
            (Role::Warn, ctx.glyphs().doubtful)
        };
        let text = format!("{}: {}", names.task(task.attempt), fate.words(names));
        let mut head = span(format!("  {mark} "), role);
        for line in wrap(&text, width.saturating_sub(4)) {
            lines
                .push(vec![std::mem::replace(&mut head, span("    ", Role::Plain)), span(line, Role::Plain)]);
        }
    }
    lines
}

impl Screen for DrillView {
    fn word(&self) -> &'static str {
        "drill"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let pane = page(area);
        let is_real = self.real.is_some();
        if self.rev == ctx.latest.rev && self.width == pane.width
            || (self.rev != 0 && !is_real && self.width == pane.width)
        {
            return false;
        }
        (self.rev, self.width) = (ctx.latest.rev, pane.width);
        self.watch(ctx);
        self.write(ctx, usize::from(pane.width));
        true
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let names = Named(&ctx.latest);
        let of: Vec<String> = self.agents.iter().map(|agent| names.agent(*agent)).collect();
        let title = format!("drill › {}", of.join(", "));
        let facts = span(if self.real.is_some() { "FOR REAL · " } else { "nothing is done · " }, Role::Quiet);
        self.page.draw(canvas, area, title, vec![facts]);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        match action {
            Action::Check => {
                self.version += 1;
                return Some(vec![Step::Say(Role::Quiet, "played through again".into())]);
            }
            Action::Again if self.real.is_some() => {
                return Some(vec![Step::Say(
                    Role::Quiet,
                    "they die for real already; leave and open the drill again".into(),
                )]);
            }
            Action::Again if self.foretold.is_some() => {
                return Some(vec![Step::ForReal(self.expected(ctx))]);
            }
            _ => {}
        }
        self.page.act(action, area).then(Vec::new)
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Check, "once more"),
            (Action::Again, "for real"),
            (Action::Filter, "search"),
            (Action::Mark, "page"),
            (Action::Back, "back"),
            (Action::Copy, "copy"),
        ]
    }

    fn target(&self, ctx: &Context) -> Target {
        let first = self.agents.first();
        let agent = first.and_then(|id| ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == *id));
        Target { agent: agent.map(|(key, _)| key), ..Target::default() }
    }

    fn in_text(&self) -> bool {
        true
    }

    fn searched(&self) -> String {
        self.page.state.search.clone()
    }

    fn search(&mut self, text: &str, _ctx: &Context, area: Rect) -> Option<usize> {
        Some(self.page.look_for(text, area))
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        // What was foretold before they died is what they are compared with.
        let foretell = Ask {
            name: FORETOLD,
            query: Query::Drill(self.agents.clone()).into(),
            refresh: Refresh::Version(self.version),
        };
        let kill = self.real.as_ref().map(|_| Ask {
            name: KILL,
            query: Query::Kill { agents: self.agents.clone(), time: DEAD }.into(),
            refresh: Refresh::Version(0),
        });
        std::iter::once(foretell).chain(kill).map(Subscription::Ask).collect()
    }

    fn on_answer(&mut self, _ask: &Ask, answer: Answer) {
        match answer {
            Answer::Drilled(foretold) if self.real.is_none() => self.foretold = Some(foretold),
            Answer::Killed => {
                if let Some(real) = &mut self.real {
                    real.is_dead = true;
                }
            }
            _ => {}
        }
        self.rev = 0;
    }

    fn table(&self, _ctx: &Context) -> Option<Vec<Vec<String>>> {
        let line = |line: &Vec<Span>| vec![line.iter().map(|span| span.text.as_str()).collect::<String>()];
        Some(self.page.lines.iter().map(line).collect())
    }
}
