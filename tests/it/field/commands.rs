//! What commands print about agents in the field, and their exit codes.

use serde_json::{Value, json};

use super::agents::{Asked, CARD, card_0_3, card_1_0, page, stand, task_1_0};
use crate::credentials::{Answer, ok};
use crate::kill::binary;

/// An agent, and commands for it. `{url}` is its URL.
struct CommandRow {
    name: &'static str,
    answers: fn(&Asked<'_>) -> Answer,
    /// Each command with its exit code and parts of what it prints, in this order; errors and warnings come last.
    commands: &'static [(&'static str, i32, &'static [&'static str])],
}

fn working() -> Value {
    json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}})
}

/// No A2A at the interface of the card.
const NO_A2A: &[&str] = &[
    "its interface does not answer in A2A: HTTP 404 with an HTML page at {url}/a2a/tock (A2ACLI_ERR_UNREACHABLE)",
    "set the agent's url in the configuration to where its own card is",
];

const ROWS: &[CommandRow] = &[
    CommandRow {
        name: "a gateway doubles the path of the interface",
        answers: |asked| match asked.path {
            CARD => card_1_0(&format!("{}/a2a/tock", asked.url)),
            _ => page(404, "<html><head><title>404 Not Found</title></head></html>"),
        },
        commands: &[
            ("send -a {url} hello", 3, NO_A2A),
            ("task get t -a {url}", 3, NO_A2A),
            ("task cancel t -a {url}", 3, NO_A2A),
            ("task subscribe t -a {url}", 3, NO_A2A),
            ("agents {url}", 0, &["not-spoken", "HTTP 404 with an HTML page at {url}/a2a/tock"]),
        ],
    },
    CommandRow {
        name: "the interface fails",
        answers: |asked| match asked.path {
            CARD => card_1_0(asked.url),
            _ => (503, Vec::new(), "overloaded".into()),
        },
        commands: &[(
            "task get t -a {url}",
            3,
            &["it answered HTTP 503: overloaded ({url}) (A2ACLI_ERR_UNREACHABLE)", "check the agent's log"],
        )],
    },
    CommandRow {
        name: "there is no card",
        answers: |_| page(404, "Not Found"),
        commands: &[
            ("{url} agents", 2, &["the command agents comes after a URL", "`quarterdeck agents --help`"]),
            (
                "card get -a {url}",
                3,
                &[
                    "no card was found at {url}: it answered HTTP 404: Not Found (A2ACLI_ERR_CARD_NOT_FOUND)",
                    "check the URL",
                ],
            ),
        ],
    },
    CommandRow {
        name: "a cancel is answered with null, and the task is canceled",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "CancelTask" => asked.answer(Value::Null),
            "GetTask" if asked.earlier("CancelTask") > 0 => asked.answer(task_1_0("TASK_STATE_CANCELED")),
            "GetTask" => asked.answer(working()),
            _ => asked.error(-32601),
        },
        commands: &[("task cancel t -a {url}", 0, &["State: canceled", "Cancel: verified"])],
    },
    CommandRow {
        name: "a cancel is answered with null, and the task goes on",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            "CancelTask" => asked.answer(Value::Null),
            "GetTask" => asked.answer(working()),
            _ => asked.error(-32601),
        },
        commands: &[("task cancel t -a {url} --timeout 1s", 5, &["working"])],
    },
    CommandRow {
        name: "the answer is in the message of the status alone",
        answers: |asked| {
            let said = json!({"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "words"}]});
            let mut task = working();
            task["status"] = json!({"state": "TASK_STATE_COMPLETED", "message": said});
            match asked.method {
                "" => card_1_0(asked.url),
                "SendStreamingMessage" => asked.answer(json!({"task": task})),
                "GetTask" => asked.answer(task),
                _ => asked.error(-32601),
            }
        },
        commands: &[("send -a {url} hello", 0, &["State: completed", "Message: words"])],
    },
    CommandRow {
        name: "401 with an error of JSON-RPC that is called task not found",
        answers: |asked| match asked.method {
            "" => card_1_0(asked.url),
            _ => {
                let error = json!({"code": -32001, "message": "Missing Authentication Token"});
                (401, Vec::new(), json!({"jsonrpc": "2.0", "error": error, "id": "null"}).to_string())
            }
        },
        commands: &[(
            "send -a {url} hello",
            4,
            &[
                "it requires a login (401) (A2ACLI_ERR_CREDENTIALS_MISSING)",
                "configure `bearer` or `headers`",
            ],
        )],
    },
    CommandRow {
        name: "security schemes without type or wrapper",
        answers: |asked| {
            let mut card = crate::discovery::card("field", asked.url);
            card["securitySchemes"] = json!({
                "google": {"openIdConnectUrl": "https://accounts.example/x", "description": null},
                "token": {"type": "http"},
                "machine": {"flows": {"clientCredentials": {"tokenUrl": "https://accounts.example/token", "scopes": {}}}},
                "key": {"name": "X-Key", "location": "header"}
            });
            ok(card.to_string())
        },
        commands: &[(
            "card get --validate -a {url}",
            1,
            &[
                "Security: google: openIdConnect at https://accounts.example/x",
                "Security: token: http, of no scheme",
                "Security: machine: oauth2, clientCredentials",
                "Security: key: apiKey in header X-Key",
                "securitySchemes.google: not in openIdConnectSecurityScheme",
                "securitySchemes.token: has a type, as in 0.3",
                "securitySchemes.token.scheme: missing",
                "securitySchemes.machine: not in oauth2SecurityScheme",
                "securitySchemes.key: not in apiKeySecurityScheme",
                "(A2ACLI_ERR_CARD_INVALID)",
            ],
        )],
    },
    CommandRow {
        name: "an interface without a version",
        answers: |asked| {
            let mut card = crate::discovery::card("field", asked.url);
            card["supportedInterfaces"][0].as_object_mut().unwrap().remove("protocolVersion");
            ok(card.to_string())
        },
        commands: &[(
            "card get --validate -a {url}",
            1,
            &["Interface: JSONRPC no version at {url}", "supportedInterfaces[0].protocolVersion: missing"],
        )],
    },
    CommandRow {
        name: "tasks of one time, and a page token that is a time and skips them",
        answers: |asked| {
            let task = |number: usize| {
                json!({"id": format!("tie-{number}"), "contextId": "c",
                "status": {"state": "TASK_STATE_WORKING", "timestamp": "2026-01-01T00:00:00Z"}})
            };
            match asked.method {
                "" => card_1_0(asked.url),
                "ListTasks" if asked.params["pageToken"].as_str().is_some_and(|token| !token.is_empty()) => {
                    asked.answer(json!({"tasks": [], "totalSize": 5, "pageSize": 2, "nextPageToken": ""}))
                }
                "ListTasks" => asked
                    .answer(json!({"tasks": [task(0), task(1)], "totalSize": 5, "pageSize": 2,
                    "nextPageToken": "2026-01-01T00:00:00Z"})),
                "GetTask" => asked.answer(task(0)),
                _ => asked.error(-32601),
            }
        },
        commands: &[("task list -a {url}", 0, &["tie-0", "tie-1", "says it has 5 tasks and lists 2"])],
    },
    CommandRow {
        name: "a file with the names of 0.3's text",
        answers: |asked| {
            let file = json!({"fileWithBytes": "aGVsbG8=", "mediaType": "text/plain", "name": "note.txt"});
            let task = json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"},
                "artifacts": [{"artifactId": "o", "parts": [{"kind": "file", "file": file}]}]});
            match asked.method {
                "" => card_0_3(asked.url, "0.3.0", false),
                "message/send" | "tasks/get" => asked.answer(task),
                _ => asked.error(-32601),
            }
        },
        commands: &[("send -a {url} hello", 0, &["State: completed", "File: note.txt, text/plain, 5 bytes"])],
    },
];

async fn check(row: &CommandRow) {
    let stand = stand(row.answers).await;
    for (command, exit, parts) in row.commands {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "").unwrap();
        let args = command.replace("{url}", &stand.url);
        let output = binary()
            .arg("--config")
            .arg(dir.path().join("config.toml"))
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(args.split(' '))
            .output()
            .await
            .unwrap();
        let printed = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert_eq!(output.status.code(), Some(*exit), "{}: {args}: {printed}", row.name);
        let mut rest = printed.as_str();
        for part in *parts {
            let part = part.replace("{url}", &stand.url);
            let Some((_, after)) = rest.split_once(&part) else {
                panic!("{}: {args}: {part:?} is not in {rest:?} of {printed}", row.name)
            };
            rest = after;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_report_what_is_wrong_with_agents_in_the_field() {
    for row in ROWS {
        check(row).await;
    }
}
