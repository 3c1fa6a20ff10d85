//! The audit: what each kind of tampering leaves, which acts are recorded, and who may do what.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use quarterdeck::demo::Behaviour;
use quarterdeck::domain::agent::{AgentSpec, Source};
use quarterdeck::domain::audit::page::{AuditEntry, AuditFilter, Head};
use quarterdeck::domain::audit::{
    ActOutcome, AuditRecord, AuditTarget, Hash, Submitter, Surface, owner_words,
};
use quarterdeck::domain::fact::Owner;
use quarterdeck::domain::id::{AgentId, JobId, Rng};
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::{Intent, Refusal, Remedy};
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::state::State;
use quarterdeck::domain::time::At;
use quarterdeck::engine::handle::wire::{Hello, Tasks};
use quarterdeck::engine::{Answer, Handle, Query};
use quarterdeck::store::audit::verify::{Exported, verify};
use quarterdeck::store::{Batch, Done, Reader, Writer, journal_path};
use rusqlite::Connection;

use crate::support::{engine_with, fleet, known, part, rules, send, task_of, until};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(seconds: u64) -> At {
    At::from_micros(1_795_000_000_000_000) + Duration::from_secs(seconds)
}

fn owners() -> (Owner, Owner) {
    let mut seed = Rng::new(3);
    (Owner::Agent(AgentId(seed.uuid(at(0)))), Owner::Job(JobId(seed.uuid(at(0)))))
}

fn act(at: At, owner: Owner, words: &str) -> AuditRecord {
    AuditRecord {
        at,
        owner,
        who: "mia".into(),
        surface: Surface::Cli,
        peer: None,
        intent: "cancel".into(),
        target: AuditTarget { words: words.into(), ..AuditTarget::default() },
        why: None,
        bulk: 0,
        outcome: ActOutcome::Accepted,
    }
}

struct Store {
    dir: tempfile::TempDir,
    writer: Writer,
    done: Receiver<Done>,
}

impl Store {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (writer, done) = Self::writer(dir.path());
        Self { dir, writer, done }
    }

    fn writer(dir: &Path) -> (Writer, Receiver<Done>) {
        let (sender, done) = channel();
        let writer = Writer::open(dir, false, move |done| sender.send(done).unwrap()).unwrap();
        (writer, done)
    }

    fn commit(&self, alive: At, audits: Vec<AuditRecord>) {
        self.commit_batch(Batch { audits, alive, ..Batch::default() });
    }

    fn commit_batch(&self, batch: Batch) {
        self.writer.hand_over(batch).unwrap();
        let done = self.done.recv_timeout(Duration::from_secs(20));
        assert!(matches!(done, Ok(Done::Committed { .. })), "{done:?}");
    }

    /// An orderly end: the chains are sealed.
    fn close(self) -> tempfile::TempDir {
        drop(self.writer);
        self.dir
    }
}

/// Six acts in two minutes, with a seal between, one at the end, and acts of the fleet's own.
fn used() -> tempfile::TempDir {
    let store = Store::open();
    let (agent, job) = owners();
    for (second, owner, words) in [
        (0, agent, "cordon"),
        (1, job, "send"),
        (2, Owner::Fleet, "note"),
        (3, job, "cancel"),
        (60, job, "retry"),
        (70, agent, "resume"),
        (80, job, "cancel again"),
    ] {
        store.commit(at(second), vec![act(at(second), owner, words)]);
    }
    store.close()
}

fn journal(dir: &Path) -> Connection {
    Connection::open(journal_path(dir)).unwrap()
}

/// What verification says of a folder: `holds`, or where it breaks and why.
fn said(dir: &Path, head: Option<Head>) -> String {
    let found = Reader::open(dir).unwrap().unwrap().verify_audit(head).unwrap();
    // An export says the same.
    let mut exported = Exported::default();
    let reader = Reader::open(dir).unwrap().unwrap();
    reader.export_audit(&mut |row| exported.add(row)).unwrap();
    let Ok(of_export) = verify(&exported, head);
    assert_eq!(of_export, found);
    let (agent, job) = owners();
    match found.broken {
        None => "holds".into(),
        Some(broken) => {
            let text = broken.to_string();
            text.replace(&owner_words(agent), "AGENT").replace(&owner_words(job), "JOB")
        }
    }
}

