//! The writer: a thread that commits batches.

mod facts;
mod history;
mod rows;

pub(super) use facts::{bodies, owner_key};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::audit::{self, AuditWriter};
use super::blobs::Blobs;
use super::metrics::{self, Numbers};
use super::record::{AttemptRow, ProblemRow};
use super::{StoreError, journal_path, migrate, prepare, sql};
use crate::domain::agent::Agent;
use crate::domain::audit::{ActOutcome, AuditRecord};
use crate::domain::fact::{AttemptFact, JournalEntry};
use crate::domain::fleet::source::SourceRow;
use crate::domain::id::{AgentId, JobId};
use crate::domain::job::Job;
use crate::domain::metrics::{Block, Minute};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::failpoint;
use facts::{BufferPool, FactWriter, Outputs};
use history::Histories;
use rows::{forget_agent, forget_job, seal_outputs, write_rows};

/// After a failure the writer tries again this often.
const AGAIN: Duration = Duration::from_secs(1);
/// The pages that the writer keeps in memory, once it has needed them.
const CACHE_KIB: i64 = 8 * 1024;
/// The write-ahead log is checkpointed at this length.
const CHECKPOINT_PAGES: i64 = 4_000;
/// The size of the store is reported after this many commits.
const MEASURE_EVERY: u32 = 4096;
/// Records of the audit that are kept until the journal can be written again. Above it they are counted.
const AUDITS_KEPT: usize = 10_000;

/// The content of one commit.
#[derive(Debug, Default)]
pub struct Batch {
    /// The number of the batch, returned in [`Done`].
    pub number: u64,
    /// Facts in order, shared with the caller.
    pub facts: Arc<Vec<JournalEntry>>,
    /// Acts that were decided.
    pub audits: Vec<AuditRecord>,
    /// Acts that were refused while nothing could be written, beyond those that are kept.
    pub lost_audits: u64,
    /// How long records of acts are kept, if older ones may be removed now.
    pub keep_audits: Option<Duration>,
    /// Agents that changed.
    pub agents: Vec<Agent>,
    /// Jobs that changed.
    pub jobs: Vec<Job>,
    /// Attempts that changed.
    pub attempts: Vec<AttemptRow>,
    /// Problems that changed.
    pub problems: Vec<ProblemRow>,
    /// Sources of agents, each with its place.
    pub sources: Vec<(u32, SourceRow)>,
    /// Minutes of metrics, whole.
    pub minutes: Vec<(Minute, Arc<Block>)>,
    /// Jobs that were forgotten.
    pub gone_jobs: Vec<JobId>,
    /// Agents that were forgotten.
    pub gone_agents: Vec<AgentId>,
    /// Problems that were forgotten.
    pub gone_problems: Vec<u32>,
    /// Sources of agents that are no longer configured.
    pub gone_sources: Vec<Arc<str>>,
    /// The engine was alive now.
    pub alive: At,
}

impl Batch {
    /// True if it has only the heartbeat.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
            && self.audits.is_empty()
            && self.agents.is_empty()
            && self.jobs.is_empty()
            && self.attempts.is_empty()
            && self.problems.is_empty()
            && self.sources.is_empty()
            && self.minutes.is_empty()
            && self.gone_jobs.is_empty()
            && self.gone_agents.is_empty()
            && self.gone_problems.is_empty()
            && self.gone_sources.is_empty()
    }
}

/// The result of a batch.
#[derive(Debug)]
pub enum Done {
    /// It is durable.
    Committed {
        /// The number of the batch.
        number: u64,
        /// Bytes of the store, now and then.
        size: Option<u64>,
    },
    /// It is not durable. Its rows are written again later, its facts are lost.
    Failed {
        /// The number of the batch.
        number: u64,
        /// The error.
        why: Untrusted,
    },
    /// After failures, everything that changed meanwhile is durable again.
    Recovered {
        /// Facts that were lost.
        facts: u64,
    },
}

