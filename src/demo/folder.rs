//! The folder in which a demo keeps its story and its agents' tasks, so that it goes on after it was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::incident::StepDone;
use super::scenario::Scenario;
use crate::domain::job::message::text_hash;

/// The file of the story.
const STORY: &str = "story.json";

/// The folder of one demo. Only one process uses it at a time.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    /// The folder itself, locked.
    _lock: File,
    progress: Mutex<Progress>,
}

/// How far the demo is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// When the demo was first started, in microseconds since the Unix epoch.
    pub began: i64,
    /// The port of each agent.
    pub ports: BTreeMap<String, u16>,
    /// The scenario and the seed that the rest is of.
    pub of: String,
    /// How many moments of the story have begun.
    pub moments: usize,
    /// How many jobs have been sent after the story, or without one.
    pub calm: u64,
    /// The attempts of named jobs.
    pub named: BTreeMap<String, String>,
    /// Agents that the story has killed and not brought back.
    pub down: BTreeSet<String>,
    /// What the story has changed about agents.
    pub conditions: BTreeMap<String, Condition>,
    /// When the incident began, in microseconds since the Unix epoch; `None` before that, or without one.
    pub incident: Option<i64>,
    /// The steps of the incident that are done.
    pub steps: Vec<StepDone>,
}

impl Folder {
    /// Opens the folder, or makes it; `None` if another demo uses it.
    ///
    /// # Errors
    /// The file system says no.
    pub fn open(dir: &Path) -> io::Result<Option<Self>> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let lock = File::open(dir)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let progress = match fs::read(dir.join(STORY)) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "the story cannot be read and begins anew");
                Progress::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Progress::default(),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { dir: dir.to_owned(), _lock: lock, progress: Mutex::new(progress) }))
    }

    /// Notes a start: another scenario, or another seed, is another story.
    pub(super) fn start(&self, scenario: &Scenario, now: i64) {
        let of = format!("{} {}", scenario.seed, scenario.title);
        self.update(|progress| {
            if progress.began == 0 {
                progress.began = now;
            }
            if progress.of != of {
                let Progress { began, ref mut ports, .. } = *progress;
                *progress = Progress { began, ports: std::mem::take(ports), of, ..Progress::default() };
            }
        });
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the progress, and writes it.
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let before = progress.clone();
        change(&mut progress);
        if *progress == before {
            return;
        }
        let written = serde_json::to_vec(&*progress)
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&self.dir.join(STORY), &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, "how far the story is cannot be written");
        }
    }

    /// The file for the tasks of an agent; any name is a safe one.
    pub(super) fn tasks_of(&self, agent: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = agent.chars().take(40).map(plain).collect();
        let hash = if name == agent { String::new() } else { format!("-{:016x}", text_hash(agent)) };
        self.dir.join(format!("{name}{hash}.jsonl"))
    }
}

/// Replaces a file: whoever reads it, also after a kill, finds the old content or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_the_progress_and_is_used_by_one_demo() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo");
        let folder = Folder::open(&path).unwrap().unwrap();
        assert!(Folder::open(&path).unwrap().is_none(), "another demo uses it");
        folder.update(|progress| progress.moments = 7);
        let progress = folder.progress();
        drop(folder);
        assert_eq!(Folder::open(&path).unwrap().unwrap().progress(), progress);
        fs::write(path.join(STORY), "{").unwrap();
        assert_eq!(Folder::open(&path).unwrap().unwrap().progress(), Progress::default());
    }

    #[test]
    fn names_of_agents_lead_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap().unwrap();
        let names = ["taxi", "a/../b", "a_.._b", "..", "", "é"];
        let files: BTreeSet<_> = names.iter().map(|name| folder.tasks_of(name)).collect();
        assert_eq!(files.len(), names.len());
        assert!(files.iter().all(|file| file.parent() == Some(dir.path())), "{files:?}");
    }
}