/// The head of the fleet's chain.
fn head_of(dir: &Path) -> Head {
    Reader::open(dir).unwrap().unwrap().verify_audit(None).unwrap().head.unwrap()
}

#[test]
fn tampering_is_found_where_it_was_done() {
    let job = "owner = (SELECT owner FROM audit WHERE id = 2)";
    let changed = "this row was changed, or the one before it: its hash does not follow from them";
    let rehash = "UPDATE audit SET hash = randomblob(32)";
    for (what, sql, expected) in [
        ("nothing", String::new(), "holds".to_owned()),
        (
            "a body",
            format!("UPDATE audit SET body = replace(body, 'mia', 'sam') WHERE {job} AND seq = 2"),
            format!("JOB 2: {changed}"),
        ),
        ("a time", format!("UPDATE audit SET at = at - 1 WHERE {job} AND seq = 1"), format!("JOB 1: {changed}")),
        ("a version", format!("UPDATE audit SET version = 2 WHERE {job} AND seq = 1"), format!("JOB 1: {changed}")),
        ("a hash", format!("{rehash} WHERE {job} AND seq = 3"), format!("JOB 3: {changed}")),
        (
            "a row in the middle",
            format!("DELETE FROM audit WHERE {job} AND seq = 2"),
            "JOB 2: this row is missing".into(),
        ),
        (
            "the end of a chain",
            format!("DELETE FROM audit WHERE {job} AND seq >= 3"),
            "JOB 3: this row is missing: the seal in row 2 of the fleet has it".into(),
        ),
        (
            "the last row of a chain",
            format!("DELETE FROM audit WHERE {job} AND seq = 4"),
            "JOB 4: this row is missing: the seal in row 3 of the fleet has it".into(),
        ),
        (
            "a whole chain",
            format!("DELETE FROM audit WHERE {job}"),
            "JOB 3: this row is missing: the seal in row 2 of the fleet has it".into(),
        ),
        (
            "the end of a chain with its seal",
            format!("DELETE FROM audit WHERE ({job} AND seq = 4) OR (owner = x'' AND seq = 3)"),
            // Only a head that was kept elsewhere shows it.
            "holds".into(),
        ),
        (
            "a seal in the middle",
            "DELETE FROM audit WHERE owner = x'' AND seq = 2".into(),
            "fleet 2: this row is missing".into(),
        ),
        (
            "the owner of a row",
            "UPDATE audit SET owner = (SELECT owner FROM audit WHERE id = 1), seq = 3 WHERE id = (SELECT max(id) FROM audit WHERE owner <> x'')".into(),
            format!("AGENT 3: {changed}"),
        ),
        (
            "a head in a seal",
            "UPDATE audit SET body = replace(body, ',3,', ',2,') WHERE owner = x'' AND seq = 2".into(),
            format!("fleet 2: {changed}"),
        ),
    ] {
        let dir = used();
        journal(dir.path()).execute_batch(&sql).unwrap();
        assert_eq!(said(dir.path(), None), expected, "{what}");
    }
}

/// Rows with hashes that follow, as somebody would write them who knows how: what shows them is that no seal has them.
#[test]
fn rows_that_were_inserted_are_in_no_seal() {
    for (what, owner, seq, second, expected) in [
        (
            "a new chain",
            Owner::Job(JobId(Rng::new(9).uuid(at(0)))),
            1,
            5,
            "1: this row was inserted: it is older than the last seal, and in none",
        ),
        (
            "the end of a chain",
            owners().1,
            5,
            75,
            "JOB 5: this row was inserted: it is older than the last seal, and in none",
        ),
    ] {
        let dir = used();
        let reader = Reader::open(dir.path()).unwrap().unwrap();
        let mut last = None;
        reader
            .export_audit(&mut |row| {
                if row.owner == owner {
                    last = Some(row.hash);
                }
                true
            })
            .unwrap();
        drop(reader);
        let body =
            r#"{"what":"act","who":"eve","surface":"cli","intent":"send","target":"x","outcome":"accepted"}"#;
        let row = quarterdeck::store::audit::AuditRow {
            number: 0,
            owner,
            seq,
            at: at(second).micros(),
            version: 1,
            body: body.into(),
            hash: Hash::default(),
        };
        let hash = row.hash_after(&last.unwrap_or_default());
        let key = match owner {
            Owner::Fleet => Vec::new(),
            Owner::Agent(id) => [b"a", id.0.as_bytes().as_slice()].concat(),
            Owner::Job(id) => [b"j", id.0.as_bytes().as_slice()].concat(),
        };
        journal(dir.path())
            .execute(
                "INSERT INTO audit (owner, seq, at, version, body, hash) VALUES (?1, ?2, ?3, 1, ?4, ?5)",
                rusqlite::params![key, i64::try_from(seq).unwrap(), row.at, body, hash.0],
            )
            .unwrap();
        assert!(said(dir.path(), None).ends_with(expected), "{what}: {}", said(dir.path(), None));
    }
}

