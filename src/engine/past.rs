//! The past against changed rules: reads a file of rules, and the journal page by page, outside the loop.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::handle::{Answer, QueryError};
use super::run::{RoutesRead, Runner};
use crate::domain::route::difference::{RulesFile, differences};
use crate::domain::route::replay::{ReplayPage, Replayer};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::store::PastPage;

/// Reads the rules of this fleet from a file, or from the configuration's own; returns its name too.
pub type RulesReader = Arc<dyn Fn(Option<&Path>) -> (Untrusted, RoutesRead) + Send + Sync>;

/// The reader of rules, once the engine has one.
#[derive(Clone, Default)]
pub(super) struct RulesSource(Arc<OnceLock<RulesReader>>);

impl std::fmt::Debug for RulesSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RulesSource").field(&self.0.get().is_some()).finish()
    }
}

impl RulesSource {
    pub fn set(&self, reader: RulesReader) {
        let _it_has_one = self.0.set(reader);
    }

    fn read(&self, file: Option<&str>) -> (Untrusted, RoutesRead) {
        match self.0.get() {
            Some(reader) => reader(file.map(Path::new)),
            None => ("".into(), Err("this engine reads no configuration file".into())),
        }
    }
}

impl Runner {
    /// What a file of rules would change if it were loaded.
    pub(super) fn on_rules_file(
        &self,
        file: Option<Arc<str>>,
        reply: oneshot::Sender<Result<Answer, QueryError>>,
    ) {
        let (source, now) = (self.rules.clone(), self.core.routes().clone());
        tokio::task::spawn_blocking(move || {
            let (file, read) = source.read(file.as_deref());
            let answer = match read {
                Ok(rules) => RulesFile {
                    file,
                    fault: None,
                    revision: rules.revision,
                    differences: differences(&now, &rules),
                },
                Err(why) => RulesFile { file, fault: Some(why), revision: 0, differences: Vec::new() },
            };
            let _the_surface_has_gone = reply.send(Ok(Answer::RulesFile(Box::new(answer))));
        });
    }

    /// One page of the past against the rules of a file.
    pub(super) fn on_replay(
        &self,
        (file, listed): (Option<Arc<str>>, usize),
        (since, after): (At, Option<u64>),
        reply: oneshot::Sender<Result<Answer, QueryError>>,
    ) {
        let (source, now, reader) = (self.rules.clone(), self.core.routes().clone(), self.reader.clone());
        let snapshot = self.publisher.current();
        tokio::task::spawn_blocking(move || {
            let page = || {
                let (_, read) = source.read(file.as_deref());
                let changed = read.map_err(QueryError::Rules)?;
                let agents = snapshot.agents.iter().map(|(_, agent)| agent);
                let mut replayer = Replayer::new(&now, &changed, agents, listed);
                let mut end = None;
                if let Some(reader) = &reader {
                    let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let read = reader.past_jobs(PastPage { since, after }, |job| replayer.add(&job));
                    let unreadable =
                        |error: crate::store::StoreError| QueryError::Unreadable(error.to_string().into());
                    end = Some(read.map_err(unreadable)?);
                }
                Ok(ReplayPage {
                    replay: replayer.end(),
                    next: end.and_then(|end| end.next),
                    percent: end.map_or(100, |end| end.percent),
                })
            };
            let answer = page().map(|page| Answer::Replayed(Box::new(page)));
            let _the_surface_has_gone = reply.send(answer);
        });
    }
}
