//! Problems are posted to a webhook when they are raised and when they clear: once, after the commit, and not while
//! they are muted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quarterdeck::config::Credentials;
use quarterdeck::demo::{Behaviour, Fleet};
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::problem::{Kind, ProblemAct, Severity};
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::notify::Webhook;
use quarterdeck::engine::{Engine, Handle, Options};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;

use crate::credentials::{Stand, ok};
use crate::kill;
use crate::support::{LONG, agent_of, fleet, options, part, rules, until};

/// What a webhook received.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    login: Option<String>,
    body: Value,
    /// It was answered with 200.
    accepted: bool,
}

impl Received {
    fn is(&self, event: &str, kind: Kind, agent: Option<&str>) -> bool {
        self.body["event"] == event
            && self.body["kind"] == kind.as_str()
            && self.body["agent"].as_str() == agent
    }
}

/// A webhook that keeps what it receives.
struct Inbox {
    url: String,
    /// It answers 200; otherwise 503.
    works: Arc<AtomicBool>,
    received: watch::Receiver<Vec<Received>>,
}

impl Inbox {
    async fn open() -> Self {
        let works = Arc::new(AtomicBool::new(true));
        let answers = works.clone();
        let (posts, received) = watch::channel(Vec::new());
        let stand = Stand::open(None, move |_, path, login, body| {
            let accepted = answers.load(Ordering::Relaxed);
            let body = serde_json::from_str(body).unwrap_or_default();
            let (path, login) = (path.to_owned(), login.map(ToOwned::to_owned));
            posts.send_modify(|all| all.push(Received { path, login, body, accepted }));
            if accepted { ok("{}".into()) } else { (503, Vec::new(), String::new()) }
        })
        .await;
        Self { url: format!("{}/hooks/quarterdeck", stand.url), works, received }
    }

    /// Waits for the first post that fits.
    async fn first(&self, what: &str, fits: impl Fn(&Received) -> bool) -> Received {
        let mut received = self.received.clone();
        let waits = received.wait_for(|all| all.iter().any(&fits));
        let all = tokio::time::timeout(LONG, waits)
            .await
            .unwrap_or_else(|_| panic!("never received {what}"))
            .unwrap();
        all.iter().find(|post| fits(post)).cloned().unwrap()
    }

    /// How many posts that fit were accepted until now.
    fn accepted(&self, fits: impl Fn(&Received) -> bool) -> usize {
        self.received.borrow().iter().filter(|post| post.accepted && fits(post)).count()
    }
}

fn engine(fleet: &Fleet, dir: Option<&Path>, url: &str) -> Engine {
    let bearer = Some("env:PATH".parse().unwrap());
    let webhook = Some(Webhook {
        url: url.to_owned(),
        credentials: Credentials { bearer, ..Credentials::default() },
        fleet: "prod-eu".into(),
        flags: " --fleet prod-eu".into(),
    });
    let rules = Rules { notify_from: Some(Severity::Bad), ..rules() };
    Engine::start(Options { webhook, ..options(fleet.specs(), dir, rules) }).unwrap()
}

fn two() -> Fleet {
    fleet(vec![part("one", Behaviour::Steady), part("two", Behaviour::Steady)])
}

/// An engine that knows both of its agents and posts to the inbox.
async fn posting(dir: Option<&Path>) -> (Inbox, Fleet, Engine, Handle) {
    let inbox = Inbox::open().await;
    let fleet = two();
    let engine = engine(&fleet, dir, &inbox.url);
    let handle = engine.handle();
    until(&handle, "both", |snapshot| {
        let known = |name| agent_of(snapshot, name).is_some_and(|agent| agent.card.is_some());
        (known("one") && known("two")).then_some(())
    })
    .await;
    (inbox, fleet, engine, handle)
}