#[test]
fn a_head_that_was_kept_shows_that_the_end_was_cut() {
    let dir = used();
    let head = head_of(dir.path());
    assert_eq!(head.seq, 3);
    assert_eq!(said(dir.path(), Some(head)), "holds");
    let hash_alone = Head { seq: 0, ..head };
    assert_eq!(said(dir.path(), Some(hash_alone)), "holds");
    let other = Head { seq: 2, ..head };
    let anew = "this row has another hash than the head that was kept: the chain was written anew";
    assert_eq!(said(dir.path(), Some(other)), format!("fleet 2: {anew}"));
    journal(dir.path()).execute_batch("DELETE FROM audit WHERE owner = x'' AND seq = 3").unwrap();
    assert_eq!(
        said(dir.path(), Some(head)),
        "fleet 3: this row is missing, which was the head once: the fleet's chain was cut off behind row 2"
    );
    assert_eq!(
        said(dir.path(), Some(hash_alone)),
        "fleet 2: the head that was kept is no row of the fleet's chain: its end was cut off, or it was written anew"
    );
}

/// A year of acts, of which retention removes the older part in several steps.
fn pruned() -> (tempfile::TempDir, Head) {
    let store = Store::open();
    let (agent, job) = owners();
    let mut seed = Rng::new(11);
    for day in 0..30_u64 {
        let now = at(day * 86_400);
        let mut acts = vec![act(now, agent, "cordon"), act(now, Owner::Fleet, "note")];
        // A job is acted on once and never again.
        acts.extend((0..150).map(|_| act(now, Owner::Job(JobId(seed.uuid(now))), "send")));
        if day > 20 {
            acts.push(act(now, job, "retry"));
        }
        store.commit(now, acts);
    }
    let now = at(30 * 86_400);
    let keep_audits = Some(DAY * 10);
    let first = head_of(store.dir.path());
    for _ in 0..6 {
        store.commit_batch(Batch { alive: now, keep_audits, ..Batch::default() });
    }
    // A chain of which nothing is left goes on.
    let left: i64 =
        journal(store.dir.path()).query_row("SELECT min(at) FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!(left, at(20 * 86_400).micros());
    store.commit(now, vec![act(now, job, "again"), act(now, agent, "resume")]);
    (store.close(), first)
}

#[test]
fn retention_leaves_anchors() {
    let (dir, first) = pruned();
    assert_eq!(said(dir.path(), None), "holds");
    assert_eq!(said(dir.path(), Some(first)), "holds", "a head of before is still there");
    let found = Reader::open(dir.path()).unwrap().unwrap().verify_audit(None).unwrap();
    assert_eq!(found.pruned_until, Some(at(20 * 86_400)));
    let (oldest, head) = (Head { seq: 1, hash: first.hash }, head_of(dir.path()));
    assert_eq!(said(dir.path(), Some(oldest)), "fleet 1: retention has removed this row; keep a newer head");
    let last = format!("owner = x'' AND seq = {}", head.seq - 1);
    let changed = "this row was changed, or the one before it: its hash does not follow from them";
    for (what, sql, expected) in [
        (
            "an anchor",
            format!("UPDATE audit SET body = replace(body, ',20,', ',19,') WHERE {last}"),
            format!("fleet {}: {changed}", head.seq - 1),
        ),
        (
            "a row behind an anchor",
            "DELETE FROM audit WHERE owner = (SELECT owner FROM audit WHERE substr(owner, 1, 1) = x'61') \
             AND at = (SELECT min(at) FROM audit)"
                .into(),
            "AGENT 21: this row is missing".into(),
        ),
        (
            "a row that was removed comes back",
            "INSERT INTO audit (owner, seq, at, version, body, hash) SELECT owner, 7, at - 86400000000, version, body, \
             hash FROM audit WHERE substr(owner, 1, 1) = x'61' AND seq = 22"
                .into(),
            "AGENT 7: this row was inserted: retention had removed rows of its time".into(),
        ),
    ] {
        let (dir, _) = pruned();
        journal(dir.path()).execute_batch(&sql).unwrap();
        assert_eq!(said(dir.path(), None), expected, "{what}");
    }
}

/// A process that was killed leaves chains without a seal; the next one seals them.
#[test]
fn chains_of_a_killed_process_are_sealed_by_the_next() {
    let store = Store::open();
    let (agent, job) = owners();
    store.commit(at(0), vec![act(at(0), agent, "cordon"), act(at(0), job, "send")]);
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(store.dir.path()).unwrap().flatten() {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let seals = |dir: &Path| Reader::open(dir).unwrap().unwrap().verify_audit(None).unwrap().seals;
    assert_eq!(seals(copy.path()), 0);
    let (writer, done) = Store::writer(copy.path());
    let next = Store { dir: copy, writer, done };
    next.commit(at(1), Vec::new());
    let copy = next.close();
    assert_eq!(seals(copy.path()), 1);
    journal(copy.path()).execute_batch("DELETE FROM audit WHERE substr(owner, 1, 1) = x'6a'").unwrap();
    assert_eq!(said(copy.path(), None), "JOB 1: this row is missing: the seal in row 1 of the fleet has it");
}

/// Acts while the disk is full are in the audit as withdrawn or refused, once there is room.
#[test]
fn acts_that_were_not_written_are_recorded_as_withdrawn() {
    let store = Store::open();
    let (_, job) = owners();
    let refused = ActOutcome::Refused("it has ended".into());
    store.commit(at(0), vec![act(at(0), job, "before")]);
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    journal(store.dir.path()).execute_batch(full).unwrap();
    let audits = vec![
        act(at(1), job, "in vain"),
        AuditRecord { outcome: refused.clone(), ..act(at(1), job, "refused") },
    ];
    store.writer.hand_over(Batch { audits, alive: at(1), ..Batch::default() }).unwrap();
    assert!(matches!(store.done.recv_timeout(Duration::from_secs(20)), Ok(Done::Failed { .. })));
    journal(store.dir.path()).execute_batch("DROP TRIGGER full").unwrap();
    assert!(matches!(store.done.recv_timeout(Duration::from_secs(20)), Ok(Done::Recovered { .. })));
    store.commit(at(9), vec![act(at(9), job, "after")]);
    let dir = store.close();
    let reader = Reader::open(dir.path()).unwrap().unwrap();
    let page = reader.audit(&AuditFilter::default(), None, 10).unwrap();
    let told: Vec<_> = page.entries.iter().rev().map(|entry| entry.record.outcome.clone()).collect();
    assert_eq!(told, [ActOutcome::Accepted, ActOutcome::Withdrawn, refused, ActOutcome::Accepted]);
    assert_eq!(said(dir.path(), None), "holds");
}

#[test]
fn pages_are_filtered_and_bounded() {
    let store = Store::open();
    let (agent, job) = owners();
    let Owner::Agent(id) = agent else { unreachable!() };
    let mut acts: Vec<_> = (0..10).map(|second| act(at(second), job, "a task at Cashier-1")).collect();
    acts[3].who = "Sam".into();
    acts[4].surface = Surface::Console;
    acts[5].intent = "send".into();
    acts[6].outcome = ActOutcome::Refused("no".into());
    acts[7].target.agent = Some(id);
    acts.push(act(at(10), agent, "cashier-1"));
    store.commit(at(10), acts);
    let dir = store.close();
    let reader = Reader::open(dir.path()).unwrap().unwrap();
    let none = AuditFilter::default();
    let Owner::Job(job) = job else { unreachable!() };
    for (what, filter, expected) in [
        ("all", none.clone(), (0..=10).rev().collect::<Vec<_>>()),
        ("who", AuditFilter { who: Some("sam".into()), ..none.clone() }, vec![3]),
        ("surface", AuditFilter { surface: Some(Surface::Console), ..none.clone() }, vec![4]),
        ("intent", AuditFilter { intent: Some("send".into()), ..none.clone() }, vec![5]),
        ("failed", AuditFilter { failed: true, ..none.clone() }, vec![6]),
        ("agent", AuditFilter { agent: Some(id), ..none.clone() }, vec![10, 7]),
        ("job", AuditFilter { job: Some(job), ..none.clone() }, (0..10).rev().collect()),
        ("about", AuditFilter { about: Some("CASHIER-1".into()), ..none.clone() }, (0..=10).rev().collect()),
        ("since", AuditFilter { since: Some(at(8)), ..none.clone() }, vec![10, 9, 8]),
    ] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = reader.audit(&filter, before, 2).unwrap();
            assert!(page.entries.len() <= 2, "{what}");
            found.extend(page.entries.iter().map(|entry| entry.record.at));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let expected: Vec<At> = expected.into_iter().map(at).collect();
        assert_eq!(found, expected, "{what}");
    }
}

async fn audit(handle: &Handle) -> Vec<AuditEntry> {
    let query = Query::Audit { filter: Box::default(), before: None, limit: 1000 };
    let Ok(Answer::Audit(page)) = handle.query(query).await else { panic!("no audit") };
    page.entries
}

/// Acts through a surface of the engine's process and through clients of its socket, on a protected fleet and on another
/// one: what is refused, and what the audit says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_surface_is_recorded_and_held_to_the_same_rules() {
    for protect in [false, true] {
        let fleet = fleet(vec![part("one", Behaviour::Silent), part("two", Behaviour::Silent)]);
        let dir = tempfile::tempdir().unwrap();
        let rules = Rules { protect, operator: "mia".into(), ..rules() };
        let engine = engine_with(&fleet, Some(dir.path()), rules);
        let own = engine.handle();
        let one = known(&own, "one").await;
        let (_, attempt) = send(&own, "one", "charge order 1").await;
        until(&own, "its task", |snapshot| task_of(snapshot, attempt).map(|_| ())).await;
        let socket = quarterdeck::serve::socket::listen(dir.path(), own.clone(), Hello::default()).unwrap();
        let (remote, _) =
            quarterdeck::engine::handle::remote::join(socket.path(), Tasks::default()).await.unwrap();
        let surfaces = [
            ("console", own.clone().through(Surface::Console)),
            ("cli", own.clone().through(Surface::Cli)),
            ("cli", remote.clone().acting_as("sam").through(Surface::Cli)),
            ("console", remote.clone().acting_as("sam").through(Surface::Console)),
        ];
        for (surface, handle) in surfaces {
            let breaker = |why: Option<&str>| Intent::Breaker {
                agent: one,
                to: Some(quarterdeck::domain::agent::breaker::BreakerState::Open),
                why: why.map(Into::into),
                // The name of the submission counts, where it has one.
                by: "mia".into(),
            };
            let cancel = |why: Option<&str>| Intent::Cancel { attempt, why: why.map(Into::into) };
            let bulk = handle.clone().one_of(14);
            let mut expected = Vec::new();
            for (handle, intent, word, needs_reason) in [
                (&handle, breaker(None), "breaker-open", true),
                (&handle, breaker(Some("it lies")), "breaker-open", false),
                (&handle, breaker(Some(" ")), "breaker-open", true),
                (&handle, cancel(None), "cancel", false),
                (&bulk, cancel(None), "cancel", true),
                (&bulk, cancel(Some("bad version")), "cancel", false),
            ] {
                let refused = handle.submit(intent.clone()).await;
                let wants_reason = matches!(&refused, Err(Refusal::Instead(_, Remedy::GiveReason)));
                assert_eq!(wants_reason, protect && needs_reason, "{surface} {intent:?}: {refused:?}");
                // The second cancel of a task is refused on every fleet.
                let is_refused = refused.is_err();
                // Nothing of a read-only surface reaches the engine.
                let watching = handle.clone().watching_only();
                assert_eq!(watching.submit(intent).await, Err(Refusal::ReadOnly));
                expected.push((word, is_refused));
            }
            let entries = audit(&handle).await;
            let newest: Vec<_> = entries.iter().take(expected.len()).rev().collect();
            let (claimed, who) = if newest[0].record.peer.is_some() { (true, "sam") } else { (false, "mia") };
            for (entry, (word, is_refused)) in newest.iter().zip(&expected) {
                let record = &entry.record;
                assert_eq!((&*record.intent, record.surface.as_str()), (*word, surface));
                assert_eq!((record.is_claimed(), record.who.raw()), (claimed, who));
                assert_eq!(matches!(record.outcome, ActOutcome::Refused(_)), *is_refused, "{record:?}");
                assert!(record.target.words.raw().contains("one"), "{record:?}");
            }
            assert_eq!(newest[5].record.bulk, 14);
            assert_eq!(newest[5].record.why, Some("bad version".into()));
        }
        // One sending and four times six acts, and nothing of those that only watched.
        assert_eq!(audit(&own).await.len(), 1 + 4 * 6);
        let uid = rustix::process::geteuid().as_raw();
        let peers = audit(&own).await.iter().filter(|entry| entry.record.peer == Some(uid)).count();
        assert_eq!(peers, 2 * 6);
        let Ok(Answer::AuditVerified(found)) = remote.query(Query::VerifyAudit { head: None }).await else {
            panic!("not verified")
        };
        assert_eq!(found.broken, None);
        drop((own, remote, socket));
        engine.stop().await;
        assert_eq!(said(dir.path(), None), "holds");
    }
}

