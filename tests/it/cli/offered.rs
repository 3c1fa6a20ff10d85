//! Commands that the console offers or copies.

/// Splits a command as a shell does.
fn shell_words(command: &str) -> Vec<String> {
    let script = format!("for word in {command}; do printf '%s\\0' \"$word\"; done");
    let output = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap();
    assert!(output.status.success(), "{command}");
    let words = output.stdout.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut words: Vec<String> = words.collect();
    words.pop();
    words
}

/// A card chooses the URL of its interface, but must not attract a credential to it.
#[test]
fn a_copied_curl_names_a_credential_for_the_configured_origin_alone() {
    use quarterdeck::domain::agent::card::Interface;
    use quarterdeck::domain::agent::{Agent, Source};
    use quarterdeck::tui::command;
    let (mut scene, cast) = crate::console::three_in_the_morning();
    let snapshot = scene.publish(252.0);
    let attempt = crate::support::attempt_of(&snapshot, cast.working.attempt).unwrap();
    let agent = snapshot.agents.get(attempt.agent).unwrap();
    let card = r#"{"name":"n","url":"http://h/","securitySchemes":{"b":{"type":"http","scheme":"bearer"}},"security":[{"b":[]}]}"#;
    let card = std::sync::Arc::new(quarterdeck::protocol::card::decode(card).unwrap());
    assert!(!card.required_security.is_empty());
    for (source, interface, names_it) in [
        (Source::Config, "http://h:1/rpc", true),
        (Source::Config, "http://h:2/rpc", false),
        (Source::Config, "https://h:1/rpc", false),
        (Source::Config, "http://h:1@evil.example/rpc", false),
        (Source::Discovery, "http://h:1/rpc", false),
    ] {
        let mut agent: Agent = agent.clone();
        let spec = std::sync::Arc::make_mut(&mut agent.spec);
        (spec.url, spec.source) = ("http://h:1/a".into(), source);
        agent.card = Some(card.clone());
        let old = agent.interface.take().unwrap();
        agent.interface = Some(std::sync::Arc::new(Interface { url: interface.into(), ..(*old).clone() }));
        let curl = command::curl(&agent, Some(attempt)).unwrap();
        assert!(curl.command.contains(interface), "{curl:?}");
        assert_eq!(curl.command.contains("$TOKEN"), names_it, "{interface}: {curl:?}");
        assert_eq!(curl.is_without_credential, !names_it, "{interface}: {curl:?}");
    }
}

#[test]
fn commands_offered_by_the_console_are_valid() {
    use clap::Parser;
    use quarterdeck::cli::args::Cli;
    use quarterdeck::domain::agent::breaker::BreakerState;
    use quarterdeck::domain::intent::{Intent, Send};
    use quarterdeck::domain::job::carry::{Carry, CarryContext, CarryHistory};
    use quarterdeck::domain::job::message::{Json, Part};
    use quarterdeck::domain::problem::ProblemAct;
    use quarterdeck::tui::command;
    let (mut scene, cast) = crate::console::three_in_the_morning();
    let snapshot = scene.publish(252.0);
    let nasty = "it's \"quoted\" $HOME `id` ; rm -rf / \n--text second line \u{1b}[2J";
    let attempt = cast.working.attempt;
    let send = |parts: Vec<Part>, metadata: Option<&str>| {
        Intent::Send(Box::new(Send {
            context: Some("c-1".into()),
            metadata: metadata.map(|text| Json::new(text.to_owned())),
            ..Send::new(cast.cashier, parts)
        }))
    };
    let why = Some(nasty.into());
    let on_problem = |act| Intent::OnProblem { number: 7, act, by: "sam".into() };
    let note = |problem, agent, attempt| Intent::Note {
        problem,
        agent,
        attempt,
        by: "sam".into(),
        text: "its owner is on it".into(),
    };
    for intent in [
        send(vec![Part::text(nasty)], None),
        send(vec![Part::text("--help")], Some("{\"a\": \"it's\"}")),
        send(vec![Part::text(""), crate::console::data("{\"x\":1}")], None),
        Intent::Answer { attempt: cast.asking.attempt, parts: vec![Part::text(nasty)], metadata: None },
        Intent::Cancel { attempt, why: why.clone() },
        Intent::CancelWithDelegated { attempt, why: why.clone() },
        Intent::Resend { attempt: cast.uncertain.attempt, why: None },
        Intent::PresumeLost { attempt: cast.uncertain.attempt, why },
        Intent::Retry {
            attempt,
            to: Some(cast.cashier),
            carry: Carry { context: CarryContext::Same, history: CarryHistory::Content },
            why: Some(nasty.into()),
        },
        Intent::Race { attempt, to: Some(cast.cashier), why: Some(nasty.into()) },
        Intent::Requeue { job: cast.working.job, to: None, why: Some(nasty.into()) },
        Intent::Reroute { attempt, to: None, carry: Carry::default(), why: None },
        Intent::CheckTask { attempt },
        Intent::CheckAgent { agent: cast.cashier },
        Intent::AddAgent { url: "http://127.0.0.1:9101/a?b=$HOME".into(), by: "sam".into() },
        Intent::RemoveAgent { agent: cast.cashier, why: None, by: "sam".into() },
        Intent::Breaker { agent: cast.cashier, to: Some(BreakerState::Open), why: None, by: "sam".into() },
        Intent::Breaker { agent: cast.cashier, to: None, why: None, by: "sam".into() },
        on_problem(ProblemAct::Take),
        on_problem(ProblemAct::GiveBack),
        on_problem(ProblemAct::Unmute),
        on_problem(ProblemAct::Mute { time: std::time::Duration::from_secs(5400), why: nasty.into() }),
        note(Some(7), None, None),
        note(None, Some(cast.cashier), None),
        note(None, None, Some(attempt)),
    ] {
        let offered = command::of_intent(&snapshot, " --fleet prod-eu", &intent);
        assert!(!offered.contains('\u{1b}'), "{offered:?}");
        let command = offered.rsplit_once("| ").map_or(&*offered, |(_, command)| command);
        let words = shell_words(command);
        let parsed = Cli::try_parse_from(&words);
        assert!(parsed.is_ok(), "{offered}\n{words:?}\n{}", parsed.unwrap_err());
        assert!(parsed.unwrap().command.is_some(), "{offered} is no verb");
    }
    let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == cast.cashier).unwrap().1;
    let ids = format!(" {attempt} {attempt}");
    for (act, which, to) in [
        (command::Bulk::Cancel { alone: true }, ids.clone(), None),
        (command::Bulk::Cancel { alone: false }, " --problem=p-17".into(), None),
        (command::Bulk::Reroute, command::agent_flag(agent), Some(cast.cashier)),
        (command::Bulk::Retry, ids, None),
    ] {
        let offered = command::of_bulk(&snapshot, " --fleet prod-eu", act, &which, to, nasty);
        let parsed = Cli::try_parse_from(shell_words(&offered));
        assert!(parsed.is_ok(), "{offered}\n{}", parsed.unwrap_err());
    }
}
