//! The configuration as commands show it, and its faults.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_shown_and_checked() {
    let desk = Desk::new(vec![]);
    let shown = desk.json(&["config", "show"]).await;
    let of = |key: &str| {
        let rows = shown["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap()["source"].as_str().unwrap().to_owned()
    };
    assert_eq!(of("fleet.default.probe_interval"), "file, line 2");
    assert_eq!(of("console.theme"), "default");
    assert_eq!(of("data folder"), "flag, --data-dir");
    std::fs::write(desk.dir.path().join("config.toml"), "them = 1\n[watch]\nsilent_after = \"soon\"\n")
        .unwrap();
    let output = desk.run(&["config", "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{stderr}");
    assert!(lines[0].contains("config.toml has 2 errors"), "{stderr}");
    assert!(lines[1].contains("config.toml:1: them: is no setting"), "{stderr}");
    assert!(lines[2].contains("config.toml:3: watch.silent_after: "), "{stderr}");
    let (_, error) = desk.failure(&["config", "check"]).await;
    let faults = error["faults"].as_array().unwrap();
    let places: Vec<_> = faults.iter().map(|fault| (fault["line"].as_u64(), fault["key"].as_str())).collect();
    assert_eq!(places, [(Some(1), Some("them")), (Some(3), Some("watch.silent_after"))]);
    std::fs::remove_file(desk.dir.path().join("config.toml")).unwrap();
    let (_, error) = desk.failure(&["config", "check"]).await;
    assert_eq!(error["faults"][0]["line"], Value::Null);
    let stderr = text(&desk.run(&["config", "check"]).await.stderr);
    assert!(stderr.contains("config.toml: cannot be read: "), "{stderr}");
}

/// With every line uncommented, the example is a configuration without faults and with every key at its default; the
/// program starts with it and shows all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_configuration_shows_the_defaults() {
    let example = quarterdeck::config::EXAMPLE;
    let is_setting = |line: &str| {
        let rest = line.trim_start_matches('#');
        line.starts_with('#') && !rest.starts_with(' ') && !rest.is_empty()
    };
    let uncommented: String = example
        .lines()
        .map(|line| if is_setting(line) { line.trim_start_matches('#') } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    let full = quarterdeck::config::load_text(&uncommented, Path::new("config.example.toml")).unwrap();
    let empty = quarterdeck::config::load_text("", Path::new("config.toml")).unwrap();
    for setting in &empty.settings {
        let same = full.settings.iter().find(|other| other.key == setting.key);
        // The user's own name cannot be in an example.
        if setting.key != "operator" {
            assert_eq!(same.map(|same| &same.value), Some(&setting.value), "{}", setting.key);
        }
    }
    let usual = quarterdeck::tui::preferences::Preferences::default();
    let words = |listed: &quarterdeck::config::preferences::NamedList| -> (String, Vec<String>) {
        (listed.name.text.clone(), listed.words.iter().map(|word| word.text.clone()).collect())
    };
    let actions = quarterdeck::tui::actions::Action::ALL.iter().map(|action| {
        (action.word().to_owned(), action.keys().iter().map(|key| (*key).to_owned()).collect())
    });
    assert_eq!(full.preferences.keys.iter().map(words).collect::<Vec<_>>(), actions.collect::<Vec<_>>());
    let lists = quarterdeck::tui::saved_view::ListKind::ALL;
    let columns = lists.map(|list| (list.word().to_owned(), usual.columns.names(list)));
    assert_eq!(full.preferences.columns.iter().map(words).collect::<Vec<_>>(), columns);
    let agent = &full.fleets["default"].agents[0];
    assert!(agent.credentials.bearer.is_some() && agent.resubscribe == Some(true));
    assert_eq!(full.fleets["default"].probe_interval, quarterdeck::config::Fleet::default().probe_interval);
    for source in &full.fleets["default"].sources {
        let usual = quarterdeck::config::AgentSource::new(source.kind, source.at.as_str());
        let options = (source.every, &source.selector, &source.port, &source.namespace, source.scheme);
        let default = (usual.every, &usual.selector, &usual.port, &usual.namespace, usual.scheme);
        assert_eq!(options, default, "{}", source.name);
    }
    let desk = Desk::new(Vec::new());
    // A test must not touch the user's own home folder.
    let home = desk.dir.path().display().to_string();
    std::fs::write(desk.dir.path().join("config.toml"), uncommented.replace("~/.", &format!("{home}/.")))
        .unwrap();
    let shown = desk.run(&["config", "show"]).await;
    let stdout = text(&shown.stdout);
    for part in
        ["fleet.default.sources.kind", "registry (file, line", "_a2a._tcp.example.com", "env:REGISTRY_TOKEN"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let output = desk.run(&["agents", "--timeout", "1s"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// Faults in keys, columns and views are listed together with all others, each with its line, and with the valid
/// values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_keys_columns_and_views_name_their_lines() {
    let desk = Desk::new(Vec::new());
    let file = desk.dir.path().join("config.toml");
    std::fs::write(
        &file,
        "them = 1\n[keys]\ncancle = \"k\"\n[columns]\ntasks = [\"task\", \"agnt\"]\nflet = \"agent\"\n\
         [[view]]\nname = \"tasks\"\nof = \"tasks\"\n[[view]]\nname = \"stuck\"\nof = \"fleet\"\nsort = \"age\"\n",
    )
    .unwrap();
    let output = desk.run(&["config", "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    for part in [
        "config.toml:1: them: is no setting",
        "config.toml:3: keys.cancle: is not an action; did you mean cancel?",
        "config.toml:5: columns.tasks: tasks has no column agnt; there are task, job, agent,",
        "config.toml:6: columns.flet: there is no list flet; there are fleet, tasks,",
        "config.toml:8: view.name: tasks is a command already",
        "config.toml:13: view.sort: fleet has no column age; there are agent, state,",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    std::fs::write(&file, "[keys]\ncancel = \"k\"\nup = \"up\"\nmute = []\n").unwrap();
    let shown = desk.json(&["config", "keys"]).await;
    let of = |action: &str| {
        let rows = shown["actions"].as_array().unwrap();
        rows.iter().find(|row| row["action"] == action).unwrap().clone()
    };
    assert_eq!(of("cancel")["keys"], serde_json::json!(["k"]));
    assert_eq!(of("cancel")["source"], "configuration");
    assert_eq!(of("down")["source"], "default");
    let stdout = text(&desk.run(&["config", "keys"]).await.stdout);
    assert!(stdout.lines().any(|line| line.starts_with("mute") && line.contains(":mute")), "{stdout}");
}