/// A client that says nothing of itself is recorded as what it is.
#[test]
fn a_submitter_without_a_name_is_not_the_operator() {
    let mut core = quarterdeck::domain::core::Core::new(State::default(), Rules::default(), 7);
    for (by, who) in [
        (Submitter { surface: Surface::Cli, ..Submitter::default() }, "operator"),
        (Submitter { surface: Surface::Socket, peer: Some(7), ..Submitter::default() }, "unnamed"),
        (Submitter { name: Some(" ".into()), peer: Some(7), ..Submitter::default() }, "unnamed"),
        (Submitter { name: Some("sam\n".into()), peer: Some(7), ..Submitter::default() }, "sam"),
        (Submitter::default(), "quarterdeck"),
    ] {
        let mut out = quarterdeck::domain::core::Out::default();
        let intent = Intent::PresumeLost {
            attempt: quarterdeck::domain::id::AttemptId(Rng::new(1).uuid(at(0))),
            why: None,
        };
        core.step(
            at(0),
            quarterdeck::domain::input::Input::Intent { ticket: 1, intent, by: Some(by) },
            &mut out,
        );
        assert_eq!(out.audits[0].who.raw(), who);
        assert!(matches!(out.audits[0].outcome, ActOutcome::Refused(_)));
    }
}

