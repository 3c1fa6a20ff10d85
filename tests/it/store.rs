//! The journal: what is written can be read back, large outputs are files, faults are reported and survived.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use quarterdeck::domain::agent::breaker::BreakerState;
use quarterdeck::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry, Owner};
use quarterdeck::domain::id::{AgentId, AttemptId, JobId, Rng};
use quarterdeck::domain::job::message::{Content, Part};
use quarterdeck::domain::limits;
use quarterdeck::domain::state::State;
use quarterdeck::domain::time::At;
use quarterdeck::store::record::audit::AuditBody;
use quarterdeck::store::record::{AttemptRow, BodyKind, ProblemRow, Record, upcast};
use quarterdeck::store::{Batch, Done, Reader, StoreError, Writer, journal_path};

use crate::simulator::World;

/// All rows of a state in one batch.
pub(crate) fn rows_of(state: &State) -> Batch {
    let agent_id = |key| state.agent(key).map(|agent| agent.id);
    Batch {
        agents: state.agents().iter().map(|(_, agent)| agent.clone()).collect(),
        jobs: state.jobs().iter().map(|(_, job)| job.clone()).collect(),
        attempts: state
            .attempts()
            .iter()
            .map(|(_, attempt)| AttemptRow {
                attempt: attempt.clone(),
                job: state.job_of(attempt).unwrap().id,
                job_seq: state.job_of(attempt).unwrap().seq,
                agent: agent_id(attempt.agent).unwrap(),
            })
            .collect(),
        problems: state
            .problems()
            .iter()
            .map(|(_, problem)| ProblemRow {
                problem: problem.clone(),
                agent: problem.subject.agent().and_then(agent_id),
                source: match problem.subject {
                    quarterdeck::domain::problem::Subject::Source(key) => {
                        state.sources().get(key).map(|source| source.spec.name.clone())
                    }
                    _ => None,
                },
            })
            .collect(),
        sources: state.sources().iter().map(|(key, source)| (key.0, source.clone())).collect(),
        ..Batch::default()
    }
}

/// Rows without the keys of the process, in a fixed order.
fn stored(state: &State) -> Vec<String> {
    let rows = rows_of(state);
    let mut stored: Vec<String> = rows.agents.iter().map(Record::put).collect();
    stored.extend(rows.jobs.iter().map(Record::put));
    stored.extend(rows.attempts.iter().map(Record::put));
    stored.extend(rows.problems.iter().map(Record::put));
    stored.extend(rows.sources.iter().map(|(_, source)| source.put()));
    stored.sort();
    stored
}

fn open(dir: &Path) -> (Writer, Receiver<Done>) {
    let (sender, receiver) = channel();
    let writer = Writer::open(dir, false, move |done| sender.send(done).unwrap()).unwrap();
    (writer, receiver)
}

fn commit(writer: &Writer, done: &Receiver<Done>, batch: Batch) {
    writer.hand_over(batch).unwrap();
    assert!(matches!(done.recv_timeout(Duration::from_secs(20)), Ok(Done::Committed { .. })));
}

#[test]
fn states_after_storms_are_written_and_read_back() {
    for seed in [1, 7, 23] {
        let mut world = World::new(seed);
        world.run();
        let (facts, state) = world.outcome();
        for fact in facts {
            let again = JournalEntry::from_body(fact.owner(), fact.at, fact.seq, &fact.body());
            assert_eq!(again.as_ref(), Some(fact), "{}", fact.body());
        }
        let dir = tempfile::tempdir().unwrap();
        let (writer, done) = open(dir.path());
        commit(
            &writer,
            &done,
            Batch { facts: facts.to_vec().into(), alive: At::from_micros(77), ..rows_of(state) },
        );
        let reader = Reader::open(dir.path()).unwrap().unwrap();
        let loaded = reader.load().unwrap();
        assert_eq!(loaded.alive, Some(At::from_micros(77)));
        let restored = State::restore(loaded.rows, 7);
        assert_eq!(stored(&restored), stored(state), "seed {seed}");
        assert_eq!(restored.next_problem(), state.next_problem());
        for owner in reader.owners().unwrap() {
            let of_owner: Vec<_> = facts.iter().filter(|fact| fact.owner() == owner).cloned().collect();
            assert_eq!(reader.facts(owner, usize::MAX).unwrap(), of_owner);
        }
    }
}

