//! The writer: what is offered is taken or refused at once, and a thread writes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::retention::{self, Removed};
use super::{SERVICE, open_to_write, telemetry_path};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::TraceId;
use crate::telemetry::limits::{self, Retention};
use crate::telemetry::model::UnixNanos;
use crate::telemetry::otlp::split::{LogPart, Logs, TracePart, TraceSummary, Traces};
use crate::telemetry::query::TelemetryStatus;

/// Offers that wait for the thread. When it is full, further ones are refused.
const OFFERS: usize = 1024;
/// What one transaction takes at most.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
/// The number of traces that are remembered as admitted: their later spans are taken from the reserve too.
const ADMITTED: usize = 65_536;
/// The room that an offer takes beside its bytes.
const OVERHEAD: usize = 512;
/// The time between two looks for what is too old or too much.
const CLEAN: Duration = Duration::from_secs(10);

/// What was received.
#[derive(Debug)]
pub enum Offer {
    /// Spans by trace.
    Traces(Traces),
    /// Records.
    Logs(Logs),
}

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Spans or records that are kept.
    pub taken: u64,
    /// Those that were refused for a limit.
    pub refused: u64,
}

/// The writing side of the store. Clones share it; the last one writes what is left and ends the thread.
#[derive(Clone, Debug)]
pub struct TelemetryWriter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    keep: Retention,
    shared: Arc<Shared>,
    /// Started by the first offer; an engine whose agents send nothing has neither thread nor file.
    thread: Mutex<Option<(SyncSender<Waiting>, JoinHandle<()>)>>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Counts,
    admitted: Mutex<Admitted>,
    fault: Mutex<Option<Untrusted>>,
}

#[derive(Debug, Default)]
struct Counts {
    spans: AtomicU64,
    logs: AtomicU64,
    refused: AtomicU64,
    polls: AtomicU64,
    invalid: AtomicU64,
    dropped: AtomicU64,
    sampled: AtomicU64,
    in_memory: AtomicU64,
    on_disk: AtomicU64,
}

/// An offer on its way to the thread.
#[derive(Debug)]
struct Waiting {
    at: At,
    bytes: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Traces(Vec<TracePart>),
    Logs(Logs),
}

/// What was decided about traces lately.
#[derive(Debug, Default)]
struct Admitted {
    /// Something of them was taken.
    kept: RecentTraces,
    /// They are polls of ours: what comes of them later is not kept either.
    polls: RecentTraces,
}

/// The last traces of a kind.
#[derive(Debug, Default)]
struct RecentTraces {
    traces: BTreeSet<TraceId>,
    order: VecDeque<TraceId>,
}

impl RecentTraces {
    fn contains(&self, trace: &TraceId) -> bool {
        self.traces.contains(trace)
    }

    fn add(&mut self, trace: TraceId) {
        if self.traces.insert(trace) {
            self.order.push_back(trace);
            if self.order.len() > ADMITTED
                && let Some(oldest) = self.order.pop_front()
            {
                self.traces.remove(&oldest);
            }
        }
    }
}

impl TelemetryWriter {
    /// A writer for a data folder. Nothing is opened before the first offer.
    pub fn new(dir: &Path, keep: Retention) -> Self {
        Self(Arc::new(Inner {
            file: telemetry_path(dir),
            keep,
            shared: Arc::default(),
            thread: Mutex::default(),
        }))
    }

    /// Takes what fits. It is written soon, and lost if the process is killed before.
    pub fn offer(&self, at: At, offer: Offer) -> Taken {
        match offer {
            Offer::Traces(traces) => self.offer_traces(at, traces),
            Offer::Logs(logs) => self.offer_logs(at, logs),
        }
    }

    /// Counts a request that could not be read.
    pub fn count_invalid(&self, items: u64) {
        self.0.shared.counts.invalid.fetch_add(items, Ordering::Relaxed);
    }

