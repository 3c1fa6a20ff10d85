//! Which agents are found in lists, and what is reported as missing.

use quarterdeck::domain::fleet::source::{SourceHealth, SourceKind};
use quarterdeck::engine::Handle;
use serde_json::{Value, json};

use crate::discovery::{Stage, card, engine, fleet_is, source, the_source, two};
use crate::support::until;

/// Waits until the fault of a source contains `part`, and returns the fault.
async fn complaint(handle: &Handle, what: &str, part: &'static str) -> String {
    until(handle, what, move |snapshot| {
        let fault = the_source(snapshot)?.cause.as_ref()?.to_string();
        fault.contains(part).then_some(fault)
    })
    .await
}

/// A list at a URL may have pages too, by token or by offset; entries that no page has are reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_at_a_url_is_read_page_by_page() {
    let (_fleet, [a, b]) = two();
    for (first, second_at, second) in [
        (json!({"agents": [a], "nextPageToken": "p 2"}), "?pageToken=p+2", json!({"agents": [b]})),
        (
            json!({"agents": [a], "total": 2, "limit": 1, "offset": 0}),
            "?limit=1&offset=1",
            json!({"agents": [b], "total": 2, "limit": 1, "offset": 1}),
        ),
    ] {
        let stage = Stage::open().await;
        stage.set("GET /l", first.to_string());
        stage.set(&format!("GET /l{second_at}"), second.to_string());
        let engine = engine(Vec::new(), vec![source(SourceKind::Url, format!("{}/l", stage.url))], None);
        fleet_is(&engine.handle(), second_at, &[&a, &b], SourceHealth::Working).await;
        engine.stop().await;
    }
    for list in [
        json!({"agents": [a], "totalSize": 3}),
        // A server that ignores the offset answers with the same page.
        json!({"agents": [a], "total": 3, "limit": 1}),
    ] {
        let stage = Stage::open().await;
        stage.set("GET /l", list.to_string());
        stage.set("GET /l?limit=1&offset=1", list.to_string());
        let engine = engine(Vec::new(), vec![source(SourceKind::Url, format!("{}/l", stage.url))], None);
        let handle = engine.handle();
        complaint(&handle, "a list with less than it says", "2 of its 3 entries are missing").await;
        fleet_is(&handle, "what it has", &[&a], SourceHealth::Failing).await;
        engine.stop().await;
    }
}

/// A list without end, in large pages, is read up to a limit; what was read counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_too_large_is_read_in_part() {
    let (_fleet, [a, _]) = two();
    let stage = Stage::open().await;
    let filler = "x".repeat(8 << 20);
    let page = |at: usize| {
        json!({"agents": if at == 0 { vec![&a] } else { Vec::new() }, "filler": filler, "nextPageToken": (at + 1).to_string()}).to_string()
    };
    stage.set("GET /l", page(0));
    for at in 1..20 {
        stage.set(&format!("GET /l?pageToken={at}"), page(at));
    }
    let engine = engine(Vec::new(), vec![source(SourceKind::Url, format!("{}/l", stage.url))], None);
    let handle = engine.handle();
    complaint(&handle, "the limit", "more than 64 MiB; the rest is not read").await;
    fleet_is(&handle, "what it has", &[&a], SourceHealth::Failing).await;
    engine.stop().await;
}

/// A gateway puts cards into a member of its own, among entries that are broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_recognised_in_any_member_of_its_entry() {
    let (_fleet, [a, b]) = two();
    let stage = Stage::open().await;
    let row = |name: &str, card: Value| json!({"agent_id": name, "agent_name": name, "agent_card_params": card, "litellm_params": {}, "object_permission": null});
    let list = json!([
        row("one", card("one", &a)),
        row("two", card("two", &b)),
        null,
        row("lost", json!({"name": "lost"}))
    ]);
    stage.set("GET /v1/agents", list.to_string());
    let engine = engine(Vec::new(), vec![source(SourceKind::Url, format!("{}/v1/agents", stage.url))], None);
    let handle = engine.handle();
    fleet_is(&handle, "the cards", &[&a, &b], SourceHealth::Failing).await;
    let fault = complaint(&handle, "the broken entries", "[2]").await;
    assert!(
        fault.contains("[2]: neither a URL nor an object") && fault.contains("[3]: has no url (lost)"),
        "{fault}"
    );
    engine.stop().await;
}
