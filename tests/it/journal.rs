//! A journal that cannot be written: acts are refused and leave nothing behind, and no agent is blamed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quarterdeck::demo::Behaviour;
use quarterdeck::domain::agent::breaker::BreakerState;
use quarterdeck::domain::agent::{Health, Source};
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::fact::{Fact, FleetFact, Owner};
use quarterdeck::domain::id::{AgentId, AttemptId};
use quarterdeck::domain::intent::{Intent, Receipt, Refusal, Send};
use quarterdeck::domain::job::Phase;
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::problem::{Kind, ProblemAct};
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Answer, Engine, Handle, Query};
use quarterdeck::store::journal_path;

use crate::support::{LONG, agent_of, attempt_of, engine_on, fleet, known, part, rules, send, until};

/// A disk that can be filled and freed.
enum Disk {
    /// A trigger makes SQLite report that there is no room.
    Trigger(tempfile::TempDir),
    /// A file system of three megabytes, unmounted when it is dropped.
    Small(PathBuf),
}

impl Disk {
    /// A real small disk, where file systems can be mounted, for example as root on Linux.
    fn small() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap().keep();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs"])
            .arg(&dir)
            .stderr(std::process::Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self::Small(dir));
        }
        println!("skipped: no file system can be mounted here");
        std::fs::remove_dir(&dir).unwrap();
        None
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Trigger(dir) => dir.path(),
            Self::Small(dir) => dir,
        }
    }

    fn journal(&self) -> rusqlite::Connection {
        let journal = rusqlite::Connection::open(journal_path(self.dir())).unwrap();
        journal.busy_timeout(LONG).unwrap();
        journal
    }

    fn fill(&self) {
        match self {
            Self::Trigger(_) => self
                .journal()
                .execute_batch(
                    "CREATE TRIGGER full BEFORE INSERT ON fact
                     BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
                )
                .unwrap(),
            Self::Small(dir) => {
                // Until not one more byte fits.
                let mut file = std::fs::File::create(dir.join("ballast")).unwrap();
                let block = vec![1_u8; 4096];
                while std::io::Write::write_all(&mut file, &block).is_ok() {}
            }
        }
    }

    fn make_room(&self) {
        match self {
            Self::Trigger(_) => self.journal().execute_batch("DROP TRIGGER full").unwrap(),
            Self::Small(dir) => std::fs::remove_file(dir.join("ballast")).unwrap(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small(dir) = self {
            let _tidied_up_as_far_as_possible = std::process::Command::new("umount").arg(&*dir).status();
            let _the_folder_is_empty_now = std::fs::remove_dir(dir);
        }
    }
}

/// The subjects of the acts.
struct Scene {
    one: AgentId,
    /// A task that is working.
    running: AttemptId,
    /// A task that needs an answer.
    asking: AttemptId,
    /// The number of an open problem.
    problem: u32,
    /// An agent that an operator added.
    added: AgentId,
}

/// Checks that an act has changed nothing.
type Unchanged = fn(&Scene, &Snapshot) -> bool;

/// Every act, and a check that it has changed nothing when it was refused.
fn acts(scene: &Scene) -> Vec<(&'static str, Intent, Unchanged)> {
    let by = || "mia".into();
    let text = |text: &str| vec![Part::text(text)];
    let problem = |act| Intent::OnProblem { number: scene.problem, act, by: by() };
    let mute = ProblemAct::Mute { time: Duration::from_secs(600), why: "known".into() };
    let no_more_jobs: Unchanged = |_, snapshot| {
        let unsent = |phase: Phase| matches!(phase, Phase::Unsent);
        snapshot
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.message_id.is_some())
            .skip(2)
            .all(|(_, a)| unsent(a.phase))
    };
    vec![
        (
            "note",
            Intent::Note {
                problem: None,
                agent: Some(scene.one),
                attempt: None,
                by: by(),
                text: "lost?".into(),
            },
            |_, _| true,
        ),
        ("take", problem(ProblemAct::Take), |scene, snapshot| {
            problem_of(snapshot, scene.problem).is_some_and(|problem| problem.taken.is_none())
        }),
        ("mute", problem(mute), |scene, snapshot| {
            problem_of(snapshot, scene.problem).is_some_and(|problem| problem.muted.is_none())
        }),
        (
            "breaker",
            Intent::Breaker { agent: scene.one, to: Some(BreakerState::Open), why: None, by: by() },
            |_, snapshot| {
                agent_of(snapshot, "one").is_some_and(|agent| agent.breaker.position == BreakerState::Closed)
            },
        ),
        ("cancel", Intent::Cancel { attempt: scene.running, why: None }, |scene, snapshot| {
            attempt_of(snapshot, scene.running)
                .and_then(|attempt| attempt.task.as_ref())
                .is_some_and(|task| task.cancel.is_none())
        }),
        (
            "answer",
            Intent::Answer { attempt: scene.asking, parts: text("approve"), metadata: None },
            |scene, snapshot| {
                attempt_of(snapshot, scene.asking).is_some_and(|attempt| {
                    attempt.needs_you()
                        && attempt.answer.as_ref().is_none_or(|answer| answer.phase == Phase::Unsent)
                })
            },
        ),
        ("send", Intent::Send(Box::new(Send::new(scene.one, text("never")))), no_more_jobs),
        ("add", Intent::AddAgent { url: "http://127.0.0.1:9".into(), by: by() }, |_, snapshot| {
            snapshot.agents.iter().filter(|(_, agent)| agent.listed).count() == 4
        }),
        ("remove", Intent::RemoveAgent { agent: scene.added, why: None, by: by() }, |scene, snapshot| {
            snapshot.agents.iter().any(|(_, agent)| agent.id == scene.added && agent.listed)
        }),
    ]
}

