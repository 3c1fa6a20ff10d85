//! Reading a store, beside its writer or without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use uuid::Uuid;

use super::blobs::Blobs;
use super::record::{self, AttemptRow, BodyKind, ProblemRow, Record};
use super::write::{bodies, owner_key};
use super::{StoreError, journal_path, lock, metrics, migrate, prepare, sql};
use crate::domain::agent::Agent;
use crate::domain::fact::{AttemptFact, Fact, JobFact, JournalEntry, Owner};
use crate::domain::id::{AgentId, JobId};
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::job::{Attempt, Job};
use crate::domain::metrics::{Block, Metrics, Minute, MinuteRange};
use crate::domain::state::{self, Rows};
use crate::domain::time::At;
use crate::protocol::json::Object;

/// Reads the journal and the rows of a folder.
#[derive(Debug)]
pub struct Reader {
    pub(in crate::store) connection: Connection,
    pub(in crate::store) file: PathBuf,
    blobs: Blobs,
}

/// The state found at a start.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rows.
    pub rows: Rows,
    /// The last moment of the engine before.
    pub alive: Option<At>,
    /// The last hour that was measured.
    pub metrics: Metrics,
}

impl Reader {
    /// Opens the journal of a folder; `None` if there is none.
    ///
    /// # Errors
    /// The file cannot be used, or a newer version wrote it.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        let file = journal_path(dir);
        if !file.exists() {
            return Ok(None);
        }
        // An engine that has just started is about to fill it.
        if !lock::is_held(dir) {
            migrate::refuse_emptied(&file)?;
        }
        // Reading beside a writer needs its shared memory, which a connection that may write can map.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags)
            .or_else(|_| {
                Connection::open_with_flags(
                    &file,
                    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
                )
            })
            .map_err(sql(&file))?;
        prepare(&connection, false).map_err(sql(&file))?;
        connection.pragma_update(None, "query_only", "ON").map_err(sql(&file))?;
        let found = migrate::version(&connection, &file)?;
        migrate::check(found, &file)?;
        if found == 0 {
            migrate::refuse_foreign(&connection, &file)?;
            return Ok(None);
        }
        Ok(Some(Self { connection, file, blobs: Blobs::new(dir) }))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Another reader of the same journal, for work that takes long.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn another(&self) -> Result<Option<Self>, StoreError> {
        Self::open(self.file.parent().unwrap_or(&self.file))
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { file: self.file.clone(), what }
    }

