//! No secret gets through, whatever a peer does with it; and nothing else is changed.

use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::needles::MARK;
use super::*;
use crate::domain::agent::card::Dialect;
use crate::domain::call::{Answered, CallKind, Outcome, Page, SendOutcome, StreamOutcome, SubscribeOutcome};
use crate::domain::cause::Cause;
use crate::domain::id::AttemptKey;
use crate::domain::job::message::{Artifact, Message, Part};
use crate::domain::job::task::StreamEvent;
use crate::protocol::{Deviations, Event, Reply, codec};

fn knows(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    for secret in secrets {
        redactor.learn(&Secret::new(*secret));
    }
    redactor
}

#[test]
fn known_secrets_are_redacted() {
    let redactor =
        knows(&["sk-canary-1", "sk-canary-1-long", "with \"quote\"", "abc", "nabcdef", "12345678"]);
    for (text, expected) in [
        ("plain", "plain"),
        ("Bearer sk-canary-1!", "Bearer [redacted]!"),
        ("sk-canary-1-long", "[redacted]"),
        (r#"{"echo":"with \"quote\""}"#, r#"{"echo":"[redacted]"}"#),
        ("abc", "abc"),
        // Escaped as .NET, PHP and Python do; in a key; and in JSON that is in a string itself.
        (r#"{"a":"sk\u002Dcanary\u002d1"}"#, r#"{"a":"[redacted]"}"#),
        (r#"{"sk-c\u0061nary-1":1}"#, r#"{"[redacted]":1}"#),
        (r#"{"a":"{\"b\":\"\\u0073k-canary-1\"}"}"#, r#"{"a":"{\"b\":\"[redacted]\"}"}"#),
        (r#"{"a":"x\\sk-canary-1\n"}"#, r#"{"a":"x\\[redacted]\n"}"#),
        // Text that looks like a secret only because an escape is cut in two is none.
        (r#"{"a":"\nabcdef"}"#, r#"{"a":"\nabcdef"}"#),
        (r#"{"a":"\\nabcdef"}"#, r#"{"a":"\\[redacted]"}"#),
        // A number stays a value, and quotes of the JSON syntax are not part of a text.
        (r#"{"a":12345678,"b":-123456789.5}"#, r#"{"a":"[redacted]","b":"[redacted]"}"#),
        (r#"["with ","quote",""]"#, r#"["with ","quote",""]"#),
        // Lone surrogates and broken escapes hide nothing.
        (r#"{"a":"\ud83dsk-canary-1\u00"}"#, r#"{"a":"\ud83d[redacted]\u00"}"#),
    ] {
        assert_eq!(redactor.redact(text), expected);
    }
}

/// A long text is searched in windows, and the result is the same as of a single search, wherever the windows end.
#[test]
fn secrets_in_long_texts_are_redacted_across_window_boundaries() {
    let redactor = knows(&["sk-canary-1", "sk-canary-1-long", "12345678"]);
    for (inner, expected) in [
        (r#""sk-canary-1-long""#, r#""[redacted]""#),
        (r#""sk\u002Dcanary\u002d1""#, r#""[redacted]""#),
        (r#""{\"b\":\"\\u0073k-canary-1\"}""#, r#""{\"b\":\"[redacted]\"}""#),
        (r#""\ud83d\ude00\u0073k-canary-1""#, r#""\ud83d\ude00[redacted]""#),
        (r#"-123456789.5,"sk-canary-""#, r#""[redacted]","sk-canary-""#),
        (r#""sk-canary-1sk-canary-1","sk-canary-1\n""#, r#""[redacted][redacted]","[redacted]\n""#),
        (r#""nothing \u0073ecret""#, r#""nothing \u0073ecret""#),
    ] {
        for step in [16 * 1024, 32 * 1024] {
            for before in step - 60..step + 10 {
                let pad = "é".repeat(before / 2);
                let (text, expected) =
                    (format!(r#"["{pad}",{inner},{inner}]"#), format!(r#"["{pad}",{expected},{expected}]"#));
                assert!(redactor.redact(&text) == expected, "{inner} behind {before} bytes");
            }
        }
    }
    // With escapes, the windows of the levels end at different positions.
    let escapes = r"\u00e9\n".repeat(8000);
    let text = format!(r#"["{escapes}\u0073k-canary-1","{escapes}"]"#);
    assert!(redactor.redact(&text) == text.replace(r"\u0073k-canary-1", MARK));
}

#[test]
fn encoded_secrets_are_redacted_and_base64_stays_decodable() {
    let secret = "sk-CANARY+9f8e/7d6c==";
    let redactor = knows(&[secret]);
    for before in ["", "a", "ab", "user:"] {
        for engine in [&STANDARD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(format!("{before}{secret} and more"));
            // Plain, and as PHP writes it.
            for text in [encoded.clone(), encoded.replace('/', "\\/")] {
                let joined = redactor.redact(&text);
                assert!(joined.contains("redacted"), "{joined}");
                let decoded = String::from_utf8_lossy(&engine.decode(&*joined).unwrap()).into_owned();
                assert!(decoded.starts_with(before) && decoded.ends_with(" and more"), "{decoded}");
            }
        }
    }
    assert_eq!(redactor.redact("?t=sk-CANARY%2B9f8e%2F7d6c%3D%3D&x=1"), "?t=[redacted]&x=1");
    assert_eq!(redactor.redact("?t=sk-CANARY%2b9f8e/7d6c%3d%3d&x=1"), "?t=[redacted]&x=1");
}

#[test]
fn the_parts_of_a_secret_header_are_redacted_too() {
    let redactor = Redactor::default();
    redactor.learn_header(&Secret::new(format!("Basic {}", STANDARD.encode("operator:pass-word-7"))));
    redactor.learn_header(&Secret::new("Token tok-12345"));
    let basic = STANDARD.encode("operator:pass-word-7");
    for (text, expected) in [
        (basic.as_str(), MARK),
        ("you are operator:pass-word-7", "you are [redacted]"),
        ("wrong password pass-word-7", "wrong password [redacted]"),
        ("got tok-12345", "got [redacted]"),
    ] {
        assert_eq!(redactor.redact(text), expected);
    }
}

#[test]
fn a_redactor_without_secrets_changes_nothing_and_children_share_those_of_their_parent() {
    let common = Redactor::default();
    let (one, two) = (common.child(), common.child());
    assert!(one.with_needles(|_| ()).is_none());
    one.learn(&Secret::new("sk-of-one"));
    common.learn(&Secret::new("sk-of-all"));
    let text = "sk-of-one sk-of-all";
    assert_eq!(one.redact(text), "[redacted] [redacted]");
    assert_eq!(two.redact(text), "sk-of-one [redacted]");
    // Renewed secrets do not accumulate.
    for number in 0..SECRETS {
        one.learn(&Secret::new(format!("sk-renewed-{number}")));
    }
    assert_eq!(one.redact("sk-of-one sk-renewed-63"), "sk-of-one [redacted]");
}

/// The data of one artifact event with these parts.
fn event(artifact: &str, parts: &[String], append: bool, last: bool) -> String {
    let parts: Vec<_> = parts.iter().map(|part| format!(r#"{{"text":"{part}"}}"#)).collect();
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"artifactUpdate":{{"taskId":"t","artifact":{{"artifactId":"{artifact}","parts":[{}]}},"append":{append},"lastChunk":{last}}}}}}}"#,
        parts.join(",")
    )
}

/// The events that the core receives, in order: the data is redacted, decoded and joined as the engine does it.
fn joined(redactor: &Redactor, attempt: Option<AttemptKey>, events: &[String]) -> Vec<StreamEvent> {
    let mut out = Vec::new();
    let mut take = |outcome| {
        let mut outcome = Outcome::Subscribe(SubscribeOutcome::Stream(outcome));
        let before = redactor.join(attempt, &mut outcome);
        for outcome in before.into_iter().chain([outcome]) {
            if let Outcome::Subscribe(SubscribeOutcome::Stream(StreamOutcome::Events(events))) = outcome {
                out.extend(events);
            }
        }
    };
    for data in events {
        let data = redactor.redacted(data);
        let event = match codec(Dialect::V1_0).decode_event(&data, &mut Deviations::default()).unwrap() {
            Event::Full(event) => event,
            Event::Chunk { task, artifact, text, last } => StreamEvent::Artifact {
                task: Some((&*task).into()),
                context: None,
                artifact: Artifact::new(&*artifact, vec![Part::text(&*text)]),
                append: true,
                last,
            },
            Event::Error(cause) => panic!("{cause}"),
        };
        take(StreamOutcome::Events(vec![event]));
    }
    take(StreamOutcome::Ended(Ok(())));
    out
}

/// The text of an output as the core joins it.
fn text_of(events: &[StreamEvent], wanted: &str) -> String {
    let mut text = String::new();
    for event in events {
        let StreamEvent::Artifact { artifact, append, .. } = event else { continue };
        if artifact.id.raw() != wanted {
            continue;
        }
        if !append {
            text.clear();
        }
        for part in artifact.parts.iter().filter_map(Part::as_text) {
            text.push_str(part.raw());
        }
    }
    text
}

#[test]
fn a_secret_split_over_events_is_redacted_and_a_partial_match_is_released_at_the_end() {
    let redactor = knows(&["sk-canary-1"]);
    let one = |text: &str| event("a", &[text.to_owned()], true, false);
    let status = |state: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"statusUpdate":{{"taskId":"t","status":{{"state":"TASK_STATE_{state}"}}}}}}}}"#
        )
    };
    let attempt = |number| Some(AttemptKey(number));
    for (number, (events, expected)) in (0..).zip([
        (vec![one("x sk-can"), one("ary-"), one("1 y")], "x [redacted] y"),
        (vec![one("it is"), one(" so")], "it is so"),
        (vec![one("it is")], "it is"),
        (vec![one("sk-"), one("sk-canary-"), one("1")], "sk-[redacted]"),
        // A chunk of another output in between makes no difference, nor does a different task id.
        (vec![one("sk-can"), event("b", &["ary-1".into()], true, false), one("ary-1")], "[redacted]"),
        (vec![one("sk-can"), one("ary-1").replace(r#""taskId":"t""#, r#""taskId":"u""#)], "[redacted]"),
        // What was released because the task waits for an answer is not released again.
        (vec![one("sk-can"), status("INPUT_REQUIRED"), one("ary-1!")], "sk-can!"),
        (vec![one("sk-can"), status("WORKING"), one("ary-1!")], "[redacted]!"),
        // Nothing is held back of a last chunk, nor of an output that is replaced.
        (vec![one("x"), event("a", &["sk-can".into()], true, true), one("ary-1!")], "xsk-can!"),
        (vec![one("sk-can"), event("a", &["ary-1".into()], false, false)], "ary-1"),
        // The parts of one chunk are joined.
        (vec![event("a", &["sk-".into(), "can".into(), "ary-1 y".into()], false, false)], "[redacted] y"),
    ]) {
        let joined = joined(&redactor, attempt(number), &events);
        assert_eq!(text_of(&joined, "a"), expected, "{events:#?}");
    }
    // Another stream of the same attempt continues where the first was cut off.
    let first = joined(&redactor, attempt(90), &[one("x sk-can")]);
    let second = joined(&redactor, attempt(90), &[one("ary-1 y")]);
    assert_eq!(text_of(&first, "a") + &text_of(&second, "a"), "x sk-can y");
    // A stream that was closed reports no end. What it held back is released before the failure to open the next one.
    let kept = || Some(AttemptKey(92));
    let chunk = StreamEvent::Artifact {
        task: None,
        context: None,
        artifact: Artifact::new("a", vec![Part::text("it is")]),
        append: true,
        last: false,
    };
    let stream = StreamOutcome::Events(vec![chunk]);
    redactor.join(kept(), &mut Outcome::Subscribe(SubscribeOutcome::Stream(stream)));
    let failed = || CallKind::Subscribe.unsent(Cause::Refused);
    let mut after = failed();
    let before = redactor.join(kept(), &mut after);
    let Some(Outcome::Subscribe(SubscribeOutcome::Stream(StreamOutcome::Events(held)))) = before else {
        panic!("{before:?}")
    };
    assert_eq!((text_of(&held, "a"), after), ("s".to_owned(), failed()));
    assert_eq!(redactor.join(kept(), &mut failed()), None);
    // What is held back is released before the final state.
    let events = joined(&redactor, attempt(91), &[one("it is"), status("COMPLETED")]);
    let order: Vec<_> = events.iter().map(|event| matches!(event, StreamEvent::Artifact { .. })).collect();
    assert_eq!((order, text_of(&events[..2], "a")), (vec![true, true, false], "it is".to_owned()));
}

#[test]
fn the_number_of_held_back_ends_is_bounded_and_no_secret_slips_through() {
    let redactor = knows(&["sk-canary-1"]);
    let attempt = Some(AttemptKey(1));
    let chunk = |number: usize, text: &str| event(&format!("a{number}"), &[text.to_owned()], true, false);
    let mut events: Vec<String> = (0..400).map(|number| chunk(number, "sk-can")).collect();
    events.extend((0..400).map(|number| chunk(number, "ary-1")));
    let joined = joined(&redactor, attempt, &events);
    for number in 0..400 {
        let text = text_of(&joined, &format!("a{number}"));
        assert!(text == MARK || text == format!("{MARK}ary-1"), "{number}: {text}");
    }
}

#[test]
fn parts_of_messages_and_tasks_are_joined() {
    let redactor = knows(&["sk-canary-1"]);
    let parts = r#"[{"text":"x sk-can"},{"data":{"a":1}},{"text":"ary-1 y"}]"#;
    let message = format!(r#"{{"messageId":"m","role":"ROLE_AGENT","parts":{parts}}}"#);
    let task = format!(
        r#"{{"id":"t","status":{{"state":"TASK_STATE_COMPLETED","message":{message}}},"history":[{message}],"artifacts":[{{"artifactId":"a","parts":{parts}}}]}}"#
    );
    let text = |parts: &[Part]| {
        parts.iter().filter_map(Part::as_text).map(|text| text.raw().to_owned()).collect::<String>()
    };
    let text_of_message = |message: &Message| text(&message.parts);
    for result in [
        format!(r#"{{"task":{task}}}"#),
        format!(r#"{{"message":{message}}}"#),
        format!(r#"{{"tasks":[{task}],"nextPageToken":""}}"#),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let reply =
            codec(Dialect::V1_0).decode_reply(&redactor.redacted(&body), &mut Deviations::default()).unwrap();
        let took = Duration::ZERO;
        let mut outcome = match reply {
            Reply::Task(value) => Outcome::Send(SendOutcome::Task(Answered { value, took })),
            Reply::Message(value) => Outcome::Send(SendOutcome::Message(Answered { value, took })),
            Reply::Page { tasks, next, total, unread } => {
                Outcome::List(Ok(Answered { value: Page { tasks, next, total, unread }, took }))
            }
        };
        redactor.join(None, &mut outcome);
        let texts = match outcome {
            Outcome::Send(SendOutcome::Message(message)) => vec![text_of_message(&message.value)],
            Outcome::Send(SendOutcome::Task(task)) => texts(&task.value, text_of_message, text),
            Outcome::List(Ok(page)) => texts(&page.value.tasks[0], text_of_message, text),
            other => panic!("{other:?}"),
        };
        assert!(texts.iter().all(|text| text == "x [redacted] y"), "{texts:?}");
    }
}

fn texts(
    task: &crate::domain::job::task::TaskReport,
    text_of_message: impl Fn(&Message) -> String,
    text: impl Fn(&[Part]) -> String,
) -> Vec<String> {
    let messages = task.status.message.iter().chain(&task.history).map(text_of_message);
    messages.chain(task.artifacts.iter().flatten().map(|artifact| text(&artifact.parts))).collect()
}

/// A character in one of the ways that JSON can write it.
fn escaped(c: char, way: u8) -> String {
    let units = |upper: bool| {
        c.encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") })
            .collect::<String>()
    };
    match (way % 4, c) {
        (0, _) => units(false),
        (1, _) => units(true),
        (2, '/') => "\\/".to_owned(),
        (_, '"') => "\\\"".to_owned(),
        (_, '\\') => "\\\\".to_owned(),
        _ => c.to_string(),
    }
}

/// A secret begins with a letter that occurs nowhere else, so that there is only one way to remove it. It contains
/// neither `[` nor `r`: the marks begin with these, and a secret that ends with one would be completed by a mark that
/// follows the rest of it.
fn secret() -> impl Strategy<Value = String> {
    r"K[!-JL-Z\-jl-qs-~]{5,40}"
}

/// The secret in one of its forms, the beginning of it, or something else.
fn piece(secret: &str, kind: u8, filler: &str) -> String {
    let forms = forms::forms(secret);
    match kind {
        0..=3 => secret.to_owned(),
        4..=7 => forms[usize::from(kind) * 7 % forms.len()].text.clone(),
        8..=10 => secret[..usize::from(kind) % secret.len()].to_owned(),
        _ => filler.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_form_of_a_secret_survives_any_escaping_and_splitting(
        secret in secret(),
        pieces in prop::collection::vec((0u8..16, "[a-j0-9 é😀]{0,6}"), 0..6),
        ways in prop::collection::vec(any::<u8>(), 1..40),
        cuts in prop::collection::vec((1usize..9, 1usize..4), 1..12),
        last in any::<bool>(),
    ) {
        let redactor = knows(&[&secret]);
        let text: String = pieces.iter().map(|(kind, filler)| piece(&secret, *kind, filler)).collect();
        // Cut into chunks, and these into parts, at arbitrary places.
        let mut rest: Vec<char> = text.chars().collect();
        let (mut events, mut escapes) = (Vec::new(), ways.iter().cycle());
        let mut cuts_again = cuts.iter().cycle();
        while !rest.is_empty() {
            let (length, parts) = cuts_again.next().unwrap();
            let parts: Vec<String> = (0..*parts)
                .map(|_| rest.drain(..(*length).min(rest.len())).map(|c| escaped(c, *escapes.next().unwrap())).collect())
                .collect();
            events.push(event("a", &parts, !events.is_empty(), last && rest.is_empty()));
        }
        let joined = joined(&redactor, Some(AttemptKey(7)), &events);
        let joined_text = text_of(&joined, "a");
        for form in forms::forms(&secret) {
            prop_assert!(!joined_text.contains(&form.text), "{} in {joined_text}", form.text);
        }
        // Nothing else is changed.
        if pieces.iter().all(|(kind, _)| !(4..=7).contains(kind)) {
            prop_assert_eq!(&joined_text, &text.replace(&secret, MARK));
        }
        // The same in one piece, in a body that is kept as it was received.
        let whole: String = text.chars().zip(ways.iter().cycle()).map(|(c, way)| escaped(c, *way)).collect();
        let body = format!(r#"{{"{whole}":["{whole}"]}}"#);
        let clean = redactor.redacted(&body);
        let value: serde_json::Value = serde_json::from_str(&clean).unwrap();
        let (key, value) = value.as_object().unwrap().iter().next().unwrap();
        for form in forms::forms(&secret) {
            prop_assert!(!clean.contains(&form.text) || form.text.contains('"'));
            prop_assert!(!key.contains(&form.text) && !value[0].as_str().unwrap().contains(&form.text));
        }
        if !pieces.iter().any(|(kind, _)| (0..=7).contains(kind)) && !text.contains(&secret) {
            prop_assert_eq!(&*clean, &body);
        }
    }
}
