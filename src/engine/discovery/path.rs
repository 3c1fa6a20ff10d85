//! A file or folder of cards that is watched.
//!
//! It is looked at every two seconds: names, sizes and times of change. That needs no notification from the
//! system, so it works on network file systems and in containers too, and costs one listing of the folder.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::poll::{Fetcher, Read, ReadResult, poll};
use super::{Discover, Running, SourceSender};
use crate::config::AgentSource;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceSpec};
use crate::domain::text::Untrusted;
use crate::net::{BODY, Net};
use crate::protocol::catalog::{self, Broken, MOST};

/// The source.
#[derive(Debug)]
pub(super) struct Files {
    config: AgentSource,
}

impl Files {
    pub(super) fn new(config: AgentSource) -> Self {
        Self { config }
    }
}

impl Discover for Files {
    fn spec(&self) -> SourceSpec {
        self.config.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, net: Net) -> Running {
        Box::pin(async move {
            let watch =
                Watch { at: PathBuf::from(&self.config.at), known: Some(Known::new()), under_way: None };
            poll(watch, &self.config, report, net).await;
        })
    }
}

type Known = BTreeMap<PathBuf, Seen>;
type Looked = (Known, Result<ReadResult, Cause>);

/// A look is taken beside the runtime, and no second one while a file system does not answer the first.
struct Watch {
    at: PathBuf,
    known: Option<Known>,
    under_way: Option<tokio::task::JoinHandle<Looked>>,
}

impl Read for Watch {
    async fn read(&mut self, _way: &Fetcher) -> Result<Option<ReadResult>, Cause> {
        let (at, known) = (self.at.clone(), &mut self.known);
        let look = self.under_way.get_or_insert_with(|| {
            let mut known = known.take().unwrap_or_default();
            tokio::task::spawn_blocking(move || {
                let reading = look(&at, &mut known);
                (known, reading)
            })
        });
        let looked = look.await;
        self.under_way = None;
        let fault = |error| Cause::Source(Untrusted::from(format!("{}: {error}", self.at.display())));
        let (known, reading) = looked.map_err(fault)?;
        self.known = Some(known);
        reading.map(Some)
    }
}

/// What tells versions of a file apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl Version {
    fn of(file: &Metadata) -> Self {
        // The time of change of the entry moves even where a copy keeps that of the contents.
        let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
        Self { size: file.len(), modified, changed, inode: file.ino() }
    }
}

/// A file as it was read last.
struct Seen {
    version: Version,
    /// It was still the same a look later: clocks of file systems are coarse, and a file may change twice
    /// within their tick.
    settled: bool,
    agents: Vec<DiscoveredAgent>,
    broken: Broken,
}

/// Reads what has changed, and gives everything that is named now.
fn look(at: &Path, known: &mut Known) -> Result<ReadResult, Cause> {
    let fault = |error: io::Error| Cause::Source(Untrusted::from(format!("{}: {error}", at.display())));
    let metadata = std::fs::metadata(at).map_err(fault)?;
    let mut reading = ReadResult::default();
    let files = if metadata.is_dir() {
        cards_in(at, &mut reading.broken).map_err(fault)?
    } else {
        vec![at.to_owned()]
    };
    known.retain(|path, _| files.binary_search(path).is_ok());
    for path in files {
        read(&path, known);
        let Some(seen) = known.get(&path) else { continue };
        reading.agents.extend(seen.agents.iter().cloned());
        reading.broken.join(&format!("{}:", path.display()), seen.broken.clone());
    }
    Ok(reading)
}

/// The files of a folder whose names end in `.json`, in order; hidden ones are those that are being written.
fn cards_in(folder: &Path, broken: &mut Broken) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_card = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if !is_card || hidden {
            continue;
        }
        if files.len() >= MOST {
            broken
                .add(&folder.display().to_string(), format!("more than {MOST} files; the rest is not read"));
            break;
        }
        files.push(path);
    }
    files.sort();
    Ok(files)
}

/// Reads a file if it is another than it was. One that cannot be read names whom it named before.
fn read(path: &Path, known: &mut Known) {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        // It went away since the folder was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            known.remove(path);
            return;
        }
        Err(error) => return broken(path, known, None, &error.to_string()),
    };
    let version = Version::of(&metadata);
    let same = known.get(path).filter(|seen| seen.version == version);
    let settled = same.is_some();
    if same.is_some_and(|seen| seen.settled) {
        return;
    }
    match text_of(path, &metadata)
        .and_then(|text| catalog::read(&text, None).map_err(|cause| cause.to_string()))
    {
        Ok(list) => {
            known
                .insert(path.to_owned(), Seen { version, settled, agents: list.agents, broken: list.broken });
        }
        Err(why) => broken(path, known, Some((version, settled)), &why),
    }
}

fn broken(path: &Path, known: &mut Known, version: Option<(Version, bool)>, why: &str) {
    let seen = known.entry(path.to_owned()).or_insert_with(|| Seen {
        version: Version { size: 0, modified: (0, 0), changed: (0, 0), inode: 0 },
        settled: false,
        agents: Vec::new(),
        broken: Broken::default(),
    });
    if let Some((version, settled)) = version {
        (seen.version, seen.settled) = (version, settled);
    }
    seen.broken = Broken::default();
    seen.broken.add("", why);
}

fn text_of(path: &Path, metadata: &Metadata) -> Result<String, String> {
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err("is no file".into());
    }
    let most = BODY as u64;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err("is larger than 64 MiB".into());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}
