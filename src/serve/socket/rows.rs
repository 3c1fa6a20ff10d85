//! The rows of the fleet as JSON lines, first all of them, then changes.

use std::collections::BTreeMap;

use super::client::Outbox;
use super::deltas::Deltas;
use crate::domain::agent::Agent;
use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::job::{Attempt, Job};
use crate::domain::problem::{Problem, Subject};
use crate::domain::state::Changed;
use crate::domain::state::slab::Key;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::Handle;
use crate::engine::handle::wire::Tasks;
use crate::protocol::json::{Writer, array};
use crate::store::record::{AttemptRow, ProblemRow, Record};

/// Rows in one line.
pub(super) const ROWS: usize = 200;
/// A line ends with the row that makes it this long, in bytes: an agent's card may have 4 MiB.
const ROW_BYTES: usize = 1024 * 1024;

/// A longer message is left out of the row of its job, in bytes.
const LARGE_MESSAGE: u64 = 64 * 1024;

/// The cards that a client has, by their digests. `None`: the client wants the card with every row of an agent.
#[derive(Debug)]
pub(super) struct SentCards(Option<BTreeMap<AgentKey, u64>>);

impl SentCards {
    /// For a client that has no card yet; `keeps_cards`: it keeps a card until it is sent another one.
    pub fn new(keeps_cards: bool) -> Self {
        Self(keeps_cards.then(BTreeMap::new))
    }

    /// The row of an agent. A large card of an agent that changes all the time is sent once.
    fn row(&mut self, key: AgentKey, agent: Option<&Agent>) -> Option<String> {
        let card = agent.and_then(|agent| agent.card.as_ref());
        let is_sent = match (&mut self.0, card) {
            (None, _) => false,
            (Some(sent), Some(card)) => sent.insert(key, card.digest) == Some(card.digest),
            (Some(sent), None) => {
                sent.remove(&key);
                false
            }
        };
        let agent = agent?;
        Some(if is_sent {
            with(Agent { card: None, ..agent.clone() }.put(), "same_card", "true")
        } else {
            agent.put()
        })
    }
}

/// Sends every row of these tasks and of everything else, then what changes, until the client or the engine is gone.
pub(super) async fn watch(handle: Handle, outbox: Outbox, which: Tasks, mut cards: SentCards) {
    let mut snapshots = handle.watch();
    let mut known: Option<u64> = None;
    let mut deltas = Deltas::new(which);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let changed = deltas.next(&snapshot, known.and_then(|rev| snapshot.changes_since(rev)));
        let mut rest = changed.as_slice();
        while !rest.is_empty() {
            let (rows, count) = rows_of(&snapshot, rest, &mut cards);
            rest = &rest[count..];
            if outbox.send(Writer::new().raw("rows", &rows).end()).await.is_err() {
                return;
            }
        }
        // A client that joins a calm fleet learns what time it is, not when something was last published.
        let at = if known.is_none() { handle.now() } else { snapshot.at };
        let published = published(&snapshot, at);
        if outbox.send(Writer::new().raw("published", &published).end()).await.is_err() {
            return;
        }
        known = Some(snapshot.rev);
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// What a client is told of a publication, beside its rows.
fn published(snapshot: &Snapshot, at: At) -> String {
    Writer::new()
        .raw("rev", &snapshot.rev.put())
        .raw("at", &at.put())
        .raw("watching_since", &snapshot.watching_since.put())
        .raw("watch_seq", &snapshot.fleet_seq.put())
        .flag("unsaved", snapshot.unsaved)
        .raw("events_per_second", &snapshot.events_per_second.put())
        .end()
}

/// The first of these rows as one object, and how many of them are in it.
fn rows_of(snapshot: &Snapshot, changed: &[Changed], cards: &mut SentCards) -> (String, usize) {
    let (mut agents, mut jobs, mut attempts, mut problems) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut sources = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for changed in changed {
        if count == ROWS || bytes >= ROW_BYTES {
            break;
        }
        let (rows, row) = match *changed {
            Changed::Agent(key) => (&mut agents, keyed(key, agent_row(snapshot, key, cards))),
            Changed::Job(key) | Changed::Timeline(key) => {
                (&mut jobs, keyed(key, snapshot.jobs.get(key).map(job_row)))
            }
            Changed::Attempt(key) => (&mut attempts, keyed(key, attempt_row(snapshot, key))),
            Changed::Problem(key) => (&mut problems, keyed(key, snapshot.problems.get(key).map(problem_row))),
            Changed::Source(key) => {
                (&mut sources, keyed(key, snapshot.sources.get(key).map(|source| source.put())))
            }
        };
        count += 1;
        bytes += row.len();
        rows.push(row);
    }
    let rows = Writer::new()
        .raw("agents", &array(agents))
        .raw("jobs", &array(jobs))
        .raw("attempts", &array(attempts))
        .raw("problems", &array(problems))
        .raw("sources", &array(sources))
        .end();
    (rows, count)
}

/// A client is sent the row of a job with each of its facts, and its facts have the message anyway.
fn job_row(job: &Job) -> String {
    let is_large = job.message.as_ref().is_some_and(|message| message.size() > LARGE_MESSAGE);
    let row = if is_large { Job { message: None, ..job.clone() }.put() } else { job.put() };
    let keys = array(job.attempts.iter().map(|key| key.0.to_string()));
    with(row, "attempts", &keys)
}

fn agent_row(snapshot: &Snapshot, key: AgentKey, cards: &mut SentCards) -> Option<String> {
    let agent = snapshot.agents.get(key);
    let row = cards.row(key, agent)?;
    let counts = agent?.counts;
    let counts = Writer::new()
        .raw("live", &counts.live.put())
        .raw("need_you", &counts.need_you.put())
        .raw("completed", &counts.completed.put())
        .raw("failed", &counts.failed.put())
        .raw("stopped", &counts.stopped.put())
        .raw("doubtful", &counts.doubtful.put())
        .end();
    Some(with(row, "counts", &counts))
}

fn attempt_row(snapshot: &Snapshot, key: AttemptKey) -> Option<String> {
    let attempt = snapshot.attempts.get(key)?;
    let job = snapshot.job_of(attempt)?;
    let agent = snapshot.agents.get(attempt.agent)?.id;
    let keys = format!("[{},{}]", attempt.job.0, attempt.agent.0);
    // Only the engine needs to know what it has taken in, and for many outputs that is long.
    let attempt = Attempt { progress: None, ..attempt.clone() };
    let row = AttemptRow { attempt, job: job.id, job_seq: job.seq, agent }.put();
    Some(with(row, "keys", &keys))
}

fn problem_row(problem: &Problem) -> String {
    let mut row =
        ProblemRow { source: problem.objective.clone(), problem: problem.clone(), agent: None }.put();
    if let Some(agent) = problem.subject.agent() {
        row = with(row, "agent_key", &agent.0.to_string());
    }
    if let Subject::Source(source) = problem.subject {
        row = with(row, "source_key", &source.0.to_string());
    }
    row
}

fn keyed<K: Key>(key: K, row: Option<String>) -> String {
    format!("[{},{}]", key.index(), row.as_deref().unwrap_or("null"))
}

/// Adds a member to a JSON object in text form.
fn with(mut object: String, key: &str, value: &str) -> String {
    object.pop();
    let comma = if object.ends_with('{') { "" } else { "," };
    format!("{object}{comma}\"{key}\":{value}}}")
}
