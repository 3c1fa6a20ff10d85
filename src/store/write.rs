//! The writer: one thread that commits whatever is queued as soon as it is free.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::blobs::{Blobs, INLINE};
use super::record::{AttemptRow, ProblemRow, Record, VERSION};
use super::{StoreError, journal_path, migrate, prepare, sql};
use crate::domain::agent::Agent;
use crate::domain::fact::{Fact, Owner, What};
use crate::domain::id::{AttemptId, JobId};
use crate::domain::job::Job;
use crate::domain::message::{Content, Part};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::failpoint;
use crate::protocol::json::{Writer as JsonWriter, array};

/// After a failure the writer tries again this often.
const AGAIN: Duration = Duration::from_secs(1);
/// The size of the store is told after this many commits.
const MEASURE_EVERY: u32 = 4096;

/// What one commit holds.
#[derive(Debug, Default)]
pub struct Batch {
    /// Counts batches; told back in [`Done`].
    pub number: u64,
    /// Facts in order.
    pub facts: Vec<Fact>,
    /// Agents that changed.
    pub agents: Vec<Agent>,
    /// Jobs that changed.
    pub jobs: Vec<Job>,
    /// Attempts that changed.
    pub attempts: Vec<AttemptRow>,
    /// Problems that changed.
    pub problems: Vec<ProblemRow>,
    /// Jobs that were forgotten.
    pub gone_jobs: Vec<JobId>,
    /// Problems that were forgotten.
    pub gone_problems: Vec<u32>,
    /// The engine was alive now.
    pub alive: At,
}

impl Batch {
    /// True if there is nothing but the sign of life.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.agents.is_empty()
            && self.jobs.is_empty()
            && self.attempts.is_empty()
            && self.problems.is_empty()
            && self.gone_jobs.is_empty()
            && self.gone_problems.is_empty()
    }
}

/// What became of a batch.
#[derive(Debug)]
pub enum Done {
    /// It is durable.
    Committed {
        /// Which.
        number: u64,
        /// Bytes of the store, now and then.
        size: Option<u64>,
    },
    /// It is not, and why. Its rows are tried again, its facts are lost.
    Failed {
        /// Which.
        number: u64,
        /// Why.
        why: Untrusted,
    },
    /// After failures, everything that changed meanwhile is durable again.
    Recovered {
        /// Facts that were lost.
        facts: u64,
    },
}

/// The writing side of a store. Dropping it commits what was handed over and ends the thread.
#[derive(Debug)]
pub struct Writer {
    sender: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the journal of a folder for writing, makes or migrates its schema, and starts the thread.
    /// `done` is called from that thread after each commit.
    ///
    /// # Errors
    /// The file cannot be used, or a newer version wrote it.
    pub fn open(
        dir: &Path,
        power_loss_safe: bool,
        done: impl FnMut(Done) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let file = journal_path(dir);
        let mut connection = Connection::open(&file).map_err(sql(&file))?;
        set_mode(&file)?;
        prepare(&connection, power_loss_safe).map_err(sql(&file))?;
        migrate::check(migrate::version(&connection, &file)?, &file)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql(&file))?;
        migrate::migrate(&mut connection, &file)?;
        Ok(Self::start(connection, file, dir, done))
    }

    fn start(
        connection: Connection,
        file: PathBuf,
        dir: &Path,
        done: impl FnMut(Done) + Send + 'static,
    ) -> Self {
        // The engine hands a batch over only when the last one is done: one place is enough.
        let (sender, receiver) = sync_channel(1);
        let committer = Committer {
            connection,
            file,
            blobs: Blobs::new(dir),
            outputs: BTreeMap::new(),
            failing: None,
            commits: 0,
        };
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(move || committer.run(&receiver, done));
        Self { sender: Some(sender), thread: thread.ok() }
    }

    /// Hands a batch over. False if the thread is gone.
    pub fn hand_over(&self, batch: Batch) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.send(batch).is_ok())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _a_panic_there_was_told_there = thread.join();
        }
    }
}

