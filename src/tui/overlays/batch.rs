//! The card of a batch: the file, where its messages go, how many at once and how fast.

use crossterm::event::KeyCode;

use crate::domain::shell_words::quoted;
use crate::tui::batch::{self, Run};
use crate::tui::cmd::Cmd;
use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::layout;
use crate::tui::step::{KeyOutcome, Step};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::field::Field;
use crate::tui::widgets::text::wrap;

const WIDTH: u16 = 72;
/// The fields, with what each means.
const FIELDS: [(&str, &str); 4] = [
    ("to", "an agent, skill:ID, tag:TAG, route:NAME; empty: as each line says, or by rules"),
    ("at once", "messages in progress, up to 1000"),
    ("rate", "such as 10/s; empty: no limit"),
    ("retries", "of what was not sent, refused or failed"),
];

/// The card.
#[derive(Debug)]
pub struct BatchCard {
    file: String,
    /// The lines of the file, or why it cannot be read; `None` until it was looked at.
    lines: Option<Result<u64, String>>,
    fields: [Field; 4],
    at: usize,
    complaint: Option<String>,
}

impl BatchCard {
    /// The card of a file.
    pub fn new(file: String) -> Self {
        let fields = ["", "8", "", "0"].map(Field::new);
        Self { file, lines: None, fields, at: 0, complaint: None }
    }

    /// The file was looked at.
    pub fn seen(&mut self, file: &str, lines: &Result<u64, String>) {
        if file == self.file {
            self.lines = Some(lines.clone());
        }
    }

    fn args(&self) -> Result<Vec<String>, String> {
        let [to, at_once, rate, retries] = self.fields.each_ref().map(|field| field.text().trim());
        batch::args(&self.file, to, at_once, rate, retries)
    }

    /// Takes a key.
    pub fn key(&mut self, chord: Chord, ctx: &Context) -> KeyOutcome {
        self.complaint = None;
        match chord.code {
            KeyCode::Esc => return KeyOutcome::Closes(Vec::new()),
            KeyCode::Tab | KeyCode::Down => self.at = (self.at + 1) % FIELDS.len(),
            KeyCode::BackTab | KeyCode::Up => self.at = (self.at + FIELDS.len() - 1) % FIELDS.len(),
            KeyCode::Enter => match self.run(ctx) {
                Ok(run) => return KeyOutcome::Closes(vec![Step::Cmd(Cmd::RunBatch(Box::new(run)))]),
                Err(why) => self.complaint = Some(why),
            },
            _ => {
                self.fields[self.at].key(chord);
            }
        }
        KeyOutcome::Stays(Vec::new())
    }

    fn run(&self, ctx: &Context) -> Result<Run, String> {
        let lines = match &self.lines {
            None => return Err("the file is still being read".into()),
            Some(Err(why)) => return Err(format!("{} cannot be read: {why}", self.file)),
            Some(Ok(0)) => return Err("the file has no lines".into()),
            Some(Ok(lines)) => *lines,
        };
        if let Some(running) = &ctx.batch {
            return Err(format!("batch {} still runs", running.name));
        }
        let name = self.file.rsplit('/').next().unwrap_or(&self.file).to_owned();
        Ok(Run { name, args: self.args()?, flags: ctx.info.flags.clone(), lines })
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        self.fields[self.at].insert(text.trim());
    }

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        let width = WIDTH.min(ctx.size.0);
        let inner = usize::from(width.saturating_sub(4));
        let command = self.args().map(|args| {
            let args: Vec<String> = args.iter().map(|word| quoted(word)).collect();
            format!("quarterdeck{} batch {}", ctx.info.flags, args.join(" "))
        });
        let command = wrap(&command.unwrap_or_else(|why| why), inner);
        let height = u16::try_from(9 + command.len()).unwrap_or(12);
        let area = layout::card(ctx, width, height);
        canvas.clear(area);
        let border = if ctx.info.protect { Role::Bad } else { Role::Title };
        let (count, role) = match &self.lines {
            None => ("…".to_owned(), Role::Quiet),
            Some(Ok(1)) => ("1 line".to_owned(), Role::Plain),
            Some(Ok(lines)) => (format!("{lines} lines"), Role::Plain),
            Some(Err(_)) => ("cannot be read".to_owned(), Role::Bad),
        };
        let title =
            [span("batch ", Role::Title), span(crate::domain::text::fit(&self.file, 40), Role::Plain)];
        canvas.heavy_rule(area, area.y, Edge::Top, border, &title, &[span(count, role)]);
        let bottom = area.bottom().saturating_sub(1);
        canvas.heavy_sides(area, area.y + 1, bottom, border);
        let mut y = area.y + 1;
        for (at, ((label, _), field)) in FIELDS.iter().zip(&self.fields).enumerate() {
            let focused = at == self.at;
            canvas.put(area.x + 2, y, label, Role::Quiet, 10);
            let role = if focused { Role::Accent } else { Role::Plain };
            canvas.put(area.x + 13, y, field.text(), role, area.width.saturating_sub(15));
            if focused {
                let typed = unicode_width::UnicodeWidthStr::width(field.before_cursor());
                canvas.type_at(area.x + 13 + u16::try_from(typed).unwrap_or(0), y);
            }
            y += 1;
        }
        let (hint, role) = match &self.complaint {
            Some(why) => (why.as_str(), Role::Warn),
            None => (FIELDS[self.at].1, Role::Quiet),
        };
        canvas.put(area.x + 2, y, hint, role, area.width.saturating_sub(4));
        canvas.heavy_rule(
            area,
            y + 1,
            Edge::Middle,
            border,
            &[span("the same as a command", Role::Quiet)],
            &[],
        );
        for (line, y) in command.iter().zip(y + 2..bottom) {
            canvas.put(area.x + 2, y, line, Role::Quiet, area.width.saturating_sub(4));
        }
        let keys = [
            span("enter", Role::Key),
            span(" send them   ", Role::Plain),
            span("tab", Role::Key),
            span(" next field   ", Role::Plain),
            span("esc", Role::Key),
            span(" leave it", Role::Plain),
        ];
        canvas.heavy_rule(area, bottom, Edge::Bottom, border, &keys, &[]);
    }
}
