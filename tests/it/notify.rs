//! Problems are posted to a webhook when they are raised and when they are over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quarterdeck::config::Credentials;
use quarterdeck::demo::{Behaviour, Fleet};
use quarterdeck::domain::problem::{Kind, Severity};
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::notify::Webhook;
use quarterdeck::engine::{Engine, Options};
use serde_json::Value;

use crate::credentials::{Stand, ok};
use crate::support::{LONG, agent_of, fleet, part, rules, until};

fn engine(fleet: &Fleet, url: &str) -> Engine {
    let bearer = Some("env:PATH".parse().unwrap());
    Engine::start(Options {
        dir: None,
        power_loss_safe: false,
        rules: rules(),
        specs: fleet.specs(),
        sources: Vec::new(),
        webhook: Some(Webhook {
            url: url.to_owned(),
            credentials: Credentials { bearer, ..Credentials::default() },
            severity: Severity::Bad,
            fleet: "prod-eu".into(),
            flags: " --fleet prod-eu".into(),
        }),
        access: CredentialBook::default(),
        seed: Some(7),
        lock: None,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_raised_and_over_is_posted_with_the_way_there() {
    let works = Arc::new(AtomicBool::new(true));
    let answers = works.clone();
    let (posts, posted) = tokio::sync::watch::channel(Vec::<(String, Option<String>, Value)>::new());
    let stand = Stand::open(None, move |_, path, login, body| {
        let body = serde_json::from_str(body).unwrap_or_default();
        posts.send_modify(|all| all.push((path.to_owned(), login.map(ToOwned::to_owned), body)));
        if answers.load(Ordering::Relaxed) { ok("{}".into()) } else { (503, Vec::new(), String::new()) }
    })
    .await;
    let fleet = fleet(vec![part("one", Behaviour::Steady), part("two", Behaviour::Steady)]);
    let engine = engine(&fleet, &format!("{}/hooks/quarterdeck", stand.url));
    let handle = engine.handle();
    until(&handle, "both", |snapshot| {
        agent_of(snapshot, "two").filter(|agent| agent.card.is_some()).map(|_| ())
    })
    .await;
    let posted = |event: &'static str| {
        let mut posted = posted.clone();
        async move {
            let is = |post: &(String, Option<String>, Value)| post.2["event"] == event;
            let waits = posted.wait_for(|all| all.iter().any(is));
            let all = tokio::time::timeout(LONG, waits).await.expect(event).unwrap();
            all.iter().find(|post| is(post)).cloned().unwrap()
        }
    };
    fleet.kill("one");
    let (path, login, body) = posted("raised").await;
    assert_eq!(path, "/hooks/quarterdeck");
    assert!(login.is_some_and(|login| login.starts_with("Bearer /")), "it is logged in");
    assert_eq!((&body["kind"], &body["agent"]), (&"agent-down".into(), &"one".into()));
    assert_eq!(body["open"], format!("quarterdeck --fleet prod-eu open {}", body["id"].as_str().unwrap()));
    fleet.revive("one").await;
    let (.., over) = posted("cleared").await;
    assert_eq!(over["id"], body["id"]);
    // What cannot be posted is a problem itself, until something can.
    works.store(false, Ordering::Relaxed);
    fleet.kill("two");
    let failing = |snapshot: &quarterdeck::domain::state::snapshot::Snapshot| {
        snapshot.open_problems().any(|(_, problem)| problem.kind == Kind::WebhookFailing)
    };
    until(&handle, "the problem", |snapshot| failing(snapshot).then_some(())).await;
    works.store(true, Ordering::Relaxed);
    fleet.revive("two").await;
    until(&handle, "its end", |snapshot| (!failing(snapshot)).then_some(())).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_news_is_posted_once_whatever_the_webhook_answers() {
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
        let engine = engine(&fleet, &format!("{}/hook", stand.url));
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