/// An agent changes its card with each probe for a day, while operators act and another one's job goes on.
#[test]
fn the_history_of_an_agent_is_bounded_and_keeps_the_acts_of_operators() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, done) = open(dir.path());
    let mut story = Story::new(1);
    let agent = AgentId(Rng::new(2).uuid(At::ZERO));
    let words = "x".repeat(64 * 1024);
    let (all, every) = (400, 100);
    for seq in 1..=all {
        let changed = |actor, fact| JournalEntry { at: At::from_micros(1), seq, actor, fact };
        let actor = (seq % every == 1).then(|| "sam".into());
        let card =
            changed(actor, Fact::Agent(agent, AgentFact::CardChanged { words: words.as_str().into() }));
        let facts = vec![card, story.chunk(true, vec![Part::text("piece")])];
        commit(&writer, &done, Batch { facts: facts.into(), ..Batch::default() });
    }
    let reader = Reader::open(dir.path()).unwrap().unwrap();
    let kept = reader.facts(Owner::Agent(agent), usize::MAX).unwrap();
    let bytes: u64 = kept.iter().map(|fact| fact.body().len() as u64).sum();
    assert!(bytes < limits::HISTORY + limits::HISTORY / 4 + 4 * 64 * 1024 + 1024, "{bytes}");
    assert_eq!(kept.last().map(|fact| fact.seq), Some(all));
    let acts: Vec<_> = kept.iter().filter(|fact| fact.actor.is_some()).map(|fact| fact.seq).collect();
    assert_eq!(acts, [1, 101, 201, 301]);
    assert_eq!(reader.facts(Owner::Job(story.job), usize::MAX).unwrap().len() as u64, all);
}

/// More jobs than a page, a part of them from before; of some, the decision was written later than the job.
#[test]
fn the_past_is_read_page_by_page() {
    use quarterdeck::domain::job::Origin;
    use quarterdeck::domain::job::message::{Message, Role};
    use quarterdeck::domain::job::plan::Plan;
    use quarterdeck::domain::route::Target;
    use quarterdeck::domain::route::decision::Decision;
    use quarterdeck::store::PastPage;

    let dir = tempfile::tempdir().unwrap();
    let (writer, done) = open(dir.path());
    let mut seed = Rng::new(3);
    let (all, old) = (2500u64, 300);
    let decision = |revision| {
        Arc::new(Decision {
            rule: Some("r".into()),
            route: Some("r".into()),
            revision,
            matched: Vec::new(),
            stage: 0,
            candidates: Vec::new(),
            shift: None,
        })
    };
    let mut late = Vec::new();
    for first in (0..all).step_by(50) {
        let mut facts = std::mem::take(&mut late);
        for n in first..first + 50 {
            let job = JobId(seed.uuid(At::ZERO));
            let at = At::from_micros(i64::try_from(n).unwrap() * 1_000_000);
            let fact = |seq, fact| JournalEntry { at, seq, actor: None, fact: Fact::Job(job, fact) };
            let message = Message::new("m", Role::User, vec![Part::text("work")]);
            let opened = JobFact::Opened {
                // Every tenth was found, and every tenth named its agent.
                origin: if n % 10 == 3 { Origin::Found } else { Origin::Sent },
                title: "work".into(),
                caller: None,
                skill: None,
                context: None,
                parent: None,
                message: Some(Arc::new(message)),
                plan: (n % 10 != 4).then(|| Arc::new(Plan::new(Target::Any))),
            };
            facts.push(fact(1, opened));
            let routed = JobFact::Routed { decision: decision(n), retry: false };
            // Some wait first.
            if n % 10 == 5 { late.push(fact(2, routed)) } else { facts.push(fact(2, routed)) }
        }
        commit(&writer, &done, Batch { facts: facts.into(), ..Batch::default() });
    }
    commit(&writer, &done, Batch { facts: late.into(), ..Batch::default() });
    let reader = Reader::open(dir.path()).unwrap().unwrap();
    let since = At::from_micros(i64::try_from(old).unwrap() * 1_000_000);
    let (mut jobs, mut pages, mut after, mut percent) = (Vec::new(), 0, None, 0);
    loop {
        let end = reader.past_jobs(PastPage { since, after }, |job| jobs.push(job)).unwrap();
        pages += 1;
        assert!(end.percent >= percent, "progress never goes back");
        percent = end.percent;
        after = end.next;
        if after.is_none() {
            break;
        }
    }
    assert!(pages > 2, "{pages}");
    assert_eq!(percent, 100);
    let sent = (old..all).filter(|n| n % 10 != 3).collect::<Vec<_>>();
    assert_eq!(jobs.len(), sent.len());
    // Within a commit, jobs are in no order.
    jobs.sort_by_key(|job| job.at);
    for (job, n) in jobs.iter().zip(sent) {
        assert_eq!(job.at, At::from_micros(i64::try_from(n).unwrap() * 1_000_000));
        assert_eq!(job.target.is_none(), n % 10 == 4);
        assert_eq!(job.decision.as_ref().map(|decision| decision.revision), Some(n));
    }
}

