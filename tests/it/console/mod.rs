//! The console, driven by keys on a fleet that stands still.

mod commands;
mod groups;
mod keys;
mod lists;
mod numbers;
mod ops;
mod panes;
mod picture;
mod preferences;
pub(crate) mod pty;
mod read_only;
mod routed;
mod scene;
mod screens;
mod shifted;
mod sizes;
mod traced;

use std::sync::Arc;

use quarterdeck::domain::fact::JournalEntry;
use quarterdeck::domain::time::At;
use quarterdeck::engine::{Answer, Query};
use quarterdeck::tui::cmd::Cmd;
use quarterdeck::tui::context::{Context, Info};
use quarterdeck::tui::format::Clocks;
use quarterdeck::tui::keymap::Chord;
use quarterdeck::tui::model::Model;
use quarterdeck::tui::msg::Msg;
use quarterdeck::tui::queries::{Telemetry, ViewAnswer, ViewQuery};
use quarterdeck::tui::render::render;
use quarterdeck::tui::theme::{Depth, Theme};
use quarterdeck::tui::update::update;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use scene::{Cast, Scene, later};
pub(crate) use scene::{data, three_in_the_morning};

/// A console, its fleet, and what it wants done outside.
pub(crate) struct Console {
    pub(crate) model: Model,
    pub(crate) scene: Scene,
    pub(crate) cast: Cast,
    /// What left the console and is no question.
    pub(crate) asked: Vec<Cmd>,
    pub(crate) now: At,
}

pub(crate) fn info() -> Info {
    Info {
        fleet: "prod-eu".into(),
        protect: true,
        read_only: false,
        own_engine: true,
        operator: "sam".into(),
        flags: " --fleet prod-eu".into(),
        fleets: vec!["prod-eu".into(), "staging".into()],
        bell: false,
        desktop: false,
        rings_from: quarterdeck::domain::problem::Severity::Bad,
        objectives: Vec::new(),
        presenter: None,
    }
}

