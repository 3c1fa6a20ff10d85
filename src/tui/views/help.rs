//! Help for a view, made from the table of actions; it can be searched.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::actions::{Action, Group};
use crate::tui::commands;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::keys::Keys;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::page;
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span, width as cells};
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
    /// Nothing can be changed from this console.
    read_only: bool,
    state: TextState,
}

/// Symbols and their meanings.
const MARKS: &str = "agents: ● up  ◐ degraded  ✖ down  ○ not seen yet  ◌ stale  ◆ login needed  ⊘ not spoken. \
tasks: … queued or submitted  ▸ working  ◆ needs you  ✓ completed  ✗ failed  ■ canceled  ⊘ rejected  \
◌ silent, stalled or stale  ? uncertain  ∅ lost by its agent. gaps: ╌ nothing was received. \
breakers: stopped or always: held so by an operator  paused: too much failed  trial: one task is tried  \
ejected: worse than its replicas.";

impl HelpView {
    /// Help for a view.
    pub fn new(ctx: &Context, of: &'static str, here: Vec<(Action, &'static str)>) -> Self {
        let offered = Action::ALL.iter().copied().filter(|action| ctx.offers(*action)).collect();
        let here = here.into_iter().filter(|(action, _)| ctx.offers(*action)).collect();
        let read_only = ctx.info.read_only;
        Self { of, here, offered, keys: ctx.preferences.keys.clone(), read_only, state: TextState::default() }
    }

    /// Everything, side by side where there is room for two columns.
    fn lines(&self, width: usize) -> Vec<Vec<Span>> {
        if width < TWO_COLUMNS {
            return joined(self.sections(width));
        }
        let half = (width - GAP) / 2;
        let mut left = self.sections(half);
        // The columns are as equal as their sections allow.
        let height =
            |sections: &[Vec<Vec<Span>>]| sections.iter().map(|lines| lines.len() + 1).sum::<usize>();
        let whole = height(&left);
        let cut = (1..left.len()).find(|at| height(&left[..*at]) * 2 >= whole).unwrap_or(left.len());
        let right = joined(left.split_off(cut));
        let left = joined(left);
        let rows = left.len().max(right.len());
        let mut lines = Vec::with_capacity(rows);
        for row in 0..rows {
            let mut line = left.get(row).cloned().unwrap_or_default();
            if let Some(other) = right.get(row).filter(|other| !other.is_empty()) {
                let used = usize::from(cells(&line));
                line.push(span(" ".repeat((half + GAP).saturating_sub(used)), Role::Plain));
                line.extend(other.iter().cloned());
            }
            lines.push(line);
        }
        lines
    }

    /// Each part with its title.
    fn sections(&self, width: usize) -> Vec<Vec<Vec<Span>>> {
        let here = self.here.iter().map(|(action, word)| (self.keys.hint(*action), (*word).to_owned()));
        let mut sections = vec![section(&format!("here, in {}", self.of), "", here.collect(), width)];
        for group in Group::ALL {
            let of_group = self.offered.iter().filter(|action| action.group() == group);
            let rows = of_group.map(|action| {
                let keys: Vec<&str> = self.keys.names(*action).collect();
                let keys = if keys.is_empty() { self.keys.hint(*action) } else { keys.join("  ") };
                (keys, action.doc().to_owned())
            });
            let about = match group {
                Group::Act if self.read_only => READ_ONLY.to_owned(),
                Group::Act => rule(&self.keys.hint(Action::Undo)),
                _ => String::new(),
            };
            sections.push(section(group.title(), &about, rows.collect(), width));
        }
        let fixed = |rows: &[(&str, &str)]| {
            rows.iter().map(|(keys, what)| ((*keys).to_owned(), (*what).to_owned())).collect()
        };
        sections.push(section("in a card and in the composer", "", fixed(IN_CARDS), width));
        sections.push(section("while something is typed", "", fixed(WHILE_TYPING), width));
        let commands = commands::ALL.iter().map(|command| (command.usage.to_owned(), command.doc.to_owned()));
        sections.push(section("commands, after :", "", commands.collect(), width));
        sections.push(section("marks", MARKS, Vec::new(), width));
        sections
    }
}

/// The rule of everything that changes something.
pub fn rule(undo: &str) -> String {
    format!(
        "Acts on agents and tasks open a card; take, note, mute and undo act at once, the toast names the object, and \
         {undo} takes them back."
    )
}

