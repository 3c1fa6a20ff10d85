//! A watched file or folder of cards.
//!
//! It is checked every two seconds: names, sizes and modification times. This needs no notification from the system, so
//! it also works on network file systems and in containers, and costs one listing of the folder.
//!
//! Only regular files are read. A file that takes longer than [`FILE`] is left to its reading thread, reported as
//! broken, and skipped until that thread has finished; the others are read as usual.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::poll::{Fetcher, Read, ReadResult, poll};
use super::{Discover, Running, SourceSender};
use crate::config::AgentSource;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceSpec};
use crate::domain::text::Untrusted;
use crate::net::{BODY, Net};
use crate::protocol::catalog::{self, Broken, Catalog, MOST};

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
            poll(Watch::new(PathBuf::from(&self.config.at)), &self.config, report, net).await;
        })
    }
}

/// The time within which a file must be read.
const FILE: Duration = Duration::from_secs(5);
/// The maximum number of files in blocked reading threads; beyond it the source is reported as unreadable.
const STUCK: usize = 8;

type Known = BTreeMap<PathBuf, CachedFile>;

/// Reads a file: its agents, or why it has none, and the version that was read.
type ReadFile = fn(&Path) -> (Option<Version>, Result<Catalog, String>);

/// Checks of the folder run outside the runtime, and only one at a time while the file system does not answer.
struct Watch {
    at: PathBuf,
    read_file: ReadFile,
    /// The time within which a file must be read.
    limit: Duration,
    known: Arc<Mutex<Known>>,
    under_way: Option<FolderRead>,
    /// Files that took too long, and the checks that are still reading them.
    stuck: BTreeMap<PathBuf, FolderRead>,
}

/// One check of the folder.
struct FolderRead {
    task: JoinHandle<Result<ReadResult, Cause>>,
    shared: Arc<Shared>,
}

/// Shared between a check and its waiter.
#[derive(Default)]
struct Shared {
    /// The file being read, with its start time.
    current: Mutex<Option<(PathBuf, Instant)>>,
    /// True if nobody waits for the check any more.
    abandoned: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    fn new(at: PathBuf) -> Self {
        let known = Arc::default();
        Self { at, read_file, limit: FILE, known, under_way: None, stuck: BTreeMap::new() }
    }

    fn look(&self) -> FolderRead {
        let shared = Arc::<Shared>::default();
        let folder = Folder {
            at: self.at.clone(),
            read_file: self.read_file,
            known: self.known.clone(),
            skipped: self.stuck.keys().cloned().collect(),
            shared: shared.clone(),
        };
        FolderRead { task: tokio::task::spawn_blocking(move || folder.look()), shared }
    }

    /// Waits for the check, or abandons it if one file takes too long; returns that file or the result.
    async fn looked(look: &mut FolderRead, limit: Duration) -> Result<Result<ReadResult, Cause>, PathBuf> {
        loop {
            let current = locked(&look.shared.current).clone();
            // Between files there is nothing to abandon; the next file gets the full time.
            let until = current.as_ref().map_or_else(Instant::now, |(_, since)| *since) + limit;
            tokio::select! {
                looked = &mut look.task => {
                    let fault = |error| Cause::Source(Untrusted::from(format!("{error}")));
                    return Ok(looked.map_err(fault).and_then(|reading| reading));
                }
                () = tokio::time::sleep_until(until) => {}
            }
            if let Some((path, _)) = current
                && until <= Instant::now()
                && locked(&look.shared.current).as_ref().is_some_and(|(now, _)| *now == path)
            {
                look.shared.abandoned.store(true, Ordering::Relaxed);
                return Err(path);
            }
        }
    }
}