/// What an act without a name changed is told as of whom the audit records.
#[test]
fn the_facts_of_an_act_and_its_record_have_the_same_name() {
    for (by, who) in [
        (Submitter { surface: Surface::Cli, ..Submitter::default() }, "operator"),
        (Submitter { surface: Surface::Socket, peer: Some(7), ..Submitter::default() }, "unnamed"),
        (Submitter::default(), "quarterdeck"),
    ] {
        let mut core = quarterdeck::domain::core::Core::new(State::default(), Rules::default(), 7);
        let mut out = quarterdeck::domain::core::Out::default();
        let url = "http://127.0.0.1:1".to_owned();
        let specs = vec![AgentSpec::at(url, Source::Config)];
        core.step(at(0), quarterdeck::domain::input::Input::Configured(specs), &mut out);
        let agent = core.state().agents().iter().next().unwrap().1.id;
        let send =
            Intent::Send(Box::new(quarterdeck::domain::intent::Send::new(agent, vec![Part::text("hello")])));
        let mut out = quarterdeck::domain::core::Out::default();
        core.step(
            at(1),
            quarterdeck::domain::input::Input::Intent { ticket: 1, intent: send, by: Some(by) },
            &mut out,
        );
        assert_eq!(out.audits[0].who.raw(), who);
        let job = core.state().jobs().iter().next().unwrap().1;
        assert_eq!(job.caller.as_ref().map(|caller| caller.raw()), Some(who));
    }
}

