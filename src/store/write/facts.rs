//! Facts of one commit on their way into the journal: one row an owner, one write an output.
//!
//! A busy stream produces dozens of facts between two commits. A row for each would cost more than all other
//! processing, so an owner's facts in one commit become one row of the kind [`BUNDLE`], an array; a single fact is a
//! row of its own kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, params};

use super::history::Histories;
use crate::domain::fact::{AttemptFact, Fact, JournalEntry, Owner};
use crate::domain::id::{AttemptId, JobId};
use crate::domain::job::message::{Content, Part};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::protocol::json::{Object, elements};
use crate::store::blobs::{Blobs, INLINE};
use crate::store::record::{Record, VERSION};
use crate::store::{StoreError, read, sql};

/// The kind of a row that holds several facts: `[{"seq":…,"at":…,"body":{…}},…]`. Its own `seq` and `at`
/// are those of the last.
const BUNDLE: &str = "bundle";
/// Bytes of an output that are gathered before they are written to its file.
const GATHERED: usize = 256 * 1024;

/// How facts about outputs begin.
const ARTIFACT_SEEN: &str = r#"{"what":"artifact_seen","#;

/// The position at which an output continues.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputState {
    bytes: u64,
    /// The row of its file, once it is too long for facts.
    file: Option<i64>,
    /// Its content in facts so far, unless too large for memory: it begins the file.
    inline: Option<Vec<u8>>,
}

impl OutputState {
    fn kept(&self) -> usize {
        self.inline.as_ref().map_or(0, Vec::len)
    }
}

/// The positions of the outputs of attempts that have not settled.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    all: BTreeMap<(AttemptId, Untrusted), OutputState>,
    /// Bytes of inline content in memory.
    kept: usize,
}

impl Outputs {
    /// The bytes of content kept in memory; the rest is read from the journal when needed.
    const KEPT: usize = 8 << 20;

    /// An attempt has settled: nothing more is written of it.
    pub fn forget(&mut self, attempt: AttemptId) {
        self.all.retain(|(of, _), _| *of != attempt);
        self.kept = self.all.values().map(OutputState::kept).sum();
    }

    /// Forgets everything after a failed transaction.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn begin(&mut self, key: &(AttemptId, Untrusted), state: OutputState) {
        self.kept += state.kept();
        let old = self.all.insert(key.clone(), state);
        self.kept -= old.as_ref().map_or(0, OutputState::kept);
    }

    /// Records content that stays in facts.
    fn keep(&mut self, key: &(AttemptId, Untrusted), parts: &[Part]) {
        let Some(state) = self.all.get_mut(key) else { return };
        let Some(inline) = &mut state.inline else { return };
        let before = inline.len();
        for part in parts {
            inline.extend_from_slice(content_of(part).0.as_bytes());
        }
        self.kept += inline.len() - before;
        if self.kept > Self::KEPT {
            self.kept -= inline.len();
            state.inline = None;
        }
    }

    /// From now on the output is in a file; returns its content in facts, if it was kept.
    fn file(&mut self, key: &(AttemptId, Untrusted), file: i64) -> Option<Vec<u8>> {
        let state = self.all.get_mut(key)?;
        state.file = Some(file);
        let inline = state.inline.take()?;
        self.kept -= inline.len();
        Some(inline)
    }
}

/// Buffers of earlier commits: a busy journal writes as much again fifty milliseconds later.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    buffers: Vec<String>,
    /// Bytes of all of them.
    bytes: usize,
}

impl BufferPool {
    const MOST: usize = 4 << 20;

