//! Overlays over a view: the command line, menus, cards and the composer.

pub mod batch;
pub mod card;
pub mod composer;
pub mod confirmed;
pub mod copy;
pub mod go;
pub mod menu;
pub mod prompt;
pub mod service;
pub mod shift;
pub mod time;
pub mod views;

use super::step::KeyOutcome;
use crate::domain::time::At;
use crate::engine::Answer;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::queries::{Ask, Subscription};
use crate::tui::widgets::canvas::Canvas;

/// Something over the view.
#[derive(Debug)]
pub enum Overlay {
    /// The command line or the search line.
    Prompt(prompt::Prompt),
    /// A menu: one more key chooses.
    Menu(menu::Menu),
    /// All views and saved views.
    Views(views::Views),
    /// A confirmation card.
    Card(card::Card),
    /// A message being written.
    Composer(Box<composer::Composer>),
    /// A batch that is about to be sent.
    Batch(Box<batch::BatchCard>),
}

impl Overlay {
    /// Takes a key.
    pub fn key(&mut self, chord: Chord, at: At, ctx: &Context) -> KeyOutcome {
        match self {
            Self::Prompt(prompt) => prompt.key(chord, ctx),
            Self::Menu(menu) => menu.key(chord),
            Self::Views(views) => views.key(chord),
            Self::Card(card) => card.key(chord, at, ctx),
            Self::Composer(composer) => composer.key(chord, ctx),
            Self::Batch(card) => card.key(chord, ctx),
        }
    }

    /// Takes pasted text; false if it has nowhere to go.
    pub fn paste(&mut self, text: &str, ctx: &Context) -> bool {
        match self {
            Self::Prompt(prompt) => {
                prompt.paste(text, ctx);
                true
            }
            Self::Composer(composer) => {
                composer.paste(text);
                true
            }
            Self::Card(card) => card.paste(text),
            Self::Batch(card) => {
                card.paste(text);
                true
            }
            Self::Menu(_) | Self::Views(_) => false,
        }
    }

    /// Applies changes behind it; true if the display changes.
    pub fn refresh(&mut self, ctx: &Context) -> bool {
        match self {
            Self::Card(card) => card.refresh(ctx),
            Self::Composer(composer) => composer.refresh(ctx),
            Self::Views(views) => views.refresh(ctx),
            Self::Prompt(_) | Self::Menu(_) | Self::Batch(_) => false,
        }
    }

    /// Its queries beside those of the view.
    pub fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        match self {
            Self::Composer(composer) => composer.queries(ctx),
            Self::Card(card) => card.queries(ctx),
            Self::Prompt(_) | Self::Menu(_) | Self::Views(_) | Self::Batch(_) => Vec::new(),
        }
    }

    /// True if it asked this.
    pub fn asks(&self, ask: &Ask) -> bool {
        match self {
            Self::Composer(composer) => composer.asks(ask),
            Self::Card(_) => card::Card::asks(ask),
            Self::Prompt(_) | Self::Menu(_) | Self::Views(_) | Self::Batch(_) => false,
        }
    }

    /// Takes the answer to its query; true if the display changes.
    pub fn on_answer(&mut self, ask: &Ask, answer: Answer, ctx: &Context) -> bool {
        match self {
            Self::Composer(composer) => composer.on_answer(ask, answer, ctx),
            Self::Card(card) => card.on_answer(ask, answer, ctx),
            Self::Prompt(_) | Self::Menu(_) | Self::Views(_) | Self::Batch(_) => false,
        }
    }

    /// True if it is read by itself: what lies behind it is dimmed.
    pub fn dims(&self) -> bool {
        matches!(self, Self::Card(_) | Self::Composer(_) | Self::Batch(_))
    }

    /// The overlay is no longer visible; keys are ignored until it is drawn again.
    pub fn hidden(&mut self) {
        if let Self::Card(card) = self {
            card.hidden();
        }
    }

    /// It has been seen since then.
    pub fn shown(&mut self, at: At) {
        if let Self::Card(card) = self {
            card.shown(at);
        }
    }

    /// Draws it.
    pub fn draw(&self, canvas: &mut Canvas<'_>, ctx: &Context) {
        match self {
            Self::Prompt(prompt) => prompt.draw(canvas, ctx),
            Self::Menu(menu) => menu.draw(canvas, ctx),
            Self::Views(views) => views.draw(canvas, ctx),
            Self::Card(card) => card.draw(canvas, ctx),
            Self::Composer(composer) => composer.draw(canvas, ctx),
            Self::Batch(card) => card.draw(canvas, ctx),
        }
    }

    /// The key hints in the last border.
    pub fn keys(&self, ctx: &Context) -> String {
        let words = match self {
            Self::Prompt(_) => return String::new(),
            Self::Menu(_) | Self::Views(_) => return "a letter chooses   esc close".to_owned(),
            Self::Card(card) => card.hint(),
            Self::Composer(_) => "esc closes and keeps the draft",
            Self::Batch(_) => "esc leave it",
        };
        let help = ctx.preferences.keys.while_typing(Action::Help);
        help.map_or_else(|| words.to_owned(), |key| format!("{words}   {key} help"))
    }
}
