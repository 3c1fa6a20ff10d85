//! Help for a view, made from the table of actions; it can be searched.

use ratatui::layout::Rect;

use crate::tui::actions::{Action, Group};
use crate::tui::commands;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::keys::Keys;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::inside;
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::text;
use crate::tui::widgets::text::{TextState, wrap};

/// The page.
#[derive(Debug)]
pub struct HelpView {
    /// The keys of the view that it was called from.
    of: &'static str,
    here: Vec<(Action, &'static str)>,
    /// Actions that can mean something in this console.
    offered: Vec<Action>,
    keys: Keys,
    state: TextState,
}

/// Symbols and their meanings.
const MARKS: &str = "agents: ● up  ◐ degraded  ✖ down  ○ not seen yet  ◌ stale  ◆ login needed  ⊘ not spoken. \
tasks: … queued or submitted  ▸ working  ◆ needs you  ✓ completed  ✗ failed  ■ canceled  ⊘ rejected  \
◌ silent, stalled or stale  ? uncertain  ∅ lost by its agent. gaps: ╌ nothing was received.";

impl HelpView {
    /// Help for a view.
    pub fn new(ctx: &Context, of: &'static str, here: Vec<(Action, &'static str)>) -> Self {
        let offered = Action::ALL.iter().copied().filter(|action| ctx.offers(*action)).collect();
        Self { of, here, offered, keys: ctx.preferences.keys.clone(), state: TextState::default() }
    }

    fn pane(area: Rect) -> Rect {
        let inner = inside(area);
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
    }

    fn lines(&self, width: usize) -> Vec<Vec<Span>> {
        let mut lines = vec![vec![span(format!("here, in {}", self.of), Role::Title)]];
        for (action, word) in &self.here {
            push(&mut lines, &self.keys.hint(*action), word, width);
        }
        for group in Group::ALL {
            lines.push(Vec::new());
            lines.push(vec![span(group.title(), Role::Title)]);
            for action in self.offered.iter().filter(|action| action.group() == group) {
                let keys: Vec<&str> = self.keys.names(*action).collect();
                let keys = if keys.is_empty() { self.keys.hint(*action) } else { keys.join("  ") };
                push(&mut lines, &keys, action.doc(), width);
            }
        }
        lines.push(Vec::new());
        lines.push(vec![span("in a card and in the composer", Role::Title)]);
        for (keys, what) in IN_CARDS {
            push(&mut lines, keys, what, width);
        }
        lines.push(Vec::new());
        lines.push(vec![span("commands, after :", Role::Title)]);
        for command in commands::ALL {
            push(&mut lines, command.usage, command.doc, width);
        }
        lines.push(Vec::new());
        lines.push(vec![span("marks", Role::Title)]);
        lines.extend(wrap(MARKS, width).into_iter().map(|line| vec![span(line, Role::Plain)]));
        lines
    }
}

/// Keys in cards and in the composer.
pub const IN_CARDS: &[(&str, &str)] = &[
    ("y  esc", "do it; leave it. enter presses the highlighted button, and \"leave it\" is lit."),
    ("j k  1…9", "choose."),
    ("number, enter", "for two tasks or more: type how many, then enter; in production with a reason."),
    ("ctrl-s  alt-enter", "composer: send."),
    ("tab  shift-tab", "composer: the next field, the one before."),
    ("ctrl-x", "composer: the field in $EDITOR."),
    ("esc", "composer: close, and keep the draft."),
];

fn push(lines: &mut Vec<Vec<Span>>, keys: &str, what: &str, width: usize) {
    let column = 20;
    for (at, text) in wrap(what, width.saturating_sub(column + 2).max(10)).into_iter().enumerate() {
        let first = if at == 0 { keys } else { "" };
        lines.push(vec![span(format!("  {first:<column$}"), Role::Key), span(text, Role::Plain)]);
    }
}

impl Screen for HelpView {
    fn word(&self) -> &'static str {
        "help"
    }

    fn refresh(&mut self, _ctx: &Context, _area: Rect) -> bool {
        false
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, _ctx: &Context) {
        let acts = [Action::New, Action::EditCopy, Action::Answer, Action::Again, Action::Cancel];
        let acts = acts.map(|action| self.keys.hint(action)).join(" ");
        let facts = format!("lower case looks or opens · shift sorts · {acts} act, through a card");
        let facts = [span(facts, Role::Quiet)];
        canvas.rule(area, area.y, Edge::Top, &[span("help", Role::Title)], &facts);
        let pane = Self::pane(area);
        text::draw(canvas, pane, &self.lines(usize::from(pane.width)), &self.state);
    }

    fn act(&mut self, action: Action, _ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let pane = Self::pane(area);
        if action == Action::Help {
            return Some(vec![Step::Back]);
        }
        let lines = self.lines(usize::from(pane.width));
        self.state.act(action, &lines, usize::from(pane.height)).then(Vec::new)
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Filter, "search"),
            (Action::NextMatch, "next"),
            (Action::HalfDown, "half a page"),
            (Action::Back, "back"),
        ]
    }

    fn target(&self, _ctx: &Context) -> Target {
        Target::default()
    }

    fn in_text(&self) -> bool {
        true
    }

    fn searched(&self) -> Option<String> {
        Some(self.state.search.clone())
    }

    fn search(&mut self, text: &str, _ctx: &Context, area: Rect) {
        let pane = Self::pane(area);
        let lines = self.lines(usize::from(pane.width));
        self.state.look_for(text, &lines, usize::from(pane.height));
    }
}
