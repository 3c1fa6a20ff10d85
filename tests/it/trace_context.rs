//! Trace context: what agents are told so that their spans join the trace of a job.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::credentials::{Answer, Desk, Stand, card, ok};

/// Answers as an agent whose task first works, then asks, and ends once it is canceled.
fn answer(own: &str, path: &str, body: &str, is_canceled: &AtomicBool) -> Answer {
    if path.ends_with(".json") {
        return ok(card(own, "traced"));
    }
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    is_canceled.fetch_or(request["method"] == "CancelTask", Ordering::SeqCst);
    let state = if is_canceled.load(Ordering::SeqCst) { "CANCELED" } else { "INPUT_REQUIRED" };
    let task = json!({"id": "t-1", "contextId": "c-1", "status": {"state": format!("TASK_STATE_{state}")}});
    let result = match request["method"].as_str() {
        Some("ListTasks") => json!({"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}),
        Some("GetTask" | "CancelTask") => task,
        _ => json!({"task": task}),
    };
    ok(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}

/// Each call that carries a trace context: its method, and whether the header and the metadata have it.
async fn carried(setting: &str) -> Vec<(String, bool, bool)> {
    let is_canceled = AtomicBool::new(false);
    let stand = Stand::open(None, move |own, path, _, body| answer(own, path, body, &is_canceled)).await;
    let desk = Desk::new(&format!(
        "[fleet.default]\n[[fleet.default.agents]]\nname = \"strict\"\nurl = \"{}\"\n{setting}\n",
        stand.url
    ));
    let sent = desk.run(&["send", "-a", "strict", "-o", "json", "a question"], &[]).await;
    let sent: Value = serde_json::from_slice(&sent.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&sent.stderr)));
    let task = &sent["task"];
    let (job, attempt) =
        (&task["metadata"]["quarterdeck"]["job"], &task["metadata"]["quarterdeck"]["attempt"]);
    let hex = |id: &Value| id.as_str().unwrap_or_else(|| panic!("no id in {sent}")).replace('-', "");
    let parent = format!("00-{}-{}-01", hex(job), &hex(attempt)[16..]);
    let told = !setting.contains("off");
    assert_eq!(task["metadata"]["quarterdeck"]["trace"].as_str(), told.then(|| hex(job)).as_deref());
    for words in [&["send", "-a", "strict", "--task-id", "t-1", "an answer"][..], &["task", "cancel", "t-1"]]
    {
        let output = desk.run(words, &[]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut calls = Vec::new();
    for (header, body) in stand.traced() {
        let request: Value = serde_json::from_str(&body).unwrap_or_default();
        let method = request["method"].as_str().unwrap_or("card").to_owned();
        let metadata =
            request["params"]["message"]["metadata"]["traceparent"].as_str().map(ToOwned::to_owned);
        for told in [&header, &metadata].into_iter().flatten() {
            assert_eq!(*told, parent, "{method}");
        }
        if header.is_some() || metadata.is_some() {
            calls.push((method, header.is_some(), metadata.is_some()));
        }
    }
    calls
}

/// Probes, listings and reads are no part of the work: a trace of them would drown its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_and_cancels_carry_the_trace_of_their_job() {
    let (send, cancel) = ("SendMessage", "CancelTask");
    for (setting, expected) in [
        ("", &[(send, true, false), (send, true, false), (cancel, true, false)][..]),
        ("trace_context = \"headers\"", &[(send, true, false), (send, true, false), (cancel, true, false)]),
        ("trace_context = \"metadata\"", &[(send, false, true), (send, false, true)]),
        ("trace_context = \"both\"", &[(send, true, true), (send, true, true), (cancel, true, false)]),
        ("trace_context = \"off\"", &[]),
    ] {
        let carried = carried(setting).await;
        let carried: Vec<_> =
            carried.iter().map(|(method, header, metadata)| (method.as_str(), *header, *metadata)).collect();
        assert_eq!(carried, expected, "{setting}");
    }
}