/// The writing side of a store. Dropping it commits all batches and ends the thread.
#[derive(Debug)]
pub struct Writer {
    sender: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    /// Why the thread could not be started.
    unspawned: Option<Untrusted>,
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
        migrate::refuse_emptied(&file)?;
        let mut connection = Connection::open(&file).map_err(sql(&file))?;
        set_mode(&file)?;
        prepare(&connection, power_loss_safe).map_err(sql(&file))?;
        migrate::check(migrate::version(&connection, &file)?, &file)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql(&file))?;
        migrate::migrate(&mut connection, &file)?;
        // A busy fleet changes the same few thousand pages again and again: they stay in memory, and go
        // over into the file in larger portions.
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(sql(&file))?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(sql(&file))?;
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
            outputs: Outputs::default(),
            spare: BufferPool::default(),
            histories: Histories::default(),
            numbers: Numbers::default(),
            audit: AuditWriter::default(),
            alive: At::ZERO,
            failing: None,
            commits: 0,
        };
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(move || committer.run(&receiver, done));
        match thread {
            Ok(thread) => Self { sender: Some(sender), thread: Some(thread), unspawned: None },
            Err(error) => {
                let why = format!("the journal's thread could not be started: {error}");
                Self { sender: None, thread: None, unspawned: Some(why.into()) }
            }
        }
    }

    /// Hands a batch over.
    ///
    /// # Errors
    /// The thread could not be started, or has ended: nothing is written any more, and why.
    pub fn hand_over(&self, batch: Batch) -> Result<(), Untrusted> {
        let stopped = || Untrusted::from("the journal's writer has stopped; restart to write again");
        match &self.sender {
            Some(sender) => sender.send(batch).map_err(|_| stopped()),
            None => Err(self.unspawned.clone().unwrap_or_else(stopped)),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _a_panic_was_reported_there = thread.join();
        }
    }
}

fn set_mode(file: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::Io { path: file.to_owned(), error })
}

/// Unwritten data: rows are kept, as they are few; facts are counted.
#[derive(Debug, Default)]
struct Backlog {
    facts: u64,
    rows: Batch,
}