fn set_mode(file: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::Io { path: file.to_owned(), error })
}

/// Where an output goes on.
#[derive(Clone, Debug, Default)]
struct OutputState {
    bytes: u64,
    /// The row of its file, once it is too long to be kept in facts.
    file: Option<i64>,
}

type OutputKey = (AttemptId, Untrusted);

/// What could not be written: rows are kept, as they are few; facts are counted.
#[derive(Debug, Default)]
struct Backlog {
    facts: u64,
    rows: Batch,
}

struct Committer {
    connection: Connection,
    file: PathBuf,
    blobs: Blobs,
    outputs: BTreeMap<OutputKey, OutputState>,
    failing: Option<Backlog>,
    commits: u32,
}

impl Committer {
    fn run(mut self, batches: &Receiver<Batch>, mut done: impl FnMut(Done)) {
        loop {
            let batch = if self.failing.is_some() {
                match batches.recv_timeout(AGAIN) {
                    Ok(batch) => Some(batch),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                match batches.recv() {
                    Ok(batch) => Some(batch),
                    Err(_) => break,
                }
            };
            match (batch, self.failing.take()) {
                (Some(batch), None) => {
                    let number = batch.number;
                    match self.commit(&batch) {
                        Ok(()) => done(Done::Committed { number, size: self.measure() }),
                        Err(error) => {
                            self.outputs.clear();
                            let mut backlog = Backlog::default();
                            backlog.keep(batch);
                            self.failing = Some(backlog);
                            done(Done::Failed { number, why: Untrusted::from(error.to_string()) });
                        }
                    }
                }
                (batch, Some(mut backlog)) => {
                    let number = batch.as_ref().map(|batch| batch.number);
                    if let Some(batch) = batch {
                        backlog.keep(batch);
                    }
                    match self.commit(&backlog.rows) {
                        Ok(()) => {
                            done(Done::Recovered { facts: backlog.facts });
                            if let Some(number) = number {
                                done(Done::Committed { number, size: None });
                            }
                        }
                        Err(error) => {
                            self.failing = Some(backlog);
                            if let Some(number) = number {
                                done(Done::Failed { number, why: Untrusted::from(error.to_string()) });
                            }
                        }
                    }
                }
                (None, None) => {}
            }
        }
        // A tidy end: readers find one file, not three.
        let _the_next_start_does_it_otherwise =
            self.connection.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
    }

    fn measure(&mut self) -> Option<u64> {
        self.commits += 1;
        if !(self.commits - 1).is_multiple_of(MEASURE_EVERY) {
            return None;
        }
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).ok()?;
        let size: i64 = self.connection.pragma_query_value(None, "page_size", |row| row.get(0)).ok()?;
        Some(u64::try_from(pages * size).unwrap_or(0) + self.blobs.size())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Self { connection, file, blobs, outputs, .. } = self;
        let fault = sql(file);
        failpoint::reach("before-commit");
        let transaction = connection.transaction().map_err(&fault)?;
        let mut settled = BTreeSet::new();
        for fact in &batch.facts {
            write_fact(&transaction, file, blobs, outputs, fact)?;
            if let What::Settled { attempt } = fact.what {
                settled.insert(attempt);
            }
        }
        write_rows(&transaction, batch).map_err(&fault)?;
        for job in &batch.gone_jobs {
            forget_job(&transaction, file, blobs, *job)?;
        }
        for attempt in settled {
            outputs.retain(|(of, _), _| *of != attempt);
            seal_outputs(&transaction, file, blobs, attempt)?;
        }
        transaction
            .prepare_cached("INSERT INTO meta VALUES ('alive', ?1) ON CONFLICT DO UPDATE SET value = ?1")
            .and_then(|mut statement| statement.execute([batch.alive.micros()]))
            .map_err(&fault)?;
        transaction.commit().map_err(&fault)?;
        failpoint::reach("after-commit");
        Ok(())
    }
}