/// The number of the problem that says that an agent is down.
fn down(snapshot: &Snapshot, name: &str) -> Option<u32> {
    let (key, _) = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == name)?;
    let mut open = snapshot.open_problems();
    open.find(|(_, problem)| problem.kind == Kind::AgentDown && problem.agent == Some(key))
        .map(|(_, problem)| problem.number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raised_and_cleared_problems_are_posted_with_the_command_that_opens_them() {
    let (inbox, fleet, engine, handle) = posting(None).await;
    fleet.kill("one");
    let Received { path, login, body, .. } =
        inbox.first("the raise", |post| post.body["event"] == "raised").await;
    assert_eq!(path, "/hooks/quarterdeck");
    assert!(login.is_some_and(|login| login.starts_with("Bearer /")), "it is logged in");
    assert_eq!((&body["kind"], &body["agent"]), (&"agent-down".into(), &"one".into()));
    assert_eq!(body["open"], format!("quarterdeck --fleet prod-eu open {}", body["id"].as_str().unwrap()));
    fleet.revive("one").await;
    let over = inbox.first("the end", |post| post.body["event"] == "cleared").await;
    assert_eq!(over.body["id"], body["id"]);
    // What cannot be posted is a problem itself, until something can.
    inbox.works.store(false, Ordering::Relaxed);
    fleet.kill("two");
    let failing = |snapshot: &Snapshot| {
        snapshot.open_problems().any(|(_, problem)| problem.kind == Kind::WebhookFailing)
    };
    until(&handle, "the problem", |snapshot| failing(snapshot).then_some(())).await;
    inbox.works.store(true, Ordering::Relaxed);
    fleet.revive("two").await;
    until(&handle, "its end", |snapshot| (!failing(snapshot)).then_some(())).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_notification_is_posted_once_whatever_the_webhook_answers() {
    let long = "x".repeat(8 * 1024 * 1024);
    for (what, status, location, body, fails) in [
        ("a long answer", 200, None, long.as_str(), false),
        ("a redirect to itself", 308, Some("/hook"), "", true),
        ("a redirect to somebody else", 308, Some("http://127.0.0.1:1/"), "", true),
        ("a refusal", 404, None, "", true),
    ] {
        let (posts, posted) = tokio::sync::watch::channel(Vec::<Value>::new());
        let (location, body) = (location.map(ToOwned::to_owned), body.to_owned());
        let stand = Stand::open(None, move |_, _, _, news| {
            posts.send_modify(|all| all.push(serde_json::from_str(news).unwrap_or_default()));
            let headers = location.iter().map(|to| ("location", to.clone())).collect();
            (status, headers, body.clone())
        })
        .await;
        let fleet = fleet(vec![part("one", Behaviour::Steady)]);
        let engine = engine(&fleet, None, &format!("{}/hook", stand.url));
        let handle = engine.handle();
        until(&handle, "it", |snapshot| {
            agent_of(snapshot, "one").filter(|agent| agent.card.is_some()).map(|_| ())
        })
        .await;
        fleet.kill("one");
        let count = |all: &Vec<Value>, event: &str| {
            all.iter().filter(|post| post["event"] == event && post["kind"] == "agent-down").count()
        };
        let mut waits = posted.clone();
        let raised = waits.wait_for(|all| count(all, "raised") > 0);
        assert!(tokio::time::timeout(LONG, raised).await.is_ok(), "{what}");
        if fails {
            until(&handle, "the problem", |snapshot| {
                snapshot
                    .open_problems()
                    .any(|(_, problem)| problem.kind == Kind::WebhookFailing)
                    .then_some(())
            })
            .await;
        }
        // Its end is posted behind it, and by then it has not been posted again.
        fleet.revive("one").await;
        let cleared = waits.wait_for(|all| count(all, "cleared") > 0);
        assert!(tokio::time::timeout(LONG, cleared).await.is_ok(), "{what}");
        assert_eq!(count(&posted.borrow(), "raised"), 1, "{what}");
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_that_clears_while_it_is_muted_is_not_posted() {
    let (inbox, fleet, engine, handle) = posting(None).await;
    fleet.kill("one");
    let number = until(&handle, "the problem", |snapshot| down(snapshot, "one")).await;
    inbox.first("the raise", |post| post.is("raised", Kind::AgentDown, Some("one"))).await;
    let act = ProblemAct::Mute { time: Duration::from_secs(600), why: "known".into() };
    handle.submit(Intent::OnProblem { number, act, by: "mia".into() }).await.unwrap();
    fleet.revive("one").await;
    until(&handle, "its end", |snapshot| down(snapshot, "one").is_none().then_some(())).await;
    // Posts keep their order: whatever was posted about the first agent is there once the second one's is.
    fleet.kill("two");
    inbox.first("the other", |post| post.is("raised", Kind::AgentDown, Some("two"))).await;
    assert_eq!(inbox.accepted(|post| post.is("cleared", Kind::AgentDown, Some("one"))), 0);
    assert_eq!(inbox.accepted(|post| post.is("raised", Kind::AgentDown, Some("one"))), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_waits_until_the_journal_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (inbox, fleet, engine, handle) = posting(Some(dir.path())).await;
    let journal = rusqlite::Connection::open(quarterdeck::store::journal_path(dir.path())).unwrap();
    journal.busy_timeout(LONG).unwrap();
    // Every commit writes there, also one that only tries rows again.
    journal
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
        )
        .unwrap();
    fleet.kill("one");
    until(&handle, "the problem", |snapshot| down(snapshot, "one")).await;
    // The one problem that cannot wait for the journal is its own.
    inbox.first("the journal's problem", |post| post.is("raised", Kind::JournalUnsaved, None)).await;
    fleet.revive("one").await;
    until(&handle, "its end", |snapshot| down(snapshot, "one").is_none().then_some(())).await;
    assert_eq!(inbox.received.borrow().len(), 1, "{:#?}", inbox.received.borrow());
    journal.execute_batch("DROP TRIGGER full").unwrap();
    inbox.first("the end", |post| post.is("cleared", Kind::AgentDown, Some("one"))).await;
    inbox.first("the journal's end", |post| post.is("cleared", Kind::JournalUnsaved, None)).await;
    assert_eq!(inbox.accepted(|post| post.is("raised", Kind::AgentDown, Some("one"))), 1);
    assert_eq!(inbox.received.borrow().len(), 4, "{:#?}", inbox.received.borrow());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_of_a_killed_engine_are_posted_once_by_the_next() {
    let (inbox, dir) = (Inbox::open().await, tempfile::tempdir().unwrap());
    let fleet = two();
    let config = kill::configure(dir.path(), &fleet);
    let notify = format!("\n[notify]\nwebhook = {:?}\n", inbox.url);
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + &notify).unwrap();
    let serve = async || {
        let mut command = kill::binary();
        command.arg("--config").arg(&config).arg("--data-dir").arg(dir.path().join("data")).arg("serve");
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line()).await.expect("serve says where it listens");
        assert!(line.unwrap().is_some());
        child
    };
    let raised = |post: &Received| post.is("raised", Kind::AgentDown, Some("one"));
    inbox.works.store(false, Ordering::Relaxed);
    fleet.kill("one");
    let mut first = serve().await;
    let refused = inbox.first("the first try", raised).await;
    first.kill().await.unwrap();
    inbox.works.store(true, Ordering::Relaxed);
    let _second = serve().await;
    let posted = inbox.first("the post", |post| raised(post) && post.accepted).await;
    assert_eq!(posted.body["id"], refused.body["id"], "it is the same problem");
    fleet.revive("one").await;
    inbox.first("the end", |post| post.is("cleared", Kind::AgentDown, Some("one"))).await;
    assert_eq!(inbox.accepted(raised), 1);
}