struct Committer {
    connection: Connection,
    file: PathBuf,
    blobs: Blobs,
    outputs: Outputs,
    spare: BufferPool,
    histories: Histories,
    numbers: Numbers,
    audit: AuditWriter,
    /// The time of the last batch.
    alive: At,
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
                (Some(batch), None) => self.write(batch, &mut done),
                (batch, Some(backlog)) => match self.commit(&backlog.rows) {
                    Ok(()) => {
                        done(Done::Recovered { facts: backlog.facts });
                        // The new batch may have facts with waiting callers: it is written whole.
                        if let Some(batch) = batch {
                            self.write(batch, &mut done);
                        }
                    }
                    Err(error) => {
                        self.numbers.clear();
                        self.audit.clear();
                        self.fail(backlog, batch, &error, &mut done);
                    }
                },
                (None, None) => {}
            }
        }
        if self.failing.is_none() {
            let _the_next_start_does_it_otherwise = self.seal();
        }
        // A tidy end: readers find one file, not three.
        let _the_next_start_does_it_otherwise =
            self.connection.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
    }

    /// Seals the audit's chains at an orderly end.
    fn seal(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        self.audit.seal(&transaction, self.alive)?;
        transaction.commit()
    }

    /// Commits a batch, and reports the result.
    fn write(&mut self, batch: Batch, done: &mut impl FnMut(Done)) {
        let number = batch.number;
        match self.commit(&batch) {
            Ok(()) => {
                // From now on the facts belong to the caller alone.
                drop(batch);
                done(Done::Committed { number, size: self.measure() });
            }
            Err(error) => {
                self.outputs.clear();
                self.numbers.clear();
                self.audit.clear();
                self.fail(Backlog::default(), Some(batch), &error, done);
            }
        }
    }

    /// Keeps unwritten rows for a later try and reports the failure.
    fn fail(
        &mut self,
        mut backlog: Backlog,
        batch: Option<Batch>,
        error: &StoreError,
        done: &mut impl FnMut(Done),
    ) {
        let number = batch.as_ref().map(|batch| batch.number);
        if let Some(batch) = batch {
            backlog.keep(batch);
        }
        self.failing = Some(backlog);
        if let Some(number) = number {
            done(Done::Failed { number, why: Untrusted::from(error.to_string()) });
        }
    }

    fn measure(&mut self) -> Option<u64> {
        self.commits += 1;
        if !(self.commits - 1).is_multiple_of(MEASURE_EVERY) {
            return None;
        }
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).ok();
        // Pages of what was forgotten are used again: they hold nothing that could be forgotten once more.
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        let pages = u64::try_from(pages * pragma("page_size")?).unwrap_or(0);
        // The audit has a retention of its own: forgetting jobs would not make it smaller.
        let audit = audit::size(&self.connection).ok()?;
        Some(pages.saturating_sub(audit) + self.blobs.size())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let Self { connection, file, blobs, outputs, spare, histories, numbers, audit, .. } = self;
        let fault = sql(file);
        failpoint::reach("before-commit");
        let transaction = connection.transaction().map_err(&fault)?;
        let mut settled = BTreeSet::new();
        let mut facts = FactWriter::new(&transaction, file, blobs, (outputs, histories), spare);
        for entry in batch.facts.iter() {
            facts.add(entry)?;
            if let Some((attempt, AttemptFact::Settled)) = entry.fact.of_attempt() {
                settled.insert(attempt);
            }
        }
        facts.end()?;
        audit.write(&transaction, &batch.audits, batch.lost_audits, batch.alive).map_err(&fault)?;
        if let Some(keep) = batch.keep_audits {
            audit.prune(&transaction, keep, batch.alive).map_err(&fault)?;
        }
        histories.trim(&transaction).map_err(&fault)?;
        write_rows(&transaction, batch).map_err(&fault)?;
        metrics::write(&transaction, numbers, &batch.minutes).map_err(&fault)?;
        for job in &batch.gone_jobs {
            forget_job(&transaction, file, blobs, *job)?;
        }
        for agent in &batch.gone_agents {
            forget_agent(&transaction, *agent).map_err(&fault)?;
        }
        for attempt in settled {
            outputs.forget(attempt);
            seal_outputs(&transaction, file, blobs, attempt)?;
        }
        transaction
            .prepare_cached("INSERT INTO meta VALUES ('alive', ?1) ON CONFLICT DO UPDATE SET value = ?1")
            .and_then(|mut statement| statement.execute([batch.alive.micros()]))
            .map_err(&fault)?;
        transaction.commit().map_err(&fault)?;
        self.alive = batch.alive;
        failpoint::reach("after-commit");
        Ok(())
    }
}

impl Backlog {
    fn keep(&mut self, batch: Batch) {
        self.facts += batch.facts.len() as u64;
        let Self { rows, .. } = self;
        rows.alive = batch.alive;
        for mut record in batch.audits {
            // Whoever submitted it is told that it was not done.
            if record.outcome == ActOutcome::Accepted {
                record.outcome = ActOutcome::Withdrawn;
            }
            if rows.audits.len() < AUDITS_KEPT {
                rows.audits.push(record);
            } else {
                rows.lost_audits += 1;
            }
        }
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
        rows.agents.retain(|old| !batch.gone_agents.contains(&old.id));
        rows.gone_agents.extend(batch.gone_agents);
        rows.gone_jobs.extend(batch.gone_jobs);
        rows.gone_problems.extend(batch.gone_problems);
        for source in batch.sources {
            rows.sources.retain(|old| old.1.spec.name != source.1.spec.name);
            rows.sources.push(source);
        }
        rows.gone_sources.extend(batch.gone_sources);
        for minute in batch.minutes {
            rows.minutes.retain(|old| old.0 != minute.0);
            rows.minutes.push(minute);
        }
    }
}