struct Story {
    job: JobId,
    attempt: AttemptId,
    seq: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut seed = Rng::new(seed);
        Self { job: JobId(seed.uuid(At::ZERO)), attempt: AttemptId(seed.uuid(At::ZERO)), seq: 0 }
    }

    fn fact(&mut self, fact: AttemptFact) -> JournalEntry {
        self.seq += 1;
        let fact = Fact::attempt(self.job, self.attempt, fact);
        JournalEntry { at: At::from_micros(1), seq: self.seq, actor: None, fact }
    }

    fn chunk(&mut self, append: bool, parts: Vec<Part>) -> JournalEntry {
        self.fact(AttemptFact::ArtifactSeen {
            artifact: "map/../of\u{1b}the station".into(),
            name: Some("map.txt".into()),
            append,
            parts: Arc::new(parts),
            last: false,
        })
    }
}

fn text_of(parts: &[Part]) -> String {
    parts.iter().filter_map(Part::as_text).map(|text| text.raw().to_owned()).collect()
}

#[test]
fn large_outputs_are_files_by_content() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new(1);
    let piece = |n: usize| Part::text(format!("{n:07} ").repeat(2500));
    let mut facts = vec![story.chunk(false, vec![piece(0)])];
    facts.extend((1..20).map(|n| story.chunk(true, vec![piece(n)])));
    let (writer, done) = open(dir.path());
    for half in facts.chunks(7) {
        commit(&writer, &done, Batch { facts: half.to_vec().into(), ..Batch::default() });
    }
    // Another process continues with it.
    drop((writer, done));
    let (writer, done) = open(dir.path());
    let more =
        story.chunk(true, vec![piece(20), Part { content: Content::Raw("AAAA".into()), ..Part::text("") }]);
    facts.push(more.clone());
    commit(&writer, &done, Batch { facts: vec![more].into(), ..Batch::default() });
    let reader = Reader::open(dir.path()).unwrap().unwrap();
    let (job, attempt) = (story.job, story.attempt);
    let read = |reader: &Reader| {
        quarterdeck::domain::job::detail::outputs_of(
            &reader.facts(Owner::Job(job), usize::MAX).unwrap(),
            attempt,
        )
    };
    let check = |outputs: Vec<(_, _, Vec<Part>)>| {
        assert_eq!(outputs.len(), 1);
        let parts = &outputs[0].2;
        assert_eq!(text_of(parts), (0..21).map(|n| format!("{n:07} ").repeat(2500)).collect::<String>());
        assert_eq!(parts.last().unwrap().content, Content::Raw("AAAA".into()));
    };
    check(read(&reader));
    assert_eq!(reader.facts(Owner::Job(story.job), usize::MAX).unwrap(), facts);
    let settled = story.fact(AttemptFact::Settled);
    commit(&writer, &done, Batch { facts: vec![settled].into(), ..Batch::default() });
    check(read(&reader));
    let named: Vec<_> = walk(&dir.path().join("blobs"));
    assert_eq!(named.len(), 1);
    assert_eq!(named[0].len(), 64, "named by its SHA-256: {named:?}");
    // Retention removes the file together with the job.
    commit(&writer, &done, Batch { gone_jobs: vec![job], ..Batch::default() });
    assert!(walk(&dir.path().join("blobs")).is_empty());
    assert!(reader.facts(Owner::Job(job), usize::MAX).unwrap().is_empty());
}