    fn take(&mut self) -> String {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    fn give_back(&mut self, mut text: String) {
        if text.capacity() > 0 && self.bytes + text.capacity() <= Self::MOST {
            text.clear();
            self.bytes += text.capacity();
            self.buffers.push(text);
        }
    }
}

/// The facts of one owner that are not in the journal yet.
#[derive(Debug)]
struct OwnerFacts {
    text: String,
    /// Where the body of the first fact begins.
    first: usize,
    count: u32,
    seq: u64,
    at: i64,
    kind: &'static str,
}

/// Where in which file the parts of a fact are.
struct FilePosition {
    output: i64,
    from: u64,
}

/// The body of a fact about an output in a file: the fact without its parts, and their position.
fn put_filed(entry: &JournalEntry, filed: &FilePosition, out: &mut String) {
    let Fact::Job(job, fact) = &entry.fact else { return };
    let Some((attempt, AttemptFact::ArtifactSeen { artifact, name, append, parts, last })) =
        fact.of_attempt()
    else {
        return;
    };
    let bare = AttemptFact::ArtifactSeen {
        artifact: artifact.clone(),
        name: name.clone(),
        append: *append,
        parts: std::sync::Arc::default(),
        last: *last,
    };
    let JournalEntry { at, seq, ref actor, .. } = *entry;
    JournalEntry { at, seq, actor: actor.clone(), fact: Fact::attempt(*job, attempt, bare) }.put_body(out);
    out.pop();
    let FilePosition { output, from } = filed;
    let _infallible = write!(out, ",\"output\":{output},\"from\":{from},\"pieces\":[");
    for (at, part) in parts.iter().enumerate() {
        let (content, kind) = content_of(part);
        let comma = if at > 0 { "," } else { "" };
        let bytes = content.len();
        let _infallible = write!(out, "{comma}{{\"kind\":\"{kind}\",\"bytes\":{bytes},\"part\":");
        Part { content: read::content("", kind), ..part.clone() }.put_into(out);
        out.push('}');
    }
    out.push_str("]}");
}

/// Bytes to append to an output's file.
#[derive(Debug)]
struct Append {
    from: u64,
    bytes: Vec<u8>,
}

/// Takes the facts of one commit in, in order. [`Self::end`] must be called.
pub(super) struct FactWriter<'t> {
    transaction: &'t Transaction<'t>,
    file: &'t Path,
    blobs: &'t Blobs,
    outputs: &'t mut Outputs,
    histories: &'t mut Histories,
    bundles: BTreeMap<Owner, OwnerFacts>,
    growing: BTreeMap<i64, Append>,
    spare: &'t mut BufferPool,
}

impl<'t> FactWriter<'t> {
    pub fn new(
        transaction: &'t Transaction<'t>,
        file: &'t Path,
        blobs: &'t Blobs,
        (outputs, histories): (&'t mut Outputs, &'t mut Histories),
        spare: &'t mut BufferPool,
    ) -> Self {
        let (bundles, growing) = (BTreeMap::new(), BTreeMap::new());
        Self { transaction, file, blobs, outputs, histories, bundles, growing, spare }
    }

    pub fn add(&mut self, entry: &JournalEntry) -> Result<(), StoreError> {
        let filed = self.file(entry)?;
        let bundle = self.bundles.entry(entry.owner()).or_insert_with(|| OwnerFacts {
            text: self.spare.take(),
            first: 0,
            count: 0,
            seq: 0,
            at: 0,
            kind: BUNDLE,
        });
        bundle.text.push(if bundle.count == 0 { '[' } else { ',' });
        (bundle.seq, bundle.at) = (entry.seq, entry.at.micros());
        let _infallible = write!(bundle.text, "{{\"seq\":{},\"at\":{},\"body\":", bundle.seq, bundle.at);
        if bundle.count == 0 {
            bundle.first = bundle.text.len();
            bundle.kind = entry.stored_as();
        } else {
            bundle.kind = BUNDLE;
        }
        match filed {
            Some(place) => put_filed(entry, &place, &mut bundle.text),
            None => entry.put_body(&mut bundle.text),
        }
        bundle.text.push('}');
        bundle.count += 1;
        Ok(())
    }

    /// Brings everything into the journal and the files.
    pub fn end(mut self) -> Result<(), StoreError> {
        for (owner, bundle) in std::mem::take(&mut self.bundles) {
            self.insert(owner, bundle)?;
        }
        for (output, mut growth) in std::mem::take(&mut self.growing) {
            self.grow(output, growth.from, &growth.bytes)?;
            growth.bytes.clear();
            self.spare.give_back(String::from_utf8(growth.bytes).unwrap_or_default());
        }
        Ok(())
    }