/// Instead of the rule in a console that changes nothing.
const READ_ONLY: &str =
    "Nothing can be sent, canceled or changed here: this console was started with --read-only.";

/// From this width on there are two columns, with a gap between them.
const TWO_COLUMNS: usize = 150;
const GAP: usize = 4;

/// Keys in cards and in the composer.
pub const IN_CARDS: &[(&str, &str)] = &[
    ("y  esc", "Do it; leave it. enter presses the highlighted button, and \"leave it\" is highlighted."),
    ("j k  1…9", "Choose."),
    ("number, enter", "For two tasks or more: type how many, then enter; in production with a reason."),
    ("ctrl-s  alt-enter", "Composer: send."),
    ("tab  shift-tab", "Composer: the next field, the one before."),
    ("To", "Composer: an agent, skill:ID, tag:TAG, route:NAME or by rules; tab or enter completes it."),
    ("ctrl-x", "Composer: the field in $EDITOR."),
    ("ctrl-r", "Composer: an earlier message."),
    ("esc", "Composer: close, and keep the draft."),
];

/// Keys that edit text, the same in every field.
pub const WHILE_TYPING: &[(&str, &str)] = &[
    ("ctrl-a  ctrl-e", "The start of the line, its end; also home and end."),
    ("alt-b  alt-f", "A word back, a word on; also ctrl-left and ctrl-right."),
    ("ctrl-u  ctrl-k", "Delete to the start of the line, to its end."),
    ("ctrl-w  alt-d", "Delete the word before the cursor, the word after it."),
    ("ctrl-y  ctrl-z", "Put back what was deleted last; undo."),
];

/// The lines of sections, with an empty line between them.
fn joined(sections: Vec<Vec<Vec<Span>>>) -> Vec<Vec<Span>> {
    let mut lines: Vec<Vec<Span>> = Vec::new();
    for section in sections {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.extend(section);
    }
    lines
}

/// A title, some words about it, and rows whose keys have a column as wide as the widest.
fn section(title: &str, about: &str, rows: Vec<(String, String)>, width: usize) -> Vec<Vec<Span>> {
    let mut lines = vec![vec![span(title, Role::Title)]];
    if !about.is_empty() {
        lines.extend(wrap(about, width).into_iter().map(|line| vec![span(line, Role::Plain)]));
    }
    let widest = rows.iter().map(|(keys, _)| keys.width()).max().unwrap_or(0);
    let column = widest.clamp(18, (width / 3).max(18));
    for (keys, what) in rows {
        let texts = wrap(&what, width.saturating_sub(column + 4).max(10));
        // Keys that are longer than their column stand on a line of their own.
        let alone = keys.width() > column;
        if alone {
            lines.push(vec![span(format!("  {keys}"), Role::Key)]);
        }
        for (at, text) in texts.into_iter().enumerate() {
            let first = if at == 0 && !alone { keys.as_str() } else { "" };
            lines.push(vec![span(format!("  {first:<column$}  "), Role::Key), span(text, Role::Plain)]);
        }
    }
    lines
}

impl Screen for HelpView {
    fn word(&self) -> &'static str {
        "help"
    }

    fn refresh(&mut self, _ctx: &Context, _area: Rect) -> bool {
        false
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, _ctx: &Context) {
        let acts =
            [Action::New, Action::EditCopy, Action::Answer, Action::Again, Action::Cancel, Action::Service];
        let offered = acts.iter().filter(|action| self.offered.contains(action));
        let acts = offered.map(|action| self.keys.hint(*action)).collect::<Vec<_>>().join(" ");
        let acts = if acts.is_empty() { acts } else { format!(" · {acts} act") };
        let facts = [span(format!("lower case looks or opens · shift sorts{acts}"), Role::Quiet)];
        canvas.rule(area, area.y, Edge::Top, &[span("help", Role::Title)], &facts);
        let pane = page(area);
        text::draw(canvas, pane, &self.lines(usize::from(pane.width)), &self.state);
    }

    fn act(&mut self, action: Action, _ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let pane = page(area);
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

    fn searched(&self) -> String {
        self.state.search.clone()
    }

    fn search(&mut self, text: &str, _ctx: &Context, area: Rect) -> Option<usize> {
        let pane = page(area);
        let lines = self.lines(usize::from(pane.width));
        Some(self.state.look_for(text, &lines, usize::from(pane.height)))
    }
}