fn walk(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    files
}

#[test]
fn a_replaced_output_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new(2);
    let long = Part::text("x".repeat(100_000));
    let facts = vec![
        story.chunk(false, vec![long.clone()]),
        story.chunk(false, vec![Part::text("short")]),
        story.chunk(true, vec![long.clone()]),
    ];
    let (writer, done) = open(dir.path());
    commit(&writer, &done, Batch { facts: facts.clone().into(), ..Batch::default() });
    let reader = Reader::open(dir.path()).unwrap().unwrap();
    let outputs = quarterdeck::domain::job::detail::outputs_of(
        &reader.facts(Owner::Job(story.job), usize::MAX).unwrap(),
        story.attempt,
    );
    assert_eq!(text_of(&outputs[0].2), format!("short{}", "x".repeat(100_000)));
    assert_eq!(reader.facts(Owner::Job(story.job), usize::MAX).unwrap(), facts);
}

#[test]
fn a_locked_journal_is_reported_and_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new(3);
    let (writer, done) = open(dir.path());
    let other = rusqlite::Connection::open(journal_path(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let lost = story.fact(AttemptFact::Settled);
    let agent = quarterdeck::domain::agent::Agent { ..agent(9) };
    writer
        .hand_over(Batch { number: 5, facts: vec![lost].into(), agents: vec![agent], ..Batch::default() })
        .unwrap();
    let wait = Duration::from_secs(20);
    let Ok(Done::Failed { number: 5, why }) = done.recv_timeout(wait) else {
        panic!("no failure is reported")
    };
    assert!(why.to_string().contains("locked"), "{why}");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(done.recv_timeout(wait), Ok(Done::Recovered { facts: 1 })));
    let loaded = Reader::open(dir.path()).unwrap().unwrap().load().unwrap();
    assert_eq!(loaded.rows.agents.len(), 1, "what changed meanwhile is kept");
}

#[test]
fn a_full_disk_is_reported_and_no_batch_is_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new(4);
    // For SQLite this is the same as a full disk: no more pages can be added.
    drop(open(dir.path()));
    let journal = rusqlite::Connection::open(journal_path(dir.path())).unwrap();
    journal.execute_batch("CREATE TRIGGER full BEFORE INSERT ON fact BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END").unwrap();
    let (writer, done) = open(dir.path());
    let fact = story.fact(AttemptFact::Settled);
    writer
        .hand_over(Batch { number: 1, facts: vec![fact].into(), agents: vec![agent(1)], ..Batch::default() })
        .unwrap();
    let Ok(Done::Failed { why, .. }) = done.recv_timeout(Duration::from_secs(20)) else {
        panic!("no failure is reported")
    };
    assert!(why.to_string().contains("full"), "{why}");
    journal.execute_batch("DROP TRIGGER full").unwrap();
    assert!(matches!(done.recv_timeout(Duration::from_secs(20)), Ok(Done::Recovered { .. })));
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    rusqlite::Connection::open(journal_path(dir.path()))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let refused = Writer::open(dir.path(), false, |_| {}).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }));
    assert!(refused.to_string().contains("written by a newer quarterdeck"), "{refused}");
    assert!(matches!(Reader::open(dir.path()), Err(StoreError::Newer { .. })));
}