    /// Everything that a start needs.
    ///
    /// # Errors
    /// The file cannot be read, or a row of it.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded {
            alive: self
                .connection
                .query_row("SELECT value FROM meta WHERE key = 'alive'", [], |row| row.get(0))
                .optional()
                .map_err(sql(&self.file))?
                .map(At::from_micros),
            ..Loaded::default()
        };
        let rows = &mut loaded.rows;
        rows.fleet_seq = self.scalar("SELECT ifnull(max(seq), 0) FROM fact WHERE owner = x''")?;
        let numbers = "SELECT max(ifnull((SELECT max(number) FROM problem), 0), \
                       ifnull((SELECT value FROM meta WHERE key = 'last_problem'), 0))";
        rows.last_problem = u32::try_from(self.scalar(numbers)?).unwrap_or(u32::MAX);
        rows.agents = self.bodies::<Agent>(BodyKind::Agent, "SELECT version, body FROM agent ORDER BY id")?;
        let mut attempts: BTreeMap<JobId, (u64, Vec<(Attempt, AgentId)>)> = BTreeMap::new();
        for row in
            self.bodies::<AttemptRow>(BodyKind::Attempt, "SELECT version, body FROM attempt ORDER BY id")?
        {
            let (seq, of_job) = attempts.entry(row.job).or_default();
            *seq = row.job_seq.max(*seq);
            of_job.push((row.attempt, row.agent));
        }
        for mut job in self.bodies::<Job>(BodyKind::Job, "SELECT version, body FROM job ORDER BY id")? {
            let (seq, mut of_job) = attempts.remove(&job.id).unwrap_or_default();
            job.seq = job.seq.max(seq);
            of_job.sort_by_key(|(attempt, _)| attempt.number);
            rows.jobs.push((job, of_job));
        }
        // An older journal opened read-only has no such table.
        if migrate::version(&self.connection, &self.file)? >= migrate::SOURCES {
            rows.sources =
                self.bodies(BodyKind::Source, "SELECT version, body FROM source ORDER BY place")?;
        }
        if self.has_metrics()? {
            let last = metrics::last(&self.connection, Metrics::KEPT).map_err(sql(&self.file))?;
            for (minute, block) in last {
                loaded.metrics.put(minute, Arc::new(block));
            }
        }
        let rows = &mut loaded.rows;
        for row in
            self.bodies::<ProblemRow>(BodyKind::Problem, "SELECT version, body FROM problem ORDER BY number")?
        {
            let ProblemRow { problem, agent, source } = row;
            rows.problems.push(state::ProblemRow { problem, agent, source });
        }
        Ok(loaded)
    }

    fn has_metrics(&self) -> Result<bool, StoreError> {
        Ok(migrate::version(&self.connection, &self.file)? >= migrate::METRICS)
    }

    /// The metrics of a range, one block for each of its parts.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn metrics(&self, stretch: MinuteRange) -> Result<Vec<(Minute, Block)>, StoreError> {
        if !self.has_metrics()? {
            return Ok(Vec::new());
        }
        metrics::read(&self.connection, stretch).map_err(sql(&self.file))
    }

    fn scalar(&self, query: &str) -> Result<u64, StoreError> {
        let number: i64 = self.connection.query_row(query, [], |row| row.get(0)).map_err(sql(&self.file))?;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    fn bodies<T: Record>(&self, kind: BodyKind, query: &str) -> Result<Vec<T>, StoreError> {
        let mut select = self.connection.prepare(query).map_err(sql(&self.file))?;
        let rows = select
            .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .map_err(sql(&self.file))?;
        let mut all = Vec::new();
        for row in rows {
            let (version, body) = row.map_err(sql(&self.file))?;
            let body = record::upcast(kind, version, body);
            let read = T::get(&body);
            all.push(read.ok_or_else(|| self.damaged(format!("a row of {} cannot be read", kind.table())))?);
        }
        Ok(all)
    }

    /// The last `limit` facts of an owner, oldest first. Facts of an unknown kind are skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn facts(&self, owner: Owner, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT seq, at, version, body FROM fact WHERE owner = ?1 ORDER BY seq DESC")
            .map_err(sql(&self.file))?;
        let mut rows = select.query([owner_key(owner)]).map_err(sql(&self.file))?;
        // Newest first, until there are enough; a row may hold many.
        let mut facts = Vec::new();
        while facts.len() < limit {
            let Some(row) = rows.next().map_err(sql(&self.file))? else { break };
            let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, i64, i64, String)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            }(row);
            let (seq, at, version, body) = row.map_err(sql(&self.file))?;
            let own = (u64::try_from(seq).unwrap_or(0), at);
            for (place, body) in bodies(&body).into_iter().rev() {
                let (seq, at) = place.unwrap_or(own);
                let body = record::upcast(BodyKind::Fact, version, body.into());
                facts.extend(self.entry(owner, At::from_micros(at), seq, &body)?);
            }
        }
        facts.truncate(limit);
        facts.reverse();
        Ok(facts)
    }

    /// The first `limit` facts of an owner, in order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn first_facts(&self, owner: Owner, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT seq, at, version, body FROM fact WHERE owner = ?1 ORDER BY seq LIMIT ?2")
            .map_err(sql(&self.file))?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query((owner_key(owner), most)).map_err(sql(&self.file))?;
        let mut facts = Vec::new();
        while let Some(row) = rows.next().map_err(sql(&self.file))? {
            let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, i64, i64, String)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            }(row);
            let (seq, at, version, body) = row.map_err(sql(&self.file))?;
            let own = (u64::try_from(seq).unwrap_or(0), at);
            for (place, body) in bodies(&body) {
                let (seq, at) = place.unwrap_or(own);
                let body = record::upcast(BodyKind::Fact, version, body.into());
                facts.extend(self.entry(owner, At::from_micros(at), seq, &body)?);
            }
        }
        facts.truncate(limit);
        Ok(facts)
    }

    /// Every owner of facts, for rebuilding and checking.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn owners(&self) -> Result<Vec<Owner>, StoreError> {
        let mut select =
            self.connection.prepare("SELECT DISTINCT owner FROM fact").map_err(sql(&self.file))?;
        let keys = select
            .query_map([], |row| row.get::<_, Vec<u8>>(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(sql(&self.file))?;
        Ok(keys.iter().filter_map(|key| owner_of(key)).collect())
    }

    /// A fact by its body; content that was too large for the body is read from its file.
    fn entry(&self, owner: Owner, at: At, seq: u64, body: &str) -> Result<Option<JournalEntry>, StoreError> {
        let Some(mut entry) = JournalEntry::from_body(owner, at, seq, body) else { return Ok(None) };
        let Fact::Job(_, JobFact::Attempt(_, AttemptFact::ArtifactSeen { parts: in_file, .. })) =
            &mut entry.fact
        else {
            return Ok(Some(entry));
        };
        let Ok(object) = Object::parse(body) else { return Ok(Some(entry)) };
        let Some(output) = object.number("output") else { return Ok(Some(entry)) };
        let sha256: Option<String> = self
            .connection
            .prepare_cached("SELECT sha256 FROM output WHERE id = ?1")
            .and_then(|mut select| select.query_row([output], |row| row.get(0)).optional())
            .map_err(sql(&self.file))?
            .flatten();
        let mut from = u64::try_from(object.number("from").unwrap_or(0)).unwrap_or(0);
        let mut parts = Vec::new();
        for piece in object.objects("pieces") {
            let bytes = u64::try_from(piece.number("bytes").unwrap_or(0)).unwrap_or(0);
            let content = self.blobs.read(output, sha256.as_deref(), from, bytes);
            let content = content.unwrap_or_else(|error| format!("[its file is gone: {error}]").into_bytes());
            from += bytes;
            let kind = piece.text("kind").unwrap_or_default();
            let content = self::content(&String::from_utf8_lossy(&content), &kind);
            if let Some(part) = piece.raw("part").and_then(Part::get) {
                parts.push(Part { content, ..part });
            }
        }
        *in_file = Arc::new(parts);
        Ok(Some(entry))
    }
}

pub(super) fn owner_of(key: &[u8]) -> Option<Owner> {
    let Some((kind, id)) = key.split_first() else { return Some(Owner::Fleet) };
    let id = Uuid::from_slice(id).ok()?;
    match kind {
        b'a' => Some(Owner::Agent(AgentId(id))),
        b'j' => Some(Owner::Job(JobId(id))),
        _ => None,
    }
}

/// Content of a kind, from its text.
pub(super) fn content(text: &str, kind: &str) -> Content {
    match kind {
        "raw" => Content::Raw(text.into()),
        "url" => Content::Url(text.into()),
        "data" => Content::Data(Json::new(text)),
        "unknown" => Content::Unknown(Json::new(text)),
        _ => Content::Text(text.into()),
    }
}