impl Console {
    pub(crate) fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, info(), Theme::load("dark", Depth::None, false))
    }

    /// A fleet of which nothing is known.
    pub(crate) fn empty(width: u16, height: u16) -> Self {
        let mut console = Self::new(width, height);
        let snapshot = Scene::new().publish(scene::NOW);
        let theme = Theme::load("dark", Depth::None, false);
        let context = Context::new(snapshot, info(), theme, Clocks::new("UTC"), (width, height), console.now);
        console.model = Model::new(context, true);
        console.send([]);
        console
    }

    pub(crate) fn with(width: u16, height: u16, info: Info, theme: Theme) -> Self {
        let (mut scene, cast) = three_in_the_morning();
        let snapshot = scene.publish(scene::NOW);
        let now = later(0.0);
        let context = Context::new(snapshot.clone(), info, theme, Clocks::new("UTC"), (width, height), now);
        let mut console = Self { model: Model::new(context, true), scene, cast, asked: Vec::new(), now };
        console.send([Msg::Snapshot(snapshot)]);
        console
    }

    /// Something happens; questions are answered at once, everything else is kept.
    pub(crate) fn send(&mut self, msgs: impl IntoIterator<Item = Msg>) {
        let mut cmds = update(&mut self.model, self.now, msgs);
        while !cmds.is_empty() {
            let mut answers = Vec::new();
            for cmd in cmds {
                match cmd {
                    Cmd::Follow(Some(job)) => {
                        let (facts, until) = self.scene.story(job);
                        answers.push(Msg::Job(job, facts, until));
                    }
                    Cmd::Follow(None) => {}
                    Cmd::Query(query, generation) => {
                        let answer = Ok(match &query {
                            ViewQuery::Engine(query) => ViewAnswer::Engine(self.answer(query)),
                            ViewQuery::Telemetry(query) => {
                                let answer = traced::answer(&self.scene, &self.cast, query);
                                ViewAnswer::Telemetry(Telemetry::of(answer, self.now))
                            }
                        });
                        answers.push(Msg::Answered(query, generation, answer));
                    }
                    Cmd::Index(work, snapshot) => {
                        let rows = work.build(&snapshot);
                        answers.push(Msg::Indexed(work.order, snapshot.rev, rows));
                    }
                    cmd => self.asked.push(cmd),
                }
            }
            cmds = update(&mut self.model, self.now, answers);
        }
    }

    fn answer(&self, query: &Query) -> Answer {
        match query {
            Query::Facts { owner, limit } => {
                let of: Vec<&Arc<JournalEntry>> =
                    self.scene.facts.iter().filter(|fact| fact.owner() == *owner).collect();
                Answer::Facts(
                    of.iter()
                        .skip(of.len().saturating_sub(*limit))
                        .map(|fact| JournalEntry::clone(fact))
                        .collect(),
                )
            }
            Query::Wire { agent, known } => {
                let frames = screens::frames(&self.scene, *agent);
                let count = frames.len() as u64;
                Answer::Wire(count, (count > *known).then_some(frames))
            }
            Query::Metrics(stretch) => Answer::Metrics(self.scene.metrics(*stretch)),
            Query::Fields { .. } => Answer::Fields(Vec::new()),
            Query::Totals => Answer::Totals(Box::default()),
            Query::Explain(send) => {
                Answer::Explained(Box::new(self.scene.explain(self.now, send.as_deref())))
            }
            Query::Plan(acts) => Answer::Planned(Box::new(self.scene.plan(self.now, acts))),
            Query::Drill(agents) => Answer::Drilled(Box::new(self.scene.drill(self.now, agents))),
            Query::Kill { .. } => Answer::Killed,
            Query::Job(_) => Answer::Job(None),
            Query::RulesFile { file } => Answer::RulesFile(Box::new(routed::rules_file(file.as_deref()))),
            Query::Replay { after, .. } => {
                let mut agents = self.scene.state.agents().iter().map(|(_, agent)| agent.id);
                let agents = [agents.next().unwrap(), agents.next().unwrap()];
                Answer::Replayed(Box::new(routed::replayed(*after, agents)))
            }
            Query::Audit { filter, .. } => Answer::Audit(screens::audit(&self.scene, filter)),
            Query::VerifyAudit { .. } => Answer::AuditVerified(Box::new(screens::verified())),
            Query::Outputs { .. } | Query::ReadTask { .. } => unreachable!("no screen asks for {query:?}"),
        }
    }

    /// What is known now is published.
    pub(crate) fn publish(&mut self) {
        let seconds = self.now.since(scene::at(0.0)).as_secs_f64();
        let snapshot = self.scene.publish(seconds);
        self.send([Msg::Snapshot(snapshot)]);
    }

    /// Draws, and notes that it was seen.
    pub(crate) fn screen(&mut self) -> String {
        let (width, height) = self.model.context.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        render(&self.model, &mut buffer);
        self.send([Msg::Shown]);
        let line = |y| {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            line.trim_end().to_owned()
        };
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Keys, one after the other, each seen before the next: `2`, `ctrl-d`, `"text"`.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.split(' ') {
            if let Some(text) = key.strip_prefix('"') {
                for c in text.trim_end_matches('"').replace('_', " ").chars() {
                    self.send([Msg::Key(Chord::char(c))]);
                }
            } else {
                let chord = named(key).unwrap_or_else(|| panic!("{key} is no key"));
                self.send([Msg::Key(chord)]);
            }
            self.screen();
        }
        self
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, seconds: f64) -> &mut Self {
        self.now = self.now + std::time::Duration::from_secs_f64(seconds);
        self.send([]);
        self
    }

    /// What the last border says.
    pub(crate) fn last_line(&mut self) -> String {
        self.screen().lines().last().unwrap_or_default().to_owned()
    }
}

fn named(key: &str) -> Option<Chord> {
    match key {
        "backspace" => Some(Chord { code: crossterm::event::KeyCode::Backspace, ..Chord::char(' ') }),
        key => Chord::parse(key),
    }
}