#[test]
fn stored_files_are_readable_only_by_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    quarterdeck::store::make_dir(&data).unwrap();
    drop(open(&data));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&journal_path(&data))), (0o700, 0o600));
}

fn agent(seed: u64) -> quarterdeck::domain::agent::Agent {
    use quarterdeck::domain::agent::service::{Drain, OutOfService};
    use quarterdeck::domain::agent::{Agent, AgentSpec, Counts, Health, Source};
    Agent {
        id: AgentId(Rng::new(seed).uuid(At::ZERO)),
        seq: 1,
        order: 0,
        spec: Arc::new(AgentSpec {
            labels: vec![("region".into(), "eu".into())],
            ..AgentSpec::at("http://h", Source::Config)
        }),
        name: "h".into(),
        listed: true,
        sources: std::sync::Arc::from([
            std::sync::Arc::from("configuration"),
            std::sync::Arc::from("cluster"),
        ]),
        card: None,
        own_card: false,
        replica_key: None,
        server: Some("uvicorn".into()),
        card_since: At::ZERO,
        breaker: quarterdeck::domain::agent::breaker::Breaker::default(),
        certificate_until: Some(At::from_micros(77)),
        card_change: Some((At::from_micros(6), "version 1 → 2".into())),
        interface: None,
        confirmed_dialect: None,
        stream_refused: None,
        service: Some(Arc::new(OutOfService {
            by: "sam".into(),
            since: At::from_micros(5),
            why: Some("disk swap".into()),
            until: Some(At::from_micros(9)),
            drain: Some(Drain { move_at: Some(At::from_micros(8)), empty_since: None }),
        })),
        shift: Some(Arc::new(shift())),
        health: Health::Unknown,
        since: At::ZERO,
        before_stale: Some((Health::Up, At::from_micros(3))),
        cause: None,
        last_seen: At::ZERO,
        outages: Arc::default(),
        left: None,
        operator_at: None,
        violations: 0,
        deviations: Arc::default(),
        sanitised: 0,
        counts: Counts::default(),
    }
}

fn shift() -> quarterdeck::domain::agent::shift::Shift {
    use quarterdeck::domain::agent::shift::{Results, Shift, ShiftCounts, ShiftStage, ShiftTerms};
    let terms =
        ShiftTerms { skill: Some("work".into()), ..ShiftTerms::to(AgentId(Rng::new(9).uuid(At::ZERO))) };
    let results = Results { ok: 5, failed: 1, refused: 2, lost: 3 };
    let counts = ShiftCounts { decided: 40, given: 10, legacy: results, successor: results };
    let shift = Shift::new(terms, At::from_micros(5), "sam".into());
    let back = shift.at(ShiftStage::Back, 2, At::from_micros(8), Some("94.0 % ok of 50".into()));
    Shift { counts, ..back }
}

/// A stored body, read as a fact of the only owner that it can belong to.
fn entry_of(body: &str) -> Option<JournalEntry> {
    let id = Rng::new(8).uuid(At::ZERO);
    let owners = [Owner::Fleet, Owner::Agent(AgentId(id)), Owner::Job(JobId(id))];
    let read = |owner| JournalEntry::from_body(owner, At::ZERO, 1, body);
    let mut entries: Vec<JournalEntry> = owners.into_iter().filter_map(read).collect();
    assert!(entries.len() < 2, "a fact of two kinds of owner: {body}");
    entries.pop()
}

/// Bodies of released versions that are written differently today: the kind, the stored body, and the body as it is
/// written now. All others must be written back unchanged.
const REWRITTEN: &[(BodyKind, &str, &str)] = &[];

/// Members of released versions that are dropped on purpose.
const DROPPED: &[(BodyKind, &str)] = &[
    // A problem of tasks concerns all tasks of its agent that have it; they are found by their rows.
    (BodyKind::Problem, "attempt"),
];

/// The kinds of bodies in a journal.
const KINDS: [BodyKind; 7] = [
    BodyKind::Fact,
    BodyKind::Agent,
    BodyKind::Job,
    BodyKind::Attempt,
    BodyKind::Problem,
    BodyKind::Source,
    BodyKind::Audit,
];

