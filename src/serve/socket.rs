//! The control socket: surfaces of other processes see the same fleet and submit the same intents.
//!
//! The words are in `engine::handle::wire`. Only processes of the same user are heard.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, watch};

use super::told::Told;
use crate::domain::id::JobId;
use crate::domain::intent::Intent;
use crate::domain::problem::Subject;
use crate::domain::state::Changed;
use crate::domain::state::slab::Key;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::handle::wire::{Hello, Tasks, VERSION};
use crate::engine::{Handle, Query};
use crate::protocol::json::{Object, Writer, array, string};
use crate::store::record::{AttemptRow, ProblemRow, Record, member};

/// A path longer than this does not fit into a socket's address everywhere.
const LONGEST_PATH: usize = 100;
/// A line of a client is at most this long: the largest message that is worth typing.
const LONGEST_LINE: usize = 32 * 1024 * 1024;
/// Lines that wait for a client. Full: it is slow, and its stories end; it follows anew.
const LINES: usize = 1024;
/// Rows in one line.
const ROWS: usize = 200;

/// A socket that is listened on. Dropping it takes it away.
#[derive(Debug)]
pub struct Listening {
    path: PathBuf,
    clients: watch::Receiver<usize>,
    handed_over: Arc<Notify>,
    task: tokio::task::AbortHandle,
}

impl Listening {
    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends when no client is connected.
    pub async fn alone(&self) {
        let mut clients = self.clients.clone();
        let _no_listener_no_clients = clients.wait_for(|clients| *clients == 0).await;
    }

    /// Ends when a lasting engine wants to take over.
    pub async fn handed_over(&self) {
        self.handed_over.notified().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        let _it_may_be_gone_already = std::fs::remove_file(&self.path);
    }
}

/// Where the socket of a data folder is: in it, or in a folder of our own where paths are short.
pub fn place(dir: &Path) -> PathBuf {
    let inside = dir.join("engine.sock");
    if inside.as_os_str().len() <= LONGEST_PATH {
        return inside;
    }
    let hash = crate::domain::job::message::text_hash(&dir.to_string_lossy());
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("quarterdeck-{user}")).join(format!("{hash:016x}.sock"))
}

/// Listens for surfaces of the same user. The caller holds the lock of the data folder.
///
/// # Errors
/// The socket cannot be made, or its folder belongs to somebody else.
pub fn listen(dir: &Path, handle: Handle, hello: Hello) -> std::io::Result<Listening> {
    let path = place(dir);
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let meta = std::fs::metadata(parent)?;
        if meta.uid() != rustix::process::getuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                format!("{} is open to others", parent.display()),
            ));
        }
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let (count, clients) = watch::channel(0);
    let handed_over = Arc::new(Notify::new());
    let hello = Hello { version: VERSION, pid: std::process::id(), ..hello };
    let task = tokio::spawn(accept(listener, handle, hello, Arc::new(count), handed_over.clone()));
    Ok(Listening { path, clients, handed_over, task: task.abort_handle() })
}

async fn accept(
    listener: UnixListener,
    handle: Handle,
    hello: Hello,
    count: Arc<watch::Sender<usize>>,
    handed_over: Arc<Notify>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let same_user = stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw());
        if !same_user {
            tracing::warn!("a process of another user was turned away");
            continue;
        }
        let (handle, hello, count, handed_over) =
            (handle.clone(), hello.clone(), count.clone(), handed_over.clone());
        tokio::spawn(async move {
            count.send_modify(|clients| *clients += 1);
            converse(stream, &handle, hello, &handed_over).await;
            count.send_modify(|clients| *clients -= 1);
        });
    }
}