impl Backlog {
    fn keep(&mut self, batch: Batch) {
        self.facts += batch.facts.len() as u64;
        let Self { rows, .. } = self;
        rows.alive = batch.alive;
        // The newest row of each entity is enough.
        for agent in batch.agents {
            rows.agents.retain(|old| old.id != agent.id);
            rows.agents.push(agent);
        }
        for job in batch.jobs {
            rows.jobs.retain(|old| old.id != job.id);
            rows.jobs.push(job);
        }
        for attempt in batch.attempts {
            rows.attempts.retain(|old| old.attempt.id != attempt.attempt.id);
            rows.attempts.push(attempt);
        }
        for problem in batch.problems {
            rows.problems.retain(|old| old.problem.number != problem.problem.number);
            rows.problems.push(problem);
        }
        rows.gone_jobs.extend(batch.gone_jobs);
        rows.gone_problems.extend(batch.gone_problems);
    }
}

/// The key of an owner in the journal.
pub(super) fn owner_key(owner: Owner) -> Vec<u8> {
    match owner {
        Owner::Watch => Vec::new(),
        Owner::Agent(id) => [b"a", id.0.as_bytes().as_slice()].concat(),
        Owner::Job(id) => [b"j", id.0.as_bytes().as_slice()].concat(),
    }
}

fn write_fact(
    transaction: &Transaction<'_>,
    file: &Path,
    blobs: &Blobs,
    outputs: &mut BTreeMap<OutputKey, OutputState>,
    fact: &Fact,
) -> Result<(), StoreError> {
    let body = match &fact.what {
        What::ArtifactSeen { .. } => artifact_body(transaction, file, blobs, outputs, fact)?,
        what => what.put(),
    };
    let key = owner_key(fact.owner);
    transaction
        .prepare_cached("INSERT OR REPLACE INTO fact VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut statement| {
            let seq = i64::try_from(fact.seq).unwrap_or(i64::MAX);
            statement.execute(params![key, seq, fact.at.micros(), fact.what.stored_as(), VERSION, body])
        })
        .map_err(sql(file))?;
    Ok(())
}

/// The body of a fact about an output: its parts, or where in a file they are.
fn artifact_body(
    transaction: &Transaction<'_>,
    file: &Path,
    blobs: &Blobs,
    outputs: &mut BTreeMap<OutputKey, OutputState>,
    fact: &Fact,
) -> Result<String, StoreError> {
    let (What::ArtifactSeen { attempt, artifact, name, append, parts, last }, Owner::Job(job)) =
        (&fact.what, fact.owner)
    else {
        return Ok(fact.what.put());
    };
    let key = (*attempt, artifact.clone());
    if !append {
        outputs.insert(key.clone(), OutputState::default());
    } else if !outputs.contains_key(&key) {
        let known = load_output(transaction, file, job, *attempt, artifact)?;
        outputs.insert(key.clone(), known);
    }
    let Some(state) = outputs.get_mut(&key) else { return Ok(fact.what.put()) };
    let before = state.bytes;
    let added: u64 = parts.iter().map(|part| part.len() as u64).sum();
    state.bytes += added;
    if state.bytes <= INLINE && state.file.is_none() {
        return Ok(fact.what.put());
    }
    let io = |error| StoreError::Io { path: file.with_file_name("blobs"), error };
    let output = match state.file {
        Some(output) => output,
        None => {
            transaction
                .prepare_cached("INSERT INTO output (job, attempt, artifact, bytes) VALUES (?1, ?2, ?3, 0)")
                .and_then(|mut insert| {
                    insert.execute(params![job.0.as_bytes(), attempt.0.as_bytes(), artifact.raw()])
                })
                .map_err(sql(file))?;
            let output = transaction.last_insert_rowid();
            // What is in facts so far goes into the file too, so that it holds the whole output.
            if before > 0 {
                let inline = inline_content(transaction, file, job, *attempt, artifact)?;
                blobs.append(output, 0, &inline).map_err(io)?;
            }
            state.file = Some(output);
            output
        }
    };
    let mut bytes = Vec::with_capacity(usize::try_from(added).unwrap_or(0));
    let mut pieces = Vec::new();
    for part in parts.iter() {
        let (content, kind) = content_of(part);
        bytes.extend_from_slice(content.as_bytes());
        let empty = Part { content: emptied(&part.content), ..part.clone() };
        pieces.push(
            JsonWriter::new()
                .text("kind", kind)
                .raw("bytes", &content.len().to_string())
                .raw("part", &empty.put())
                .end(),
        );
    }
    blobs.append(output, before, &bytes).map_err(io)?;
    transaction
        .prepare_cached("UPDATE output SET bytes = ?2 WHERE id = ?1")
        .and_then(|mut update| {
            update.execute(params![output, i64::try_from(state.bytes).unwrap_or(i64::MAX)])
        })
        .map_err(sql(file))?;
    let without = What::ArtifactSeen {
        attempt: *attempt,
        artifact: artifact.clone(),
        name: name.clone(),
        append: *append,
        parts: std::sync::Arc::default(),
        last: *last,
    };
    let mut body = without.put();
    body.pop();
    body.push_str(&format!(",\"output\":{output},\"from\":{before},\"pieces\":{}}}", array(pieces)));
    Ok(body)
}