    fn insert(&mut self, owner: Owner, mut bundle: OwnerFacts) -> Result<(), StoreError> {
        let body = if bundle.count == 1 {
            &bundle.text[bundle.first..bundle.text.len() - 1]
        } else {
            bundle.text.push(']');
            &bundle.text
        };
        let seq = i64::try_from(bundle.seq).unwrap_or(i64::MAX);
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO fact (owner, seq, at, kind, version, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut statement| {
                statement.execute(params![owner_key(owner), seq, bundle.at, bundle.kind, VERSION, body])
            })
            .map_err(sql(self.file))?;
        self.histories.add(owner, body.len());
        self.spare.give_back(bundle.text);
        Ok(())
    }

    fn grow(&self, output: i64, from: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.blobs
            .append(output, from, bytes)
            .map_err(|error| StoreError::Io { path: self.file.with_file_name("blobs"), error })?;
        let size = i64::try_from(from + bytes.len() as u64).unwrap_or(i64::MAX);
        self.transaction
            .prepare_cached("UPDATE output SET bytes = ?2 WHERE id = ?1")
            .and_then(|mut update| update.execute([output, size]))
            .map_err(sql(self.file))?;
        Ok(())
    }

    /// Writes an owner's pending facts to the journal now, because they are read there.
    fn flush(&mut self, owner: Owner) -> Result<(), StoreError> {
        match self.bundles.remove(&owner) {
            Some(bundle) => self.insert(owner, bundle),
            None => Ok(()),
        }
    }

    /// Where the parts of a fact about an output go, if the output is in a file.
    fn file(&mut self, entry: &JournalEntry) -> Result<Option<FilePosition>, StoreError> {
        let Fact::Job(job, fact) = &entry.fact else { return Ok(None) };
        let Some((attempt, AttemptFact::ArtifactSeen { artifact, append, parts, .. })) = fact.of_attempt()
        else {
            return Ok(None);
        };
        let (job, key) = (*job, (attempt, artifact.clone()));
        if !append {
            self.outputs.begin(&key, OutputState { inline: Some(Vec::new()), ..OutputState::default() });
        } else if !self.outputs.all.contains_key(&key) {
            self.flush(Owner::Job(job))?;
            let known = self.load(job, attempt, artifact)?;
            self.outputs.begin(&key, known);
        }
        let added: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let Some(state) = self.outputs.all.get_mut(&key) else { return Ok(None) };
        let before = state.bytes;
        state.bytes += added;
        let output = match state.file {
            Some(output) => output,
            None if state.bytes <= INLINE => {
                self.outputs.keep(&key, parts);
                return Ok(None);
            }
            None => self.begin_file(job, &key, before)?,
        };
        let mut from = before;
        for part in parts.iter() {
            let content = content_of(part).0.as_bytes();
            let waiting = self.growing.get(&output).map_or(0, |growth| growth.bytes.len());
            if waiting + content.len() > GATHERED {
                if let Some(growth) = self.growing.remove(&output) {
                    self.grow(output, growth.from, &growth.bytes)?;
                }
                self.grow(output, from, content)?;
            } else {
                let growth = self
                    .growing
                    .entry(output)
                    .or_insert_with(|| Append { from, bytes: self.spare.take().into_bytes() });
                growth.bytes.extend_from_slice(content);
            }
            from += content.len() as u64;
        }
        Ok(Some(FilePosition { output, from: before }))
    }

    /// An output has become too long for facts: its content so far is moved to a file, so that it holds the whole
    /// output.
    fn begin_file(
        &mut self,
        job: JobId,
        key: &(AttemptId, Untrusted),
        before: u64,
    ) -> Result<i64, StoreError> {
        let (attempt, artifact) = key;
        self.transaction
            .prepare_cached("INSERT INTO output (job, attempt, artifact, bytes) VALUES (?1, ?2, ?3, 0)")
            .and_then(|mut insert| {
                insert.execute(params![job.0.as_bytes(), attempt.0.as_bytes(), artifact.raw()])
            })
            .map_err(sql(self.file))?;
        let output = self.transaction.last_insert_rowid();
        let kept = self.outputs.file(key, output);
        if before > 0 {
            let bytes = match kept {
                Some(bytes) => bytes,
                None => {
                    self.flush(Owner::Job(job))?;
                    self.inline_content(job, *attempt, artifact)?
                }
            };
            self.growing.insert(output, Append { from: 0, bytes });
        }
        Ok(output)
    }