/// A stored body as this version writes it after reading it; `None` if it cannot be read.
fn rewritten(kind: BodyKind, version: i64, body: &str) -> Option<String> {
    let body = upcast(kind, version, body.to_owned());
    match kind {
        BodyKind::Fact => entry_of(&body).map(|entry| entry.body()),
        BodyKind::Agent => quarterdeck::domain::agent::Agent::get(&body).map(|row| row.put()),
        BodyKind::Job => quarterdeck::domain::job::Job::get(&body).map(|row| row.put()),
        BodyKind::Attempt => AttemptRow::get(&body).map(|row| row.put()),
        BodyKind::Problem => ProblemRow::get(&body).map(|row| row.put()),
        BodyKind::Source => quarterdeck::domain::fleet::source::SourceRow::get(&body).map(|row| row.put()),
        BodyKind::Audit => AuditBody::get(Owner::Fleet, At::ZERO, &body).map(|body| body.put()),
        BodyKind::Registered => panic!("it is not in the journal"),
    }
}

/// The first difference between the stored body and the body as it is written now. A member that a later version added
/// is written as empty or zero, because nothing was stored for it.
fn difference(stored: &serde_json::Value, now: &serde_json::Value, at: &str) -> Option<String> {
    use serde_json::Value;
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    };
    match (stored, now) {
        (Value::Object(stored), Value::Object(now)) => {
            let lost = stored.iter().find_map(|(name, value)| match now.get(name) {
                Some(now) => difference(value, now, &format!("{at}.{name}")),
                None => Some(format!("{at}.{name} is lost: it was {value}")),
            });
            let added =
                || now.iter().find(|(name, value)| !stored.contains_key(*name) && !says_nothing(value));
            lost.or_else(|| {
                added().map(|(name, value)| format!("{at}.{name} is new, and not empty: {value}"))
            })
        }
        (Value::Array(stored), Value::Array(now)) if stored.len() == now.len() => {
            let mut pairs = stored.iter().zip(now).enumerate();
            pairs.find_map(|(index, (stored, now))| difference(stored, now, &format!("{at}[{index}]")))
        }
        (stored, now) => (stored != now).then(|| format!("{at} was {stored}, is {now}")),
    }
}

/// A journal of each released version can still be read without losing any member: what was read is written back
/// unchanged. The order of members has no meaning in JSON and may change.
#[test]
fn journals_of_released_versions_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (table, body) = line.split_once(' ').unwrap();
            let kind = KINDS.into_iter().find(|kind| kind.table() == table);
            let kind = kind.unwrap_or_else(|| panic!("{table} is no kind of line"));
            let now = rewritten(kind, 1, body);
            let now = now.unwrap_or_else(|| panic!("{:?} cannot be read: {line}", entry.file_name()));
            let listed = REWRITTEN.iter().find(|(of, stored, _)| *of == kind && *stored == body);
            let expected = listed.map_or(body, |(_, _, now)| now);
            let mut stored = json(expected);
            for (_, name) in DROPPED.iter().filter(|(of, _)| *of == kind) {
                stored.as_object_mut().unwrap().remove(*name);
            }
            assert_eq!(difference(&stored, &json(&now), ""), None, "{:?}: {line}", entry.file_name());
            read += 1;
        }
    }
    assert!(read > 40, "the fixtures say something of every kind");
}

fn keep<'k>(kept: &mut std::collections::BTreeMap<&'k str, Vec<String>>, kind: &'k str, line: String) {
    let lines = kept.entry(kind).or_default();
    if lines.len() < 4 && !lines.contains(&line) && line.len() < 4000 {
        lines.push(line);
    }
}