impl Read for Watch {
    async fn read(&mut self, _way: &Fetcher) -> Result<Option<ReadResult>, Cause> {
        self.stuck.retain(|_, look| !look.task.is_finished());
        loop {
            let next = match self.under_way.take() {
                Some(look) => look,
                None => self.look(),
            };
            let look = self.under_way.insert(next);
            match Self::looked(look, self.limit).await {
                Ok(reading) => {
                    self.under_way = None;
                    return reading.map(Some);
                }
                Err(path) => {
                    let why = format!("was not read within {} s", self.limit.as_secs_f32());
                    broken(&path, &mut locked(&self.known), None, &why);
                    if let Some(look) = self.under_way.take() {
                        self.stuck.insert(path, look);
                    }
                    if self.stuck.len() > STUCK {
                        let what = format!(
                            "{}: more than {STUCK} files are never read to their end",
                            self.at.display()
                        );
                        return Err(Cause::Source(what.into()));
                    }
                }
            }
        }
    }
}

/// Identifies a version of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl Version {
    fn of(file: &Metadata) -> Self {
        // The inode's change time is updated even if a copy preserves the modification time.
        let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
        Self { size: file.len(), modified, changed, inode: file.ino() }
    }
}

/// A file as last read.
struct CachedFile {
    version: Version,
    /// True if it was still the same at the next check: clocks of file systems are coarse, and a file may change twice
    /// within a tick.
    settled: bool,
    agents: Vec<DiscoveredAgent>,
    broken: Broken,
}

/// The inputs of a check.
struct Folder {
    at: PathBuf,
    read_file: ReadFile,
    known: Arc<Mutex<Known>>,
    /// Files that other threads are still reading.
    skipped: Vec<PathBuf>,
    shared: Arc<Shared>,
}

impl Folder {
    /// Reads changed files, and returns all current agents.
    fn look(&self) -> Result<ReadResult, Cause> {
        let at = &self.at;
        let fault = |error: io::Error| Cause::Source(Untrusted::from(format!("{}: {error}", at.display())));
        let metadata = std::fs::metadata(at).map_err(fault)?;
        let mut reading = ReadResult::default();
        let files = if metadata.is_dir() {
            cards_in(at, &mut reading.broken).map_err(fault)?
        } else {
            vec![at.to_owned()]
        };
        locked(&self.known).retain(|path, _| files.binary_search(path).is_ok());
        for path in files {
            if !self.skipped.contains(&path) {
                *locked(&self.shared.current) = Some((path.clone(), Instant::now()));
                self.read(&path);
                *locked(&self.shared.current) = None;
            }
            if self.shared.abandoned.load(Ordering::Relaxed) {
                break;
            }
            let known = locked(&self.known);
            let Some(seen) = known.get(&path) else { continue };
            reading.agents.extend(seen.agents.iter().cloned());
            reading.broken.join(&format!("{}:", path.display()), seen.broken.clone());
        }
        Ok(reading)
    }

    /// Reads a file if its version changed. An unreadable one keeps its previous agents.
    fn read(&self, path: &Path) {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            // It was removed after the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                locked(&self.known).remove(path);
                return;
            }
            Err(error) => return broken(path, &mut locked(&self.known), None, &error.to_string()),
        };
        let version = Version::of(&metadata);
        if locked(&self.known).get(path).is_some_and(|seen| seen.version == version && seen.settled) {
            return;
        }
        let (opened, read) =
            if metadata.is_file() { (self.read_file)(path) } else { (None, Err(NO_FILE.into())) };
        // The opened file may differ from the one that was checked.
        let version = opened.unwrap_or(version);
        let mut known = locked(&self.known);
        // The waiter has given up; the file will be read again.
        if self.shared.abandoned.load(Ordering::Relaxed) {
            return;
        }
        let settled = known.get(path).is_some_and(|seen| seen.version == version);
        match read {
            Ok(list) => {
                let (agents, broken) = (list.agents, list.broken);
                known.insert(path.to_owned(), CachedFile { version, settled, agents, broken });
            }
            Err(why) => broken(path, &mut known, Some((version, settled)), &why),
        }
    }
}

/// The files of a folder whose names end in `.json`, in order. Hidden files are still being written and are skipped.
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

