//! Engines, and the agents that commands find, show and add.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_engine_serves_all_commands() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let mut serve = binary();
    serve.arg("--config").arg(desk.dir.path().join("config.toml"));
    let mut serve = serve.arg("--data-dir").arg(desk.dir.path().join("data")).arg("serve").spawn().unwrap();
    let mut lines = {
        use tokio::io::AsyncBufReadExt;
        tokio::io::BufReader::new(serve.stdout.take().unwrap()).lines()
    };
    let socket: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert!(Path::new(socket["socket"].as_str().unwrap()).exists());
    let (exit, code) = desk.error(&["serve"]).await;
    assert_eq!((exit, code.as_str()), (1, "QUARTERDECK_ERR_RUNNING"));
    // By name, and by the URL of an agent of the running engine.
    let by_name = desk.json(&["send", "-a", "steady", "one"]).await;
    let by_url = desk.json(&["send", "-a", &format!("{}/", desk.url("steady")), "two"]).await;
    let list = desk.json(&["task", "list"]).await;
    let ids: Vec<_> = list["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert!(ids.contains(&by_name["task"]["id"]) && ids.contains(&by_url["task"]["id"]));
    let measured = desk.json(&["metrics"]).await;
    assert_eq!(measured["metrics"][0]["now"]["ok"], 2, "{measured}");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(serve.id().unwrap()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(serve.wait().await.unwrap().success());
    assert!(!Path::new(socket["socket"].as_str().unwrap()).exists());
    let stored = desk.run(&["task", "list"]).await;
    assert!(text(&stored.stderr).contains("as of"), "{}", text(&stored.stderr));
    assert!(text(&stored.stdout).contains("completed"));
    let stored = desk.json(&["metrics"]).await;
    assert_eq!(stored["metrics"][0]["now"]["took"], measured["metrics"][0]["now"]["took"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_named_by_a_card_are_offered_added_and_removed() {
    let stranger = "http://127.0.0.1:9";
    let mut known = part("steady", Behaviour::Steady);
    known.peers = vec![stranger.to_owned()];
    let desk = Desk::new(vec![known]);
    let offered = desk.json(&["agents", "--candidates"]).await;
    let candidate = &offered["candidates"][0];
    assert_eq!((&candidate["url"], &candidate["namedBy"]), (&json!(stranger), &json!(["steady"])));
    let urls = async |args: &[&str]| -> Vec<String> {
        let agents = desk.json(&[&["agents", "--timeout", "500ms"], args].concat()).await;
        let rows = agents["agents"].as_array().unwrap().iter();
        rows.map(|row| row["url"].as_str().unwrap().trim_end_matches('/').to_owned()).collect()
    };
    assert!(!urls(&[]).await.contains(&stranger.to_owned()), "nobody is added by itself");
    assert!(urls(&["--add", stranger]).await.contains(&stranger.to_owned()));
    assert!(urls(&[]).await.contains(&stranger.to_owned()), "it stays");
    assert!(!urls(&["--remove", stranger]).await.contains(&stranger.to_owned()));
    assert_eq!(desk.error(&["agents", "--remove", stranger]).await, (2, "A2ACLI_ERR_USAGE".into()));
    assert_eq!(desk.error(&["agents", "--add", "http://me:word@host/"]).await.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_shown_and_validated() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let card = desk.json(&["card", "get", "-a", "steady", "--validate"]).await;
    assert_eq!(card["name"], "steady");
    let file = desk.dir.path().join("card.json");
    std::fs::write(&file, r#"{"name":"half","url":"http://127.0.0.1:1/","skills":[{"id":"a"}]}"#).unwrap();
    let output = desk.run(&["card", "get", "-a", file.to_str().unwrap(), "--validate"]).await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("protocolVersion: missing") && stderr.contains("skills[0].name: missing"),
        "{stderr}"
    );
}

/// A command waits until each source has reported its agents, and reports sources that cannot be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_sources_are_listed() {
    let desk = Desk::new(vec![part("found", Behaviour::Steady)]);
    let cards = desk.dir.path().join("cards");
    std::fs::create_dir(&cards).unwrap();
    std::fs::write(cards.join("all.json"), format!("[{:?}]", desk.url("found"))).unwrap();
    let config = "[[fleet.default.sources]]\nkind = \"path\"\nat = \"cards\"\n\
                  [[fleet.default.sources]]\nkind = \"path\"\nat = \"nowhere\"\nname = \"lost\"\n";
    std::fs::write(desk.dir.path().join("config.toml"), config).unwrap();
    let output = desk.run(&["agents", "-o", "json"]).await;
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["agents"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!((&json["agents"][0]["name"], &json["agents"][0]["state"]), (&json!("found"), &json!("up")));
    let warned = text(&output.stderr);
    assert!(warned.contains("source lost cannot be read: ") && warned.contains("nowhere"), "{warned}");
}
