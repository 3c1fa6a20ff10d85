//! A handle to an engine behind a socket, with a mirror of the engine's rows.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::wire::{Hello, Tasks, VERSION};
use super::{Answer, Follow, Handle, QueryError, Request};
use crate::domain::fact::JournalEntry;
use crate::domain::fleet::source::SourceRow;
use crate::domain::id::{AgentKey, AttemptKey, JobKey, ProblemKey, SourceKey};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::{Attempt, Job};
use crate::domain::problem::Subject;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::engine::{FOLLOW, REQUESTS};
use crate::protocol::json::{Object, Writer, elements};
use crate::store::record::{AttemptRow, ProblemRow, Record, member, put_member};
use crate::telemetry::query::TelemetryAnswer;

/// The time within which the engine must answer the hello.
const HELLO: Duration = Duration::from_secs(5);

/// Why an engine could not be joined.
#[derive(Debug)]
pub enum JoinError {
    /// Nothing listens there.
    Absent,
    /// It speaks another version of the protocol.
    Version(u32),
    /// A process of another user listens there.
    OtherUser(PathBuf),
    /// It refuses this client, with a reason.
    Refused(Untrusted),
    /// Something else answered, or nothing.
    Strange(String),
}

impl std::fmt::Display for JoinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("no engine listens there"),
            Self::Version(version) => {
                write!(
                    f,
                    "the running engine is of another version ({version}, not {VERSION}); stop it first"
                )
            }
            Self::OtherUser(socket) => write!(
                f,
                "the socket {} belongs to a process of another user, and nothing was sent to it; remove it, or use \
                 another --data-dir",
                socket.display()
            ),
            Self::Refused(why) => write!(f, "the running engine refuses this client: {why}"),
            Self::Strange(why) => write!(f, "the running engine cannot be joined: {why}"),
        }
    }
}

/// Joins the engine that listens on a socket. The handle is gone when the connection is.
///
/// # Errors
/// Nobody listens, or the answer cannot be understood.
pub async fn join(socket: &Path, tasks: Tasks) -> Result<(Handle, Hello), JoinError> {
    let stream = connect(socket).await?;
    let strange = |why: &str| JoinError::Strange(why.to_owned());
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let greeting = Writer::new().raw("hello", &Hello { version: VERSION, ..Hello::default() }.put()).end();
    let watch = Writer::new().flag("watch", true).raw("tasks", &tasks.put()).flag("keeps_cards", true).end();
    let greeting = format!("{greeting}\n{watch}\n");
    // An engine that refuses this client may have closed the connection already; the reason is in what it sent.
    let _may_be_closed = write.write_all(greeting.as_bytes()).await;
    let line = tokio::time::timeout(HELLO, lines.next_line())
        .await
        .map_err(|_| strange("it says nothing"))?
        .map_err(|error| strange(&error.to_string()))?
        .ok_or(JoinError::Absent)?;
    let object = Object::parse(&line).ok();
    if let Some(why) = object.as_ref().and_then(|object| object.text("refused")) {
        return Err(JoinError::Refused(Untrusted::from(&*why)));
    }
    let hello = object.and_then(|object| member::<Hello>(&object, "hello"));
    let hello = hello.ok_or_else(|| strange("it is not a quarterdeck"))?;
    if hello.version != VERSION {
        return Err(JoinError::Version(hello.version));
    }
    let (requests, to_send) = mpsc::channel(REQUESTS);
    let (publish, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let looked = Arc::new(AtomicU64::new(0));
    let mirror = Mirror {
        snapshot: Snapshot::default(),
        changed: Vec::new(),
        publish,
        receipts: HashMap::new(),
        results: Vec::new(),
        server_rev: 0,
        seen: looked.clone(),
        ended: VecDeque::new(),
        answers: HashMap::new(),
        telemetry: HashMap::new(),
        follows: HashMap::new(),
        next: 0,
    };
    let mut first = snapshots.clone();
    tokio::spawn(mirror.run(lines, write, to_send));
    // The caller may read a snapshot at once, so the first one must have arrived.
    let seen = tokio::time::timeout(HELLO * 6, first.wait_for(|snapshot| snapshot.rev > 0)).await;
    if !matches!(seen, Ok(Ok(_))) {
        return Err(strange("it sends no rows"));
    }
    Ok((Handle::new(requests, snapshots).of_mirror(looked), hello))
}

/// Connects to a socket if the listening process belongs to the same user: no other process may read the requests.
async fn connect(socket: &Path) -> Result<UnixStream, JoinError> {
    let stream = UnixStream::connect(socket).await.map_err(|_| JoinError::Absent)?;
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => Ok(stream),
        _ => Err(JoinError::OtherUser(socket.to_owned())),
    }
}