    /// What was received so far.
    pub fn status(&self) -> TelemetryStatus {
        let counts = &self.0.shared.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TelemetryStatus {
            listening: Vec::new(),
            spans: get(&counts.spans),
            logs: get(&counts.logs),
            refused: get(&counts.refused),
            polls: get(&counts.polls),
            invalid: get(&counts.invalid),
            dropped: get(&counts.dropped),
            sampled: get(&counts.sampled),
            in_memory: get(&counts.in_memory),
            on_disk: get(&counts.on_disk),
            fault: self.0.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn offer_traces(&self, at: At, traces: Traces) -> Taken {
        let counts = &self.0.shared.counts;
        counts.invalid.fetch_add(traces.invalid, Ordering::Relaxed);
        let (mut taken, mut refused, mut parts, mut bytes) = (0, 0, Vec::new(), 0);
        {
            let mut admitted = self.0.shared.admitted.lock().unwrap_or_else(PoisonError::into_inner);
            for part in traces.parts {
                if part.is_poll || admitted.polls.contains(&part.trace) {
                    admitted.polls.add(part.trace);
                    counts.polls.fetch_add(part.summary.spans, Ordering::Relaxed);
                    continue;
                }
                let size = part.data.len() + OVERHEAD;
                if self.has_room(bytes + size, admitted.kept.contains(&part.trace)) {
                    admitted.kept.add(part.trace);
                    taken += part.summary.spans;
                    bytes += size;
                    parts.push(part);
                } else {
                    refused += part.summary.spans;
                }
            }
        }
        self.send(Waiting { at, bytes, what: What::Traces(parts) }, taken, refused, &counts.spans)
    }

    fn offer_logs(&self, at: At, logs: Logs) -> Taken {
        let count = logs.records.len() as u64;
        let bytes: usize = logs.records.iter().map(|record| record.data.len() + OVERHEAD).sum();
        let bytes = bytes + logs.resources.iter().map(Vec::len).sum::<usize>();
        if !self.has_room(bytes, false) {
            self.0.shared.counts.refused.fetch_add(count, Ordering::Relaxed);
            return Taken { taken: 0, refused: count };
        }
        self.send(Waiting { at, bytes, what: What::Logs(logs) }, count, 0, &self.0.shared.counts.logs)
    }

    /// True if this many bytes more may be held. What belongs to a trace that is there already may use the reserve.
    fn has_room(&self, bytes: usize, admitted: bool) -> bool {
        let counts = &self.0.shared.counts;
        let within = |used: u64, most: u64| {
            let most = if admitted { most } else { most / 100 * limits::RESERVE_FROM };
            used <= most
        };
        // The disk is kept below its limit by the thread, which removes old traces; it may fall behind.
        let disk = self.0.keep.bytes.saturating_add(self.0.keep.bytes / 10);
        within(counts.in_memory.load(Ordering::Relaxed) + bytes as u64, limits::IN_MEMORY as u64)
            && within(counts.on_disk.load(Ordering::Relaxed), disk)
    }

    fn send(&self, waiting: Waiting, items: u64, refused: u64, count: &AtomicU64) -> Taken {
        let counts = &self.0.shared.counts;
        let bytes = waiting.bytes as u64;
        counts.in_memory.fetch_add(bytes, Ordering::Relaxed);
        let sent = items == 0
            || self.thread().is_some_and(|thread| match thread.try_send(waiting) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            });
        let (taken, refused) = if sent { (items, refused) } else { (0, refused + items) };
        if !sent || items == 0 {
            counts.in_memory.fetch_sub(bytes, Ordering::Relaxed);
        }
        count.fetch_add(taken, Ordering::Relaxed);
        counts.refused.fetch_add(refused, Ordering::Relaxed);
        Taken { taken, refused }
    }

    fn thread(&self) -> Option<SyncSender<Waiting>> {
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (sender, receiver) = sync_channel(OFFERS);
            let (file, keep, shared) = (self.0.file.clone(), self.0.keep, self.0.shared.clone());
            let spawned = std::thread::Builder::new()
                .name("telemetry".into())
                .spawn(move || Writing { file, keep, shared, connection: None }.run(&receiver));
            match spawned {
                Ok(handle) => *thread = Some((sender, handle)),
                Err(error) => {
                    let why = format!("the thread of the telemetry store could not be started: {error}");
                    *self.0.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
                }
            }
        }
        thread.as_ref().map(|(sender, _)| sender.clone())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, handle)) = thread {
            drop(sender);
            let _a_panic_was_reported_there = handle.join();
        }
    }
}

/// The thread.
struct Writing {
    file: PathBuf,
    keep: Retention,
    shared: Arc<Shared>,
    connection: Option<Connection>,
}

