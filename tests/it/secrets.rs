//! A secret that a peer sends back escaped, encoded or in pieces appears nowhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::credentials::{Answer, Desk, Stand, card, ok, search};

/// A secret with characters that .NET and PHP escape by default.
const SECRET: &str = "sk-CANARY+9f8e/7d6c==q";

/// An answer with an artifact of this text, as JSON that is written by hand.
fn answered(id: &Value, text: &str) -> String {
    let status = format!(
        r#"{{"state":"TASK_STATE_COMPLETED","message":{{"messageId":"m","role":"ROLE_AGENT","parts":[{{"text":"{text}"}}]}}}}"#
    );
    let artifact = format!(
        r#"{{"artifactId":"a","name":"{text}","parts":[{{"text":"{text}"}}],"metadata":{{"{text}":"{text}"}}}}"#
    );
    let task =
        format!(r#"{{"id":"t-{}","contextId":"c","status":{status},"artifacts":[{artifact}]}}"#, text.len());
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"task":{task}}}}}"#)
}

/// A stream with these pieces of one output, each as a chunk.
fn streamed(id: &Value, pieces: &[&str]) -> Answer {
    let mut text = String::new();
    let mut event = |result: Value| {
        text.push_str(&format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": id, "result": result})));
    };
    let status = |state: &str| json!({"statusUpdate": {"taskId": "t-s", "contextId": "c", "status": {"state": state}}});
    event(json!({"task": {"id": "t-s", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}}));
    for (number, piece) in pieces.iter().enumerate() {
        event(json!({"artifactUpdate": {"taskId": "t-s", "contextId": "c", "append": number > 0,
            "artifact": {"artifactId": "a", "parts": [{"text": piece}]}}}));
    }
    event(status("TASK_STATE_COMPLETED"));
    (200, vec![("content-type", "text/event-stream".into())], text)
}

fn every_unit(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoded_secret_in_an_answer_appears_nowhere() {
    let stand = Stand::open(None, move |own, path, _, body| {
        if path.ends_with(".json") {
            return ok(card(own, "echoes").replace(r#""streaming":false"#, r#""streaming":true"#));
        }
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let id = &request["id"];
        let text = request["params"]["message"]["parts"][0]["text"].as_str().unwrap_or_default();
        let error = |says: &str| {
            ok(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":"invalid token {says}"}}}}"#
            ))
        };
        match (text, request["method"].as_str()) {
            (_, Some("ListTasks")) => ok(json!({"jsonrpc": "2.0", "id": id, "result":
                {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}})
            .to_string()),
            (_, Some("GetTask")) => ok(answered(id, &every_unit(SECRET))),
            ("dotnet", _) => error(&SECRET.replace('+', "\\u002B")),
            ("php", _) => error(&SECRET.replace('/', "\\/")),
            ("unicode", _) => ok(answered(id, &every_unit(SECRET))),
            ("base64", _) => ok(answered(id, &STANDARD.encode(format!("Bearer {SECRET}")))),
            ("chunks", _) => streamed(id, &["so it is sk-CAN", "ARY+9f8e/7", "d6c==q, is it"]),
            ("bytes", _) => {
                let pieces: Vec<_> = SECRET.split("").collect();
                streamed(id, &pieces)
            }
            _ => ok(answered(id, "well")),
        }
    })
    .await;
    let desk = Desk::new(&format!(
        "[[fleet.default.agents]]\nname = \"strict\"\nurl = \"{}\"\nbearer = \"env:CANARY\"\n",
        stand.url
    ));
    let variables = [("CANARY", SECRET), ("QUARTERDECK_LOG", "trace")];
    let encoded = STANDARD.encode(SECRET);
    let hidden = [SECRET.to_owned(), encoded[..encoded.len() - 4].to_owned(), every_unit(SECRET)];
    let mut shown = String::new();
    for args in [
        vec!["send", "-a", "strict", "dotnet"],
        vec!["send", "-a", "strict", "php", "-o", "json"],
        vec!["send", "-a", "strict", "unicode"],
        vec!["send", "-a", "strict", "unicode", "-o", "json"],
        vec!["send", "-a", "strict", "base64", "-o", "json"],
        vec!["send", "-a", "strict", "chunks"],
        vec!["send", "-a", "strict", "chunks", "--stream", "-o", "json"],
        vec!["send", "-a", "strict", "bytes", "-o", "json"],
        vec!["task", "list", "-o", "json"],
        vec!["problems", "-o", "json"],
    ] {
        let output = desk.run(&args, &variables).await;
        for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            for secret in &hidden {
                assert!(!text.contains(secret), "{args:?} on {stream}:\n{text}");
            }
            shown.push_str(&text);
        }
    }
    assert!(shown.contains("invalid token [redacted]"), "{shown}");
    // This is printed as the stream comes in; the final result contains the report of the whole task instead.
    assert!(
        shown.contains(r#"{"text":"so it is "}"#) && shown.contains(r#"{"text":"[redacted], is it"}"#),
        "{shown}"
    );
    assert!(stand.asked().iter().any(|(_, login, _)| login.as_deref() == Some(&format!("Bearer {SECRET}"))));
    for secret in &hidden {
        search(desk.dir.path(), secret);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_too_short_to_be_redacted_is_refused_before_anything_is_sent() {
    let stand = Stand::open(None, |own, _, _, _| ok(card(own, "is not asked"))).await;
    let config = |bearer: &str| {
        format!(
            "[[fleet.default.agents]]\nname = \"strict\"\nurl = \"{}\"\nbearer = \"{bearer}\"\n",
            stand.url
        )
    };
    for (bearer, flags, place) in [
        ("env:SHORT", vec![], "fleet.default.agents.bearer"),
        ("env:LONG", vec!["--bearer", "abc"], "--bearer"),
        ("env:LONG", vec!["--api-key", "env:SHORT"], "--api-key"),
    ] {
        let desk = Desk::new(&config(bearer));
        let args = [vec!["send", "-a", "strict", "do it"], flags].concat();
        let output = desk.run(&args, &[("SHORT", "abcde"), ("LONG", "long-enough")]).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(place) && stderr.contains("is shorter than 6 bytes"), "{stderr}");
        assert!(!stderr.contains("abc"), "{stderr}");
    }
    // A secret that a command prints is refused as soon as it is read.
    let desk = Desk::new(&config("cmd:echo abc"));
    let output = desk.run(&["agents", "-o", "json"], &[]).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("is shorter than 6 bytes"), "{stdout}");
    assert_eq!(stand.asked().len(), 0, "{:?}", stand.asked());
}