/// Asks a temporary engine to end, so that a permanent one can take over. True if it will.
pub async fn ask_to_hand_over(socket: &Path) -> bool {
    let asked = async {
        let stream = connect(socket).await.ok()?;
        let (read, mut write) = stream.into_split();
        let greeting =
            Writer::new().raw("hello", &Hello { version: VERSION, ..Hello::default() }.put()).end();
        write.write_all(format!("{greeting}\n{{\"hand_over\":true}}\n").as_bytes()).await.ok()?;
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let object = Object::parse(&line).ok()?;
            if object.has("handed_over") {
                return Some(object.flag("handed_over"));
            }
        }
        None
    };
    tokio::time::timeout(HELLO, asked).await.ok().flatten().unwrap_or(false)
}

type Lines = tokio::io::Lines<BufReader<tokio::net::unix::OwnedReadHalf>>;
type Receipts = HashMap<u64, oneshot::Sender<Result<Receipt, Refusal>>>;
type Update = (u64, oneshot::Sender<Result<Receipt, Refusal>>, Result<Receipt, Refusal>);
type Answers<A> = HashMap<u64, oneshot::Sender<Result<A, QueryError>>>;

struct Following {
    begun: Option<oneshot::Sender<Result<Follow, QueryError>>>,
    facts: Vec<Arc<JournalEntry>>,
    more: mpsc::Sender<Arc<JournalEntry>>,
    receiver: Option<mpsc::Receiver<Arc<JournalEntry>>>,
}

struct Mirror {
    snapshot: Snapshot,
    changed: Vec<Changed>,
    publish: watch::Sender<Arc<Snapshot>>,
    receipts: Receipts,
    /// Receipts that wait for the rows that they refer to.
    results: Vec<Update>,
    /// The server's revision.
    server_rev: u64,
    /// How far the surface has looked, if it says so: what had ended then is dropped.
    seen: Arc<AtomicU64>,
    /// Jobs that ended, oldest first, each with the revision that shows it.
    ended: VecDeque<(u64, JobKey)>,
    answers: Answers<Answer>,
    telemetry: Answers<TelemetryAnswer>,
    follows: HashMap<u64, Following>,
    next: u64,
}