/// Talks with one client until it leaves or the engine ends.
async fn converse(stream: UnixStream, handle: &Handle, hello: Hello, handed_over: &Notify) {
    let (read, write) = stream.into_split();
    let (lines, mut to_write) = mpsc::channel::<String>(LINES);
    let writer = tokio::spawn(async move {
        let mut write = BufWriter::new(write);
        while let Some(line) = to_write.recv().await {
            let mut more = Some(line);
            while let Some(line) = more {
                if write.write_all(line.as_bytes()).await.is_err() || write.write_all(b"\n").await.is_err() {
                    return;
                }
                more = to_write.try_recv().ok();
            }
            if write.flush().await.is_err() {
                return;
            }
        }
    });
    let mut read = BufReader::new(read);
    let greeting = Writer::new().raw("hello", &hello.put()).end();
    let mut tasks = tokio::task::JoinSet::new();
    if lines.send(greeting).await.is_ok() {
        loop {
            let line = tokio::select! {
                line = next_line(&mut read) => line,
                () = handle.gone() => None,
            };
            let Some(line) = line else { break };
            let Ok(object) = Object::parse(&line) else { continue };
            if object.flag("watch") {
                let which = member(&object, "tasks").unwrap_or_default();
                tasks.spawn(watch_rows(handle.clone(), lines.clone(), which));
            } else if object.flag("hand_over") {
                let answer = Writer::new().flag("handed_over", !hello.lasting).end();
                let _the_client_has_gone = lines.send(answer).await;
                if !hello.lasting {
                    handed_over.notify_one();
                }
            } else if let Some(id) = object.raw("id") {
                answer(&mut tasks, handle, &lines, id.to_owned(), &object);
            }
        }
    }
    tasks.abort_all();
    drop(lines);
    let _it_has_written_what_it_could = writer.await;
}

async fn next_line(read: &mut BufReader<tokio::net::unix::OwnedReadHalf>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        let buffer = read.fill_buf().await.ok()?;
        if buffer.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', buffer);
        let take = end.map_or(buffer.len(), |end| end + 1);
        if line.len() + take > LONGEST_LINE {
            return None;
        }
        line.extend_from_slice(&buffer[..take]);
        read.consume(take);
        if end.is_some() {
            return String::from_utf8(line).ok();
        }
    }
}

fn answer(
    tasks: &mut tokio::task::JoinSet<()>,
    handle: &Handle,
    lines: &mpsc::Sender<String>,
    id: String,
    object: &Object<'_>,
) {
    let (handle, lines) = (handle.clone(), lines.clone());
    if let Some(intent) = object.raw("submit").and_then(Intent::get) {
        // Who asks is told as they call themselves; an earlier build says nothing.
        let handle = match object.text("by") {
            Some(person) => handle.acting_as(&person),
            None => handle,
        };
        tasks.spawn(async move {
            let submitted = handle.submit(intent).await;
            // The client waits for these rows before it tells of the receipt.
            let rev = handle.snapshot().rev.put();
            let line = match submitted {
                Ok(receipt) => Writer::new().raw("id", &id).raw("rev", &rev).raw("receipt", &receipt.put()),
                Err(refusal) => Writer::new().raw("id", &id).raw("rev", &rev).raw("refusal", &refusal.put()),
            };
            let _the_client_has_gone = lines.send(line.end()).await;
        });
    } else if let Some(query) = object.raw("query").and_then(Query::get) {
        tasks.spawn(async move {
            let line = match handle.query(query).await {
                Ok(answer) => Writer::new().raw("id", &id).raw("answer", &answer.put()),
                Err(error) => Writer::new().raw("id", &id).raw("error", &error.put()),
            };
            let _the_client_has_gone = lines.send(line.end()).await;
        });
    } else if let Some(job) = object.raw("follow").and_then(JobId::get) {
        tasks.spawn(async move {
            let mut follow = match handle.follow(job).await {
                Ok(follow) => follow,
                Err(error) => {
                    let line = Writer::new().raw("id", &id).raw("error", &error.put()).end();
                    let _the_client_has_gone = lines.send(line).await;
                    return;
                }
            };
            for facts in follow.facts.chunks(ROWS) {
                let story = array(facts.iter().map(Record::put));
                if lines.send(Writer::new().raw("id", &id).raw("story", &story).end()).await.is_err() {
                    return;
                }
            }
            let began =
                Writer::new().raw("id", &id).flag("began", true).raw("until", &follow.until.put()).end();
            if lines.send(began).await.is_err() {
                return;
            }
            while let Some(fact) = follow.more.recv().await {
                if lines.send(Writer::new().raw("id", &id).raw("fact", &fact.put()).end()).await.is_err() {
                    return;
                }
            }
            let _the_client_has_gone = lines.send(Writer::new().raw("id", &id).flag("end", true).end()).await;
        });
    } else {
        tasks.spawn(async move {
            let words = string("not understood");
            let line = Writer::new()
                .raw("id", &id)
                .raw("refusal", &format!("{{\"what\":\"not now\",\"text\":{words}}}"));
            let _the_client_has_gone = lines.send(line.end()).await;
        });
    }
}