/// What a part holds, as text, and of which kind it is.
pub(super) fn content_of(part: &Part) -> (&str, &'static str) {
    match &part.content {
        Content::Text(text) => (text.raw(), "text"),
        Content::Raw(bytes) => (bytes.raw(), "raw"),
        Content::Url(url) => (url.raw(), "url"),
        Content::Data(json) => (json.raw(), "data"),
        Content::Unknown(json) => (json.raw(), "unknown"),
    }
}

fn emptied(content: &Content) -> Content {
    super::read::content(
        "",
        match content {
            Content::Text(_) => "text",
            Content::Raw(_) => "raw",
            Content::Url(_) => "url",
            Content::Data(_) => "data",
            Content::Unknown(_) => "unknown",
        },
    )
}

/// Where an output of an earlier process goes on.
fn load_output(
    transaction: &Transaction<'_>,
    file: &Path,
    job: JobId,
    attempt: AttemptId,
    artifact: &Untrusted,
) -> Result<OutputState, StoreError> {
    let row: Option<(i64, i64)> = transaction
        .prepare_cached(
            "SELECT id, bytes FROM output WHERE attempt = ?1 AND artifact = ?2 AND sha256 IS NULL ORDER BY id DESC",
        )
        .and_then(|mut select| {
            let key = params![attempt.0.as_bytes(), artifact.raw()];
            select.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(sql(file))?;
    if let Some((id, bytes)) = row {
        return Ok(OutputState { bytes: u64::try_from(bytes).unwrap_or(0), file: Some(id) });
    }
    let inline = inline_content(transaction, file, job, attempt, artifact)?;
    Ok(OutputState { bytes: inline.len() as u64, file: None })
}

/// The content of an output that is in facts, since it was last begun.
fn inline_content(
    transaction: &Transaction<'_>,
    file: &Path,
    job: JobId,
    attempt: AttemptId,
    artifact: &Untrusted,
) -> Result<Vec<u8>, StoreError> {
    let mut content = Vec::new();
    let mut select = transaction
        .prepare_cached("SELECT body FROM fact WHERE owner = ?1 AND kind = 'artifact_seen' ORDER BY seq")
        .map_err(sql(file))?;
    let bodies = select
        .query_map([owner_key(Owner::Job(job))], |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(sql(file))?;
    for body in bodies {
        if let Some(What::ArtifactSeen { attempt: of, artifact: which, append, parts, .. }) = What::get(&body)
            && of == attempt
            && which == *artifact
        {
            if !append {
                content.clear();
            }
            for part in parts.iter() {
                content.extend_from_slice(content_of(part).0.as_bytes());
            }
        }
    }
    Ok(content)
}

fn write_rows(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for agent in &batch.agents {
        transaction.prepare_cached("INSERT OR REPLACE INTO agent VALUES (?1, ?2, ?3)")?.execute(params![
            agent.id.0.as_bytes(),
            VERSION,
            agent.put()
        ])?;
    }
    for job in &batch.jobs {
        transaction.prepare_cached("INSERT OR REPLACE INTO job VALUES (?1, ?2, ?3)")?.execute(params![
            job.id.0.as_bytes(),
            VERSION,
            job.put()
        ])?;
    }
    for row in &batch.attempts {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO attempt VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![row.attempt.id.0.as_bytes(), row.job.0.as_bytes(), VERSION, row.put()])?;
    }
    for row in &batch.problems {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO problem VALUES (?1, ?2, ?3)")?
            .execute(params![row.problem.number, VERSION, row.put()])?;
    }
    if let Some(last) = batch.problems.iter().map(|row| row.problem.number).max() {
        // Numbers are never used again, also when their problems are forgotten.
        let keep =
            "INSERT INTO meta VALUES ('last_problem', ?1) ON CONFLICT DO UPDATE SET value = max(value, ?1)";
        transaction.prepare_cached(keep)?.execute([last])?;
    }
    for number in &batch.gone_problems {
        transaction.prepare_cached("DELETE FROM problem WHERE number = ?1")?.execute([number])?;
    }
    Ok(())
}

fn forget_job(
    transaction: &Transaction<'_>,
    file: &Path,
    blobs: &Blobs,
    job: JobId,
) -> Result<(), StoreError> {
    let fault = sql(file);
    let id = job.0.as_bytes();
    let outputs = transaction
        .prepare_cached("SELECT id, sha256 FROM output WHERE job = ?1")
        .and_then(|mut select| {
            select
                .query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(&fault)?;
    for statement in [
        "DELETE FROM output WHERE job = ?1",
        "DELETE FROM attempt WHERE job = ?1",
        "DELETE FROM job WHERE id = ?1",
    ] {
        transaction.prepare_cached(statement).and_then(|mut delete| delete.execute([id])).map_err(&fault)?;
    }
    transaction
        .prepare_cached("DELETE FROM fact WHERE owner = ?1")
        .and_then(|mut delete| delete.execute([owner_key(Owner::Job(job))]))
        .map_err(&fault)?;
    for (output, sha256) in outputs {
        let shared = match &sha256 {
            None => false,
            Some(sha256) => transaction
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM output WHERE sha256 = ?1)")
                .and_then(|mut select| select.query_row([sha256], |row| row.get(0)))
                .map_err(&fault)?,
        };
        if !shared {
            blobs
                .remove(output, sha256.as_deref())
                .map_err(|error| StoreError::Io { path: file.with_file_name("blobs"), error })?;
        }
    }
    Ok(())
}

/// Complete outputs get the name of their content.
fn seal_outputs(
    transaction: &Transaction<'_>,
    file: &Path,
    blobs: &Blobs,
    attempt: AttemptId,
) -> Result<(), StoreError> {
    let growing = transaction
        .prepare_cached("SELECT id, bytes FROM output WHERE attempt = ?1 AND sha256 IS NULL")
        .and_then(|mut select| {
            select
                .query_map([attempt.0.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(sql(file))?;
    for (output, bytes) in growing {
        let sha256 = blobs
            .seal(output, u64::try_from(bytes).unwrap_or(0))
            .map_err(|error| StoreError::Io { path: file.with_file_name("blobs"), error })?;
        transaction
            .prepare_cached("UPDATE output SET sha256 = ?2 WHERE id = ?1")
            .and_then(|mut update| update.execute(params![output, sha256]))
            .map_err(sql(file))?;
    }
    Ok(())
}