impl Mirror {
    async fn run(
        mut self,
        mut lines: Lines,
        mut write: tokio::net::unix::OwnedWriteHalf,
        mut requests: mpsc::Receiver<Request>,
    ) {
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => {
                        if self.take(&line).is_none() {
                            tracing::warn!("the engine said something that cannot be read");
                        }
                    }
                    Ok(None) | Err(_) => return,
                },
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let line = self.ask(request);
                    if write.write_all(line.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn ask(&mut self, request: Request) -> String {
        self.next += 1;
        let id = self.next;
        let writer = Writer::new().raw("id", &id.put());
        let line = match request {
            Request::Submit { intent, by, reply } => {
                self.receipts.insert(id, reply);
                let writer = put_member(writer, "by", &by.name).raw("surface", &by.surface.put());
                let writer = if by.bulk > 1 { writer.raw("bulk", &by.bulk.put()) } else { writer };
                writer.raw("submit", &intent.put())
            }
            Request::Query { query, reply } => {
                self.answers.insert(id, reply);
                writer.raw("query", &query.put())
            }
            Request::Telemetry { query, reply } => {
                self.telemetry.insert(id, reply);
                writer.raw("telemetry", &query.put())
            }
            Request::Follow { job, reply } => {
                let (more, receiver) = mpsc::channel(FOLLOW);
                let following =
                    Following { begun: Some(reply), facts: Vec::new(), more, receiver: Some(receiver) };
                self.follows.insert(id, following);
                writer.raw("follow", &job.put())
            }
        };
        line.end() + "\n"
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let object = Object::parse(line).ok()?;
        if let Some(rows) = object.object("rows") {
            return self.rows(&rows);
        }
        if let Some(published) = object.object("published") {
            return self.published(&published);
        }
        let id = u64::get(object.raw("id")?)?;
        if let Some(answer) = self.telemetry.remove(&id) {
            // An engine of an earlier version refuses what it does not understand.
            let answered = match object.raw("telemetry") {
                Some(raw) => Ok(TelemetryAnswer::get(raw)?),
                None => Err(object.raw("error").and_then(QueryError::get).unwrap_or(QueryError::Unknown)),
            };
            let _the_surface_has_gone = answer.send(answered);
        } else if object.has("receipt") || object.has("refusal") {
            let result = match object.raw("receipt") {
                Some(raw) => Ok(Receipt::get(raw)?),
                None => Err(Refusal::get(object.raw("refusal")?)?),
            };
            let rev = object.raw("rev").and_then(u64::get).unwrap_or(0);
            self.results.push((rev, self.receipts.remove(&id)?, result));
            self.deliver_results();
        } else if let Some(raw) = object.raw("answer") {
            let _the_surface_has_gone = self.answers.remove(&id)?.send(Ok(Answer::get(raw)?));
        } else if let Some(raw) = object.raw("error") {
            let error = QueryError::get(raw)?;
            if let Some(answer) = self.answers.remove(&id) {
                let _the_surface_has_gone = answer.send(Err(error));
            } else if let Some(begun) = self.follows.remove(&id).and_then(|following| following.begun) {
                let _the_surface_has_gone = begun.send(Err(error));
            }
        } else {
            self.follow(id, &object)?;
        }
        Some(())
    }

    /// Receipts are delivered once the rows they refer to have arrived.
    fn deliver_results(&mut self) {
        let rev = self.server_rev;
        let (now, later): (Vec<Update>, Vec<Update>) =
            std::mem::take(&mut self.results).into_iter().partition(|(needs, ..)| *needs <= rev);
        self.results = later;
        for (_, reply, result) in now {
            let _the_surface_has_gone = reply.send(result);
        }
    }

    fn follow(&mut self, id: u64, object: &Object<'_>) -> Option<()> {
        let following = self.follows.get_mut(&id)?;
        if let Some(raw) = object.raw("story") {
            for fact in elements(raw)? {
                following.facts.extend(JournalEntry::get(fact).map(Arc::new));
            }
        } else if object.has("began") {
            let facts = std::mem::take(&mut following.facts);
            let until = member(object, "until")?;
            let follow = Follow { facts, until, more: following.receiver.take()? };
            let _the_surface_has_gone = following.begun.take()?.send(Ok(follow));
        } else if let Some(raw) = object.raw("fact") {
            let fact = Arc::new(JournalEntry::get(raw)?);
            if following.more.try_send(fact).is_err() {
                self.follows.remove(&id);
            }
        } else if object.has("end") {
            self.follows.remove(&id);
        }
        Some(())
    }

    /// Applies changed rows, where `null` stands for a removed one. They become visible when they are published.
    fn rows(&mut self, rows: &Object<'_>) -> Option<()> {
        let snapshot = &mut self.snapshot;
        for raw in rows.list("agents") {
            let (key, row) = keyed(raw)?;
            self.changed.push(Changed::Agent(AgentKey(key)));
            // Counts are sent in addition to the row because they are not durable state.
            let object = Object::parse(row).ok();
            let counts = object.as_ref().and_then(|object| object.object("counts"));
            let same_card = object.as_ref().is_some_and(|object| object.flag("same_card"));
            let before = snapshot.agents.get(AgentKey(key)).filter(|_| same_card);
            let agent = crate::domain::agent::Agent::get(row).map(|mut agent| {
                if let Some(counts) = &counts {
                    let count =
                        |key: &str| counts.number(key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
                    agent.counts = crate::domain::agent::Counts {
                        live: count("live"),
                        need_you: count("need_you"),
                        completed: count("completed"),
                        failed: count("failed"),
                        stopped: count("stopped"),
                        doubtful: count("doubtful"),
                    };
                }
                if let Some(before) = before {
                    agent.card.clone_from(&before.card);
                    agent.replica_key.clone_from(&before.replica_key);
                }
                agent
            });
            snapshot.agents.set(AgentKey(key), agent);
        }
        for raw in rows.list("jobs") {
            let (key, row) = keyed(raw)?;
            self.changed.push(Changed::Job(JobKey(key)));
            let attempts: Option<Vec<u32>> =
                Object::parse(row).ok().and_then(|object| member(&object, "attempts"));
            let job = crate::domain::job::Job::get(row).map(|mut job| {
                job.attempts = attempts.unwrap_or_default().into_iter().map(AttemptKey).collect();
                job
            });
            snapshot.jobs.set(JobKey(key), job);
        }
        for raw in rows.list("attempts") {
            let (key, row) = keyed(raw)?;
            self.changed.push(Changed::Attempt(AttemptKey(key)));
            let keys = Object::parse(row).ok().and_then(|object| member::<(u32, u32)>(&object, "keys"));
            let attempt = AttemptRow::get(row).zip(keys).map(|(row, (job, agent))| {
                crate::domain::job::Attempt { job: JobKey(job), agent: AgentKey(agent), ..row.attempt }
            });
            let key = AttemptKey(key);
            if let Some(before) = snapshot.attempts.get(key) {
                snapshot.attention.put(before.agent, key, false);
            }
            if let Some(attempt) = &attempt {
                snapshot.attention.put(attempt.agent, key, attempt.wants_attention());
            }
            snapshot.attempts.set(key, attempt);
        }
        for raw in rows.list("problems") {
            let (key, row) = keyed(raw)?;
            self.changed.push(Changed::Problem(ProblemKey(key)));
            let object = Object::parse(row).ok();
            let agent =
                object.as_ref().and_then(|object| member::<Option<u32>>(object, "agent_key")).flatten();
            let key_of =
                |word: &str| object.as_ref().and_then(|object| member::<Option<u32>>(object, word)).flatten();
            let source = key_of("source_key");
            let problem = ProblemRow::get(row).map(|row| {
                let mut problem = row.problem;
                problem.subject = match &problem.objective {
                    Some(name) => Subject::objective(name),
                    None => Subject::of(problem.kind, agent.map(AgentKey), source.map(SourceKey)),
                };
                problem.agent = problem.subject.one();
                problem
            });
            snapshot.problems.set(ProblemKey(key), problem);
        }
        for raw in rows.list("sources") {
            let (key, row) = keyed(raw)?;
            self.changed.push(Changed::Source(SourceKey(key)));
            snapshot.sources.set(SourceKey(key), SourceRow::get(row));
        }
        Some(())
    }

    fn published(&mut self, published: &Object<'_>) -> Option<()> {
        let snapshot = &mut self.snapshot;
        snapshot.rev += 1;
        snapshot.at = member(published, "at")?;
        snapshot.watching_since = member(published, "watching_since")?;
        snapshot.fleet_seq = member(published, "watch_seq")?;
        snapshot.unsaved = published.flag("unsaved");
        snapshot.fleet_seq = member(published, "watch_seq")?;
        snapshot.events_per_second = member(published, "events_per_second")?;
        let mut changed = std::mem::take(&mut self.changed);
        let seen = self.seen.load(Ordering::Relaxed);
        if seen > 0 {
            drop_ended(snapshot, &mut changed, &mut self.ended, seen);
        }
        changed.sort_unstable();
        changed.dedup();
        snapshot.push_batch(changed);
        self.publish.send_replace(Arc::new(snapshot.clone()));
        self.server_rev = member(published, "rev")?;
        self.deliver_results();
        Some(())
    }
}

/// Drops the jobs that had ended when the surface last looked, and notes those that have ended since: a batch of a million
/// messages needs none of them again.
fn drop_ended(
    snapshot: &mut Snapshot,
    changed: &mut Vec<Changed>,
    ended: &mut VecDeque<(u64, JobKey)>,
    seen: u64,
) {
    let has_ended = |snapshot: &Snapshot, job: &Job| {
        let goes_on = |key: &AttemptKey| snapshot.attempts.get(*key).is_some_and(Attempt::goes_on);
        job.phase == JobPhase::Over && !job.attempts.iter().any(goes_on)
    };
    let rev = snapshot.rev;
    let mut jobs = Vec::new();
    for change in changed.iter() {
        match *change {
            Changed::Job(key) | Changed::Timeline(key) => jobs.push(key),
            Changed::Attempt(key) => match snapshot.attempts.get(key).map(|attempt| attempt.job) {
                Some(job) if snapshot.jobs.get(job).is_some() => jobs.push(job),
                // More about a job that was dropped.
                Some(_) => snapshot.attempts.set(key, None),
                None => {}
            },
            Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) => {}
        }
    }
    jobs.sort_unstable();
    jobs.dedup();
    jobs.retain(|key| snapshot.jobs.get(*key).is_some_and(|job| has_ended(snapshot, job)));
    ended.extend(jobs.into_iter().map(|key| (rev, key)));
    while let Some((_, key)) = ended.front().copied().filter(|(rev, _)| *rev <= seen) {
        ended.pop_front();
        let job = snapshot.jobs.get(key).filter(|job| has_ended(snapshot, job));
        let Some(attempts) = job.map(|job| job.attempts.clone()) else { continue };
        for attempt in attempts {
            if let Some(row) = snapshot.attempts.get(attempt) {
                snapshot.attention.put(row.agent, attempt, false);
            }
            snapshot.attempts.set(attempt, None);
            changed.push(Changed::Attempt(attempt));
        }
        snapshot.jobs.set(key, None);
        changed.push(Changed::Job(key));
    }
}

/// `[key, row]`
fn keyed(raw: &str) -> Option<(u32, &str)> {
    match elements(raw)?.as_slice() {
        [key, row] => Some((key.parse().ok()?, row)),
        _ => None,
    }
}