/// Writes the fixture of a release: `QUARTERDECK_WRITE_FIXTURE=0.1.0 cargo test write_the_fixture`.
#[test]
fn write_the_fixture_of_a_release() {
    let Ok(version) = std::env::var("QUARTERDECK_WRITE_FIXTURE") else { return };
    let mut facts: std::collections::BTreeMap<&str, Vec<String>> = std::collections::BTreeMap::new();
    let mut rows: std::collections::BTreeMap<&str, Vec<String>> = std::collections::BTreeMap::new();
    let (scene, _) = crate::console::three_in_the_morning();
    let mut states = vec![scene.state.clone()];
    let mut happened: Vec<JournalEntry> = scene.facts.iter().map(|entry| (**entry).clone()).collect();
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.run();
        let (facts, state) = world.outcome();
        happened.extend(facts.iter().cloned());
        states.push(state.clone());
    }
    let number = 3;
    let by = || quarterdeck::domain::text::Untrusted::from("sam");
    let attempt = AttemptId(Rng::new(5).uuid(At::ZERO));
    let (agent_id, job) = (agent(3).id, JobId(Rng::new(6).uuid(At::ZERO)));
    let mut more = |actor, fact| happened.push(JournalEntry { at: At::ZERO, seq: 1, actor, fact });
    for fact in [
        FleetFact::JournalGap { from: At::ZERO, facts: 7 },
        FleetFact::ProblemReworded { number, text: by(), next: by(), eased: true },
        FleetFact::BreakerSet { agent: agent_id, to: Some(BreakerState::Open), why: Some(by()) },
        FleetFact::BreakerSet { agent: agent_id, to: None, why: None },
        FleetFact::ProblemForgotten { number },
        FleetFact::RoutesLoaded { revision: 0xfeed, rules: 3 },
    ] {
        more(None, Fact::Fleet(fact));
    }
    for fact in [
        AgentFact::Named { name: by() },
        AgentFact::TextSanitised { count: 2 },
        AgentFact::Relisted { spec: agent(3).spec, order: 2 },
        AgentFact::Unlisted,
        AgentFact::ServiceChanged { service: agent(3).service },
        AgentFact::Drained,
        AgentFact::ShiftMoved {
            event: quarterdeck::domain::agent::shift::ShiftEvent::WentBack,
            evidence: Some(shift().counts),
            shift: Some(Arc::new(shift())),
        },
        AgentFact::StreamingRefused {
            cause: std::sync::Arc::new(quarterdeck::domain::cause::Cause::Status {
                status: 405,
                says: by(),
                retry_after: Some(std::time::Duration::from_secs(7)),
            }),
        },
        AgentFact::DialectConfirmed { dialect: quarterdeck::domain::agent::card::Dialect::V0_3 },
    ] {
        more(None, Fact::Agent(agent_id, fact));
    }
    let explained = JobFact::Explained { title: by(), caller: Some(by()), skill: None, parent: None };
    more(None, Fact::Job(job, explained));
    more(None, Fact::Job(job, JobFact::Forgotten));
    more(None, Fact::attempt(job, attempt, AttemptFact::CancelIgnored { events: 9 }));
    more(Some(by()), Fact::attempt(job, attempt, AttemptFact::ReasonGiven { why: by() }));
    for entry in &happened {
        keep(&mut facts, entry.stored_as(), format!("fact {}", entry.body()));
    }
    for state in &states {
        let all = rows_of(state);
        all.agents.iter().for_each(|row| keep(&mut rows, "agent", format!("agent {}", row.put())));
        all.jobs.iter().for_each(|row| keep(&mut rows, "job", format!("job {}", row.put())));
        all.attempts.iter().for_each(|row| keep(&mut rows, "attempt", format!("attempt {}", row.put())));
        all.problems.iter().for_each(|row| keep(&mut rows, "problem", format!("problem {}", row.put())));
    }
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/record/fact.rs"))
            .unwrap();
    let every =
        source.lines().filter_map(|line| line.split_once("= \"")?.1.split_once('"')).map(|(word, _)| word);
    let missing: Vec<&str> = every.filter(|word| !facts.contains_key(word)).collect();
    assert!(missing.is_empty(), "no fact of the kinds {missing:?}");
    let lines: Vec<String> = facts.into_values().chain(rows.into_values()).flatten().collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store/{version}.txt"));
    std::fs::write(file, lines.join("\n") + "\n").unwrap();
}