/// The command line: what it records, prints and verifies, and how it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_verifies_and_exports() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "operator = \"mia\"\n[fleet.default]\nprotect = true\n").unwrap();
    let run = async |words: &[&str]| {
        let mut command = crate::kill::binary();
        command.arg("--config").arg(&config).arg("--data-dir").arg(&data).args(words);
        let output = command.output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let json =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(|_| panic!("{text}"));
    let (_, out, err) = run(&["audit"]).await;
    assert!(out.is_empty() && err.contains("nothing was done yet"), "{err}");
    assert_eq!(run(&["note", "seen"]).await.0, Some(0));
    // A URL with a login is refused, and its record has none of it.
    let refused = run(&["agents", "--add", "http://mia:secret@127.0.0.1:1/x?key=2", "--timeout", "1s"]).await;
    assert_eq!(refused.0, Some(1), "{}", refused.2);
    let added = run(&["agents", "--add", "http://127.0.0.1:1", "--timeout", "1s"]).await;
    assert_eq!(added.0, Some(0), "{}", added.2);
    let named = json(&run(&["agents", "--timeout", "1s", "-o", "json"]).await.1);
    let name = named["agents"][0]["name"].as_str().unwrap().to_owned();
    let (code, _, err) = run(&["breaker", &name, "open"]).await;
    assert!(code == Some(1) && err.contains("with a reason only") && err.contains("--why"), "{err}");
    assert_eq!(run(&["breaker", &name, "open", "--why", "it lies"]).await.0, Some(0));
    assert_eq!(run(&["--read-only", "breaker", &name, "close", "--why", "x"]).await.0, Some(1));
    let audit = json(&run(&["audit", "-o", "json"]).await.1);
    crate::cli::fits(&crate::cli::schema("audit"), &audit, "audit");
    assert!(!audit.to_string().contains("secret"), "{audit}");
    let rows = audit["audit"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row["intent"].as_str().unwrap(), row["outcome"].as_str().unwrap())).collect();
    let expected = [
        ("breaker-open", "accepted"),
        ("breaker-open", "refused"),
        ("add-agent", "accepted"),
        ("add-agent", "refused"),
        ("note", "accepted"),
    ];
    assert_eq!(told, expected);
    assert!(rows.iter().all(|row| row["who"] == "mia" && row["surface"] == "cli" && row["claimed"] == false));
    assert_eq!(rows[0]["why"], "it lies");
    for (words, count) in [
        (vec!["--intent", "note"], 1),
        (vec!["--failed"], 2),
        (vec!["--agent", &name], 3),
        (vec!["--who", "sam"], 0),
        (vec!["--limit", "2"], 2),
    ] {
        let words: Vec<&str> = ["audit", "-o", "json"].into_iter().chain(words).collect();
        assert_eq!(json(&run(&words).await.1)["audit"].as_array().unwrap().len(), count, "{words:?}");
    }
    let (code, out, _) = run(&["audit", "verify", "-o", "json"]).await;
    assert_eq!((code, json(&out)["ok"].as_bool()), (Some(0), Some(true)), "{out}");
    let head = json(&out)["head"].as_str().unwrap().to_owned();
    let file = dir.path().join("audit.jsonl");
    let file = file.to_str().unwrap();
    let (code, out, err) = run(&["audit", "export", file]).await;
    assert!(code == Some(0) && out.contains(&head), "{out}{err}");
    assert_eq!(run(&["audit", "export", file]).await.0, Some(1), "an export replaces no file");
    assert_eq!(run(&["audit", "verify", "--file", file, "--head", &head]).await.0, Some(0));
    let exported = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, exported.replace("it lies", "it dies")).unwrap();
    let (code, out, _) = run(&["audit", "verify", "--file", file]).await;
    assert!(code == Some(1) && out.contains("this row was changed"), "{out}");
    journal(&data).execute_batch("DELETE FROM audit WHERE body LIKE '%\"note\"%'").unwrap();
    let (code, out, _) = run(&["audit", "verify", "-o", "json"]).await;
    assert_eq!((code, json(&out)["broken"]["owner"].as_str()), (Some(1), Some("fleet")), "{out}");
    assert_eq!(run(&["audit", "verify", "--head", "nothing"]).await.0, Some(2));
}