fn problem_of(snapshot: &Snapshot, number: u32) -> Option<&quarterdeck::domain::problem::Problem> {
    snapshot.problems.iter().find(|(_, problem)| problem.number == number).map(|(_, problem)| problem)
}

fn start(fleet: &quarterdeck::demo::Fleet, disk: &Disk) -> Engine {
    let mut specs = fleet.specs();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    specs.push(quarterdeck::config::Agent::at(format!("http://{nobody}")).spec(Source::CommandLine));
    engine_on(specs, CredentialBook::default(), Some(disk.dir()), rules())
}

async fn unsaved(handle: &Handle, is: bool) {
    until(handle, "the journal's problem", |snapshot| (snapshot.unsaved == is).then_some(())).await;
}

async fn notes(handle: &Handle) -> usize {
    let query = Query::Facts { owner: Owner::Fleet, limit: 1000 };
    let Ok(Answer::Facts(facts)) = handle.query(query).await else { panic!("no facts") };
    facts.iter().filter(|entry| matches!(entry.fact, Fact::Fleet(FleetFact::NoteMade { .. }))).count()
}

async fn check(disk: Disk) {
    let fleet = fleet(vec![part("one", Behaviour::Silent), part("two", Behaviour::NeedsInput)]);
    let engine = start(&fleet, &disk);
    let handle = engine.handle();
    let one = known(&handle, "one").await;
    let (_, running) = send(&handle, "one", "work").await;
    let (_, asking) = send(&handle, "two", "refund 412 EUR").await;
    until(&handle, "both tasks", |snapshot| {
        let works = attempt_of(snapshot, running)?.task.is_some();
        (works && attempt_of(snapshot, asking)?.needs_you()).then_some(())
    })
    .await;
    let problem = until(&handle, "a problem", |snapshot| {
        let mut open = snapshot.problems.iter().filter(|(_, problem)| problem.cleared.is_none());
        open.find(|(_, problem)| problem.kind == Kind::AgentDown).map(|(_, problem)| problem.number)
    })
    .await;
    let url = "http://127.0.0.1:1";
    let added = handle.submit(Intent::AddAgent { url: url.into(), by: "mia".into() }).await.unwrap();
    let Receipt::Agents(added) = added else { panic!("{added:?}") };
    let scene = Scene { one, running, asking, problem, added: added[0] };
    let sent = fleet.received();

    for (name, intent, unchanged) in acts(&scene) {
        disk.fill();
        let refused = handle.submit(intent).await;
        let Err(Refusal::Cause(cause)) = &refused else { panic!("{name}: {refused:?}") };
        assert!(matches!(**cause, Cause::Unsaved(_)), "{name}: {cause}");
        unsaved(&handle, true).await;
        until(&handle, name, |snapshot| unchanged(&scene, snapshot).then_some(())).await;
        disk.make_room();
        unsaved(&handle, false).await;
        until(&handle, name, |snapshot| unchanged(&scene, snapshot).then_some(())).await;
    }
    assert_eq!(notes(&handle).await, 0, "a refused note is nowhere");
    assert_eq!(fleet.received(), sent, "nothing that was refused reached an agent");
    for (_, agent) in handle.snapshot().agents.iter().filter(|(_, agent)| agent.card.is_some()) {
        assert_eq!(agent.health, Health::Up, "{}: {:?}", agent.name, agent.cause);
        assert_eq!(agent.breaker.position, BreakerState::Closed);
    }
    // Acts that are confirmed after that are kept.
    let note =
        Intent::Note { problem: None, agent: None, attempt: None, by: "mia".into(), text: "kept".into() };
    handle.submit(note).await.unwrap();
    handle.submit(Intent::Cancel { attempt: running, why: None }).await.unwrap();
    drop(handle);
    engine.stop().await;

    let engine = start(&fleet, &disk);
    let handle = engine.handle();
    assert_eq!(notes(&handle).await, 1, "a confirmed note is there after a restart");
    let (number, snapshot) = (scene.problem, handle.snapshot());
    let problem = problem_of(&snapshot, number).unwrap();
    assert!(problem.taken.is_none() && problem.muted.is_none(), "{problem:?}");
    assert!(snapshot.agents.iter().any(|(_, agent)| agent.id == scene.added && agent.listed));
    drop(handle);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_that_were_not_written_are_refused_and_leave_nothing() {
    check(Disk::Trigger(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_acts_and_loses_none_that_was_confirmed() {
    if let Some(disk) = Disk::small() {
        check(disk).await;
    }
}

/// A disk that accepts rows but no facts cannot keep a journal, and must not be reported as recovered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_without_room_for_facts_stays_unsaved() {
    let disk = Disk::Trigger(tempfile::tempdir().unwrap());
    let fleet = fleet(vec![part("one", Behaviour::Silent)]);
    let engine = start(&fleet, &disk);
    let handle = engine.handle();
    known(&handle, "one").await;
    disk.fill();
    let note =
        || Intent::Note { problem: None, agent: None, attempt: None, by: "mia".into(), text: "kept".into() };
    handle.submit(note()).await.unwrap_err();
    unsaved(&handle, true).await;
    // The writer tries again each second.
    let mut snapshots = handle.watch();
    let flickers = async {
        while snapshots.borrow_and_update().unsaved {
            snapshots.changed().await.unwrap();
        }
    };
    let flickered = tokio::time::timeout(Duration::from_millis(3_500), flickers).await;
    assert!(flickered.is_err(), "the journal was called written");
    disk.make_room();
    unsaved(&handle, false).await;
    handle.submit(note()).await.unwrap();
    let snapshot = handle.snapshot();
    let problems = snapshot.problems.iter().filter(|(_, problem)| problem.kind == Kind::JournalUnsaved);
    assert_eq!(problems.count(), 1);
    drop(handle);
    engine.stop().await;
}