fn broken(path: &Path, known: &mut Known, version: Option<(Version, bool)>, why: &str) {
    let seen = known.entry(path.to_owned()).or_insert_with(|| CachedFile {
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

const NO_FILE: &str = "is no regular file";

fn read_file(path: &Path) -> (Option<Version>, Result<Catalog, String>) {
    // Neither opening nor reading may wait for another process, whatever the file has become since it was checked.
    // Links are followed, as Kubernetes volumes use them.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = match opened {
        Ok(opened) => opened,
        Err(error) => return (None, Err(error.to_string())),
    };
    let version = Version::of(&metadata);
    let list = text_of(file, &metadata)
        .and_then(|text| catalog::read(&text, None).map_err(|cause| cause.to_string()));
    (Some(version), list)
}

fn text_of(file: File, metadata: &Metadata) -> Result<String, String> {
    if !metadata.is_file() {
        return Err(NO_FILE.into());
    }
    let most = BODY as u64;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err("is larger than 64 MiB".into());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;
    use crate::domain::fleet::source::SourceKind;
    use crate::net::Redactor;
    use crate::net::clock::Clock;
    use crate::net::tap::Tap;

    fn way() -> Fetcher {
        let redactor = Redactor::default();
        let net = Net::new(redactor.clone(), Tap::new(Arc::new(Clock::start()), redactor));
        let (to, _) = tokio::sync::mpsc::channel(1);
        let report = SourceSender { source: "s".into(), to, line: net.tap().line_of_source(0) };
        Fetcher::new(&AgentSource::new(SourceKind::Path, "x"), &report, net)
    }

    /// A gate for tests: a file with this word is read to its end only once the gate is open.
    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn read_slowly(path: &Path) -> (Option<Version>, Result<Catalog, String>) {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"slow")) {
            let (open, changed) = &GATE;
            let _open = changed.wait_while(locked(open), |open| !*open);
        }
        read_file(path)
    }

    fn named(reading: &ReadResult) -> Vec<&str> {
        reading.agents.iter().map(|found| &*found.url).collect()
    }

    #[tokio::test]
    async fn an_endless_file_does_not_block_other_files() {
        let dir = tempfile::tempdir().unwrap();
        let card = |name: &str| {
            let card = format!(
                r#"{{"name":"{name}","supportedInterfaces":[{{"url":"http://{name}/","protocolBinding":"JSONRPC","protocolVersion":"1.0"}}]}}"#
            );
            std::fs::write(dir.path().join(format!("{name}.json")), card).unwrap();
        };
        for name in ["a", "slow", "z"] {
            card(name);
        }
        let mut watch = Watch {
            read_file: read_slowly,
            limit: Duration::from_millis(500),
            ..Watch::new(dir.path().to_owned())
        };
        let way = way();
        for _again in 0..2 {
            let reading = watch.read(&way).await.unwrap().unwrap();
            assert_eq!(named(&reading), ["http://a/", "http://z/"]);
            let message = reading.broken.cause().map(|cause| cause.to_string()).unwrap_or_default();
            assert!(
                message.contains("slow.json") && message.contains("was not read within 0.5 s"),
                "{message}"
            );
        }
        *locked(&GATE.0) = true;
        GATE.1.notify_all();
        let read = async {
            loop {
                let reading = watch.read(&way).await.unwrap().unwrap();
                if reading.broken.cause().is_none() {
                    return reading;
                }
                tokio::task::yield_now().await;
            }
        };
        let reading = tokio::time::timeout(Duration::from_secs(60), read).await.expect("it is read again");
        assert_eq!(named(&reading), ["http://a/", "http://slow/", "http://z/"]);
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("card.json"), "[]").unwrap();
        std::os::unix::fs::symlink(at("card.json"), at("link.json")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero.json")).unwrap();
        std::os::unix::fs::symlink(at("loop.json"), at("loop.json")).unwrap();
        std::fs::create_dir(at("folder.json")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe.json")).status().unwrap();
        assert!(made.success());
        for (name, fault) in [
            ("card.json", None),
            ("link.json", None),
            ("zero.json", Some(NO_FILE)),
            ("pipe.json", Some(NO_FILE)),
            ("folder.json", Some(NO_FILE)),
            ("loop.json", Some("ymbolic link")),
        ] {
            let (_, read) = read_file(&at(name));
            let message = read.err().unwrap_or_default();
            assert!(
                message.contains(fault.unwrap_or_default()) && message.is_empty() == fault.is_none(),
                "{name}: {message}"
            );
        }
    }
}