impl Writing {
    fn run(mut self, offers: &Receiver<Waiting>) {
        let mut cleaned: Option<At> = None;
        let mut now = At::ZERO;
        while let Ok(first) = offers.recv() {
            let mut bytes = first.bytes;
            let mut batch = vec![first];
            while bytes < COMMIT_BYTES
                && let Ok(next) = offers.try_recv()
            {
                bytes += next.bytes;
                batch.push(next);
            }
            now = batch.iter().map(|waiting| waiting.at).fold(now, At::max);
            let written = self.write(&batch);
            self.shared.counts.in_memory.fetch_sub(bytes as u64, Ordering::Relaxed);
            let used = self.report(written, &batch);
            drop(batch);
            let full = used.is_some_and(|used| used > self.keep.bytes / 100 * limits::RESERVE_FROM);
            let used = if full || cleaned.is_none_or(|cleaned| now.since(cleaned) > CLEAN) {
                cleaned = Some(now);
                self.clean(now).or(used)
            } else {
                used
            };
            // Told after the cleaning, so that nothing is refused while room is being made for it.
            if let Some(used) = used {
                self.shared.counts.on_disk.store(used, Ordering::Relaxed);
            }
        }
        if let Some(connection) = &self.connection {
            let _the_next_start_does_it =
                connection.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
        }
    }

    /// Writes a batch; returns the bytes that the file uses then.
    fn write(&mut self, batch: &[Waiting]) -> Result<u64, Untrusted> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let opened = open_to_write(&self.file).map_err(|error| error.to_string())?;
                self.connection.insert(opened)
            }
        };
        let mut dropped = 0;
        let mut write = || -> rusqlite::Result<u64> {
            let transaction = connection.transaction()?;
            for waiting in batch {
                match &waiting.what {
                    What::Traces(parts) => {
                        for part in parts {
                            dropped += write_trace(&transaction, waiting.at, part)?;
                        }
                    }
                    What::Logs(logs) => write_logs(&transaction, waiting.at, logs)?,
                }
            }
            transaction.commit()?;
            retention::used(connection)
        };
        let used = write().map_err(|error| error.to_string())?;
        self.shared.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        Ok(used)
    }

    /// What could not be written was taken already: it counts as refused from here on.
    fn report(&mut self, written: Result<u64, Untrusted>, batch: &[Waiting]) -> Option<u64> {
        let mut fault = self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Ok(used) => {
                *fault = None;
                Some(used)
            }
            Err(why) => {
                if fault.is_none() {
                    tracing::warn!("telemetry is not written: {why}");
                }
                *fault = Some(format!("{} cannot be written: {why}", self.file.display()).into());
                // The file may have been removed or replaced: it is opened again for the next batch.
                self.connection = None;
                let counts = &self.shared.counts;
                for waiting in batch {
                    let (items, count) = match &waiting.what {
                        What::Traces(parts) => {
                            (parts.iter().map(|part| part.summary.spans).sum(), &counts.spans)
                        }
                        What::Logs(logs) => (logs.records.len() as u64, &counts.logs),
                    };
                    count.fetch_sub(items, Ordering::Relaxed);
                    counts.refused.fetch_add(items, Ordering::Relaxed);
                }
                None
            }
        }
    }

    /// Removes what is too old or too much; returns the bytes that the file uses then.
    fn clean(&mut self, now: At) -> Option<u64> {
        let connection = self.connection.as_mut()?;
        match retention::clean(connection, self.keep, now) {
            Ok(Removed { sampled, used }) => {
                self.shared.counts.sampled.fetch_add(sampled, Ordering::Relaxed);
                Some(used)
            }
            Err(error) => {
                tracing::warn!("old telemetry is not removed: {error}");
                None
            }
        }
    }
}