    /// The position of an output of an earlier process.
    fn load(&self, job: JobId, attempt: AttemptId, artifact: &Untrusted) -> Result<OutputState, StoreError> {
        let row: Option<(i64, i64)> = self
            .transaction
            .prepare_cached(
                "SELECT id, bytes FROM output WHERE attempt = ?1 AND artifact = ?2 AND sha256 IS NULL \
                 ORDER BY id DESC",
            )
            .and_then(|mut select| {
                let key = params![attempt.0.as_bytes(), artifact.raw()];
                select.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(sql(self.file))?;
        if let Some((id, bytes)) = row {
            return Ok(OutputState {
                bytes: u64::try_from(bytes).unwrap_or(0),
                file: Some(id),
                inline: None,
            });
        }
        let inline = self.inline_content(job, attempt, artifact)?;
        Ok(OutputState { bytes: inline.len() as u64, file: None, inline: Some(inline) })
    }

    /// The content of an output in facts, since it was last started.
    fn inline_content(
        &self,
        job: JobId,
        attempt: AttemptId,
        artifact: &Untrusted,
    ) -> Result<Vec<u8>, StoreError> {
        let mut content = Vec::new();
        let rows = self
            .transaction
            .prepare_cached(
                "SELECT body FROM fact WHERE owner = ?1 AND kind IN ('artifact_seen', 'bundle') ORDER BY seq",
            )
            .and_then(|mut select| {
                select
                    .query_map([owner_key(Owner::Job(job))], |row| row.get::<_, String>(0))?
                    .collect::<rusqlite::Result<Vec<_>>>()
            })
            .map_err(sql(self.file))?;
        for row in &rows {
            for body in artifacts_in(row) {
                let entry = JournalEntry::from_body(Owner::Job(job), At::ZERO, 0, body);
                if let Some((of, AttemptFact::ArtifactSeen { artifact: which, append, parts, .. })) =
                    entry.as_ref().and_then(|entry| entry.fact.of_attempt())
                    && of == attempt
                    && which == artifact
                {
                    if !append {
                        content.clear();
                    }
                    for part in parts.iter() {
                        content.extend_from_slice(content_of(part).0.as_bytes());
                    }
                }
            }
        }
        Ok(content)
    }
}

/// The key of an owner in the journal.
pub(in crate::store) fn owner_key(owner: Owner) -> Vec<u8> {
    match owner {
        Owner::Fleet => Vec::new(),
        Owner::Agent(id) => [b"a", id.0.as_bytes().as_slice()].concat(),
        Owner::Job(id) => [b"j", id.0.as_bytes().as_slice()].concat(),
    }
}

/// The facts of a row's body, each with its `seq` and `at` where they are not the row's own.
pub(in crate::store) fn bodies(row: &str) -> Vec<(Option<(u64, i64)>, &str)> {
    if !row.starts_with('[') {
        return vec![(None, row)];
    }
    let items = elements(row).unwrap_or_default().into_iter().filter_map(|item| {
        let item = Object::parse(item).ok()?;
        let place = (u64::try_from(item.number("seq")?).ok()?, item.number("at")?);
        Some((Some(place), item.raw("body")?))
    });
    items.collect()
}

/// The bodies of facts about outputs in a row. Most of a row is about something else, and parsing all of it is slow; in
/// JSON text their beginning cannot occur elsewhere, as strings contain no bare quotes.
fn artifacts_in(row: &str) -> impl Iterator<Item = &str> {
    memchr::memmem::find_iter(row.as_bytes(), ARTIFACT_SEEN).filter_map(|at| {
        let rest = serde_json::Deserializer::from_str(row.get(at..)?);
        rest.into_iter::<&serde_json::value::RawValue>().next()?.ok().map(serde_json::value::RawValue::get)
    })
}

/// The content of a part as text, and its kind.
pub(in crate::store) fn content_of(part: &Part) -> (&str, &'static str) {
    match &part.content {
        Content::Text(text) => (text.raw(), "text"),
        Content::Raw(bytes) => (bytes.raw(), "raw"),
        Content::Url(url) => (url.raw(), "url"),
        Content::Data(json) => (json.raw(), "data"),
        Content::Unknown(json) => (json.raw(), "unknown"),
    }
}