/// Sends every row of these tasks and of what is beside them, then what changes.
async fn watch_rows(handle: Handle, lines: mpsc::Sender<String>, which: Tasks) {
    let mut snapshots = handle.watch();
    let mut known: Option<u64> = None;
    let mut told = Told::new(which);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let changed = told.news(&snapshot, known.and_then(|rev| snapshot.changes_since(rev)));
        for rows in changed.chunks(ROWS) {
            let line = Writer::new().raw("rows", &rows_of(&snapshot, rows)).end();
            if lines.send(line).await.is_err() {
                return;
            }
        }
        let published = Writer::new()
            .raw("rev", &snapshot.rev.put())
            .raw("at", &snapshot.at.put())
            .raw("watching_since", &snapshot.watching_since.put())
            .raw("watch_seq", &snapshot.fleet_seq.put())
            .flag("unsaved", snapshot.unsaved)
            .raw("watch_seq", &snapshot.fleet_seq.put())
            .raw("events_per_second", &snapshot.events_per_second.put())
            .end();
        if lines.send(Writer::new().raw("published", &published).end()).await.is_err() {
            return;
        }
        known = Some(snapshot.rev);
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn rows_of(snapshot: &Snapshot, changed: &[Changed]) -> String {
    let (mut agents, mut jobs, mut attempts, mut problems) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut sources = Vec::new();
    for changed in changed {
        match *changed {
            Changed::Agent(key) => agents.push(keyed(
                key,
                snapshot.agents.get(key).map(|agent| {
                    let counts = agent.counts;
                    let counts = Writer::new()
                        .raw("live", &counts.live.put())
                        .raw("need_you", &counts.need_you.put())
                        .raw("completed", &counts.completed.put())
                        .raw("failed", &counts.failed.put())
                        .raw("stopped", &counts.stopped.put())
                        .raw("doubtful", &counts.doubtful.put())
                        .end();
                    with(agent.put(), "counts", &counts)
                }),
            )),
            Changed::Job(key) | Changed::Story(key) => jobs.push(keyed(
                key,
                snapshot.jobs.get(key).map(|job| {
                    let keys = array(job.attempts.iter().map(|key| key.0.to_string()));
                    with(job.put(), "attempts", &keys)
                }),
            )),
            Changed::Attempt(key) => attempts.push(keyed(
                key,
                snapshot.attempts.get(key).and_then(|attempt| {
                    let job = snapshot.job_of(attempt)?;
                    let agent = snapshot.agents.get(attempt.agent)?.id;
                    let attempt_row = attempt.clone();
                    let row = AttemptRow { attempt: attempt_row, job: job.id, job_seq: job.seq, agent }.put();
                    Some(with(row, "keys", &format!("[{},{}]", attempt.job.0, attempt.agent.0)))
                }),
            )),
            Changed::Problem(key) => problems.push(keyed(
                key,
                snapshot.problems.get(key).map(|problem| {
                    let problem_row = problem.clone();
                    let mut row =
                        ProblemRow { source: problem.objective.clone(), problem: problem_row, agent: None }
                            .put();
                    if let Some(agent) = problem.subject.agent() {
                        row = with(row, "agent_key", &agent.0.to_string());
                    }
                    if let Subject::Source(source) = problem.subject {
                        row = with(row, "source_key", &source.0.to_string());
                    }
                    row
                }),
            )),
            Changed::Source(key) => {
                sources.push(keyed(key, snapshot.sources.get(key).map(|source| source.put())));
            }
        }
    }
    Writer::new()
        .raw("agents", &array(agents))
        .raw("jobs", &array(jobs))
        .raw("attempts", &array(attempts))
        .raw("problems", &array(problems))
        .raw("sources", &array(sources))
        .end()
}

fn keyed<K: Key>(key: K, row: Option<String>) -> String {
    format!("[{},{}]", key.index(), row.as_deref().unwrap_or("null"))
}

/// Adds a member to an object that is JSON text already.
fn with(mut object: String, key: &str, value: &str) -> String {
    object.pop();
    let comma = if object.ends_with('{') { "" } else { "," };
    format!("{object}{comma}\"{key}\":{value}}}")
}