/// Nanoseconds as SQLite has numbers.
pub(super) fn stored(at: UnixNanos) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// Writes the part of a trace; returns what was dropped.
fn write_trace(transaction: &Transaction<'_>, at: At, part: &TracePart) -> rusqlite::Result<u64> {
    let new = &part.summary;
    let known = transaction
        .prepare_cached("SELECT number, start, took, name, spans FROM trace WHERE id = ?1")?
        .query_row([&part.trace.0[..]], |row| {
            let (start, took): (i64, i64) = (row.get(1)?, row.get(2)?);
            let named: Option<String> = row.get(3)?;
            Ok((row.get::<_, i64>(0)?, start, took, named.is_some(), row.get::<_, u64>(4)?))
        })
        .optional()?;
    let mut dropped = new.dropped;
    let (start, end) = (stored(new.start), stored(new.end));
    let bytes = i64::try_from(part.data.len()).unwrap_or(i64::MAX);
    let root = new.root.as_ref().map(|(name, service)| (name.raw(), service.raw()));
    let number = match known {
        Some((number, known_start, known_took, named, spans)) => {
            if spans + new.spans > limits::SPANS_OF_TRACE as u64 {
                dropped += new.spans;
                transaction
                    .prepare_cached(
                        "UPDATE trace SET dropped = dropped + ?2, received = ?3 WHERE number = ?1",
                    )?
                    .execute(params![number, dropped, at.micros()])?;
                return Ok(dropped);
            }
            let first = known_start.min(start);
            let last = known_start.saturating_add(known_took).max(end);
            let root = root.filter(|_| !named).unzip();
            transaction
                .prepare_cached(
                    "UPDATE trace SET start = ?2, took = ?3, received = ?4, name = COALESCE(name, ?5),
                     service = COALESCE(service, ?6), spans = spans + ?7, errors = errors + ?8,
                     dropped = dropped + ?9, bytes = bytes + ?10 WHERE number = ?1",
                )?
                .execute(params![
                    number,
                    first,
                    last.saturating_sub(first),
                    at.micros(),
                    root.0,
                    root.1,
                    new.spans,
                    new.errors,
                    dropped,
                    bytes
                ])?;
            number
        }
        None => {
            let root = root.unzip();
            transaction
                .prepare_cached(
                    "INSERT INTO trace (id, start, took, received, name, service, spans, errors, dropped, bytes)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    &part.trace.0[..],
                    start,
                    end.saturating_sub(start),
                    at.micros(),
                    root.0,
                    root.1,
                    new.spans,
                    new.errors,
                    dropped,
                    bytes
                ])?;
            transaction.last_insert_rowid()
        }
    };
    transaction
        .prepare_cached("INSERT INTO block (trace, data) VALUES (?1, ?2)")?
        .execute(params![number, part.data])?;
    write_values(transaction, number, new)?;
    Ok(dropped)
}

fn write_values(transaction: &Transaction<'_>, trace: i64, summary: &TraceSummary) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare_cached("INSERT OR IGNORE INTO value (key, value, trace) VALUES (?1, ?2, ?3)")?;
    for service in &summary.services {
        insert.execute(params![SERVICE, service.raw(), trace])?;
    }
    for (key, value) in &summary.values {
        insert.execute(params![key, value.raw(), trace])?;
    }
    Ok(())
}

fn write_logs(transaction: &Transaction<'_>, at: At, logs: &Logs) -> rusqlite::Result<()> {
    let mut resources: BTreeMap<usize, i64> = BTreeMap::new();
    for record in &logs.records {
        let resource = match resources.get(&record.resource) {
            Some(number) => *number,
            None => {
                let data = logs.resources.get(record.resource).map_or(&[][..], Vec::as_slice);
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO resource (data) VALUES (?1)")?
                    .execute([data])?;
                let number = transaction
                    .prepare_cached("SELECT number FROM resource WHERE data = ?1")?
                    .query_row([data], |row| row.get(0))?;
                resources.insert(record.resource, number);
                number
            }
        };
        write_log(transaction, at, record, resource)?;
    }
    Ok(())
}

fn write_log(transaction: &Transaction<'_>, at: At, record: &LogPart, resource: i64) -> rusqlite::Result<()> {
    // A record without any time happened when it came.
    let happened = if record.at.0 == 0 { UnixNanos::from(at) } else { record.at };
    transaction
        .prepare_cached(
            "INSERT INTO log (at, received, severity, service, trace, span, resource, body, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            stored(happened),
            at.micros(),
            record.severity.number(),
            record.service.raw(),
            record.trace.map(|trace| trace.0.to_vec()),
            record.span.map(|span| span.0.to_vec()),
            resource,
            record.body.raw(),
            record.data
        ])?;
    Ok(())
}
