//! The rows of the fleet as JSON lines, first all of them, then what changes.

use super::client::Outbox;
use super::deltas::Deltas;
use crate::domain::problem::Subject;
use crate::domain::state::Changed;
use crate::domain::state::slab::Key;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::Handle;
use crate::engine::handle::wire::Tasks;
use crate::protocol::json::{Writer, array};
use crate::store::record::{AttemptRow, ProblemRow, Record};

/// Rows in one line.
pub(super) const ROWS: usize = 200;

/// Sends every row of these tasks and of everything else, then what changes, until the client or the engine is gone.
pub(super) async fn watch(handle: Handle, outbox: Outbox, which: Tasks) {
    let mut snapshots = handle.watch();
    let mut known: Option<u64> = None;
    let mut deltas = Deltas::new(which);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let changed = deltas.next(&snapshot, known.and_then(|rev| snapshot.changes_since(rev)));
        for rows in changed.chunks(ROWS) {
            let line = Writer::new().raw("rows", &rows_of(&snapshot, rows)).end();
            if outbox.send(line).await.is_err() {
                return;
            }
        }
        let published = Writer::new()
            .raw("rev", &snapshot.rev.put())
            .raw("at", &snapshot.at.put())
            .raw("watching_since", &snapshot.watching_since.put())
            .raw("watch_seq", &snapshot.fleet_seq.put())
            .flag("unsaved", snapshot.unsaved)
            .raw("events_per_second", &snapshot.events_per_second.put())
            .end();
        if outbox.send(Writer::new().raw("published", &published).end()).await.is_err() {
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
            Changed::Job(key) | Changed::Timeline(key) => jobs.push(keyed(
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
