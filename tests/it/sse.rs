//! The guard before event streams: any chunking gives the same events, and it agrees with
//! `eventsource-stream` on every input on which that one is right.

use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use quarterdeck::domain::cause::{Cause, Limit};
use quarterdeck::protocol::sse::{Guard, MOST};

type Events = Vec<(String, String)>;

fn guarded(chunks: &[&[u8]]) -> Result<Events, Cause> {
    let mut events = Vec::new();
    let mut guard = Guard::new();
    for chunk in chunks {
        guard.push(chunk, |event| events.push((event.name.into_owned(), event.data.into_owned())))?;
    }
    guard.finish(|event| events.push((event.name.into_owned(), event.data.into_owned())));
    Ok(events)
}

/// The oracle, fed with one whole chunk; it must not see a byte order mark.
fn oracle(text: &str) -> Events {
    let bytes = text.to_owned();
    let parser = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]).eventsource();
    let events = parser.collect::<Vec<_>>().now_or_never().unwrap();
    events
        .into_iter()
        .filter_map(Result::ok)
        .map(|event| (if event.event == "message" { String::new() } else { event.event }, event.data))
        .collect()
}

#[track_caller]
fn check(input: &[u8], expected: &[(&str, &str)]) {
    let expected: Events = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(guarded(&[input]).unwrap(), expected, "whole: {:?}", String::from_utf8_lossy(input));
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(guarded(&bytes).unwrap(), expected, "byte by byte: {:?}", String::from_utf8_lossy(input));
}

#[test]
fn every_way_to_frame_an_event_is_read() {
    check(b"data: a\n\n", &[("", "a")]);
    check(b"data:a\r\n\r\n", &[("", "a")]);
    check(b"data: a\r\r", &[("", "a")]);
    check(b"data: a\r\n\ndata: b\n\r\n", &[("", "a"), ("", "b")]);
    check(b"\xef\xbb\xbfdata: a\n\n", &[("", "a")]);
    check(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", &[]);
    check(b"data: {\ndata:   \"a\": 1\ndata: }\n\n", &[("", "{\n  \"a\": 1\n}")]);
    check(b"event: error\ndata: {}\n\n", &[("error", "{}")]);
    check(b": ping - now\n\n: again\r\n\r\ndata: a\n\n", &[("", "a")]);
    check(b": before\ndata: a\n: after\n\n", &[("", "a")]);
    check(b"id: 7\nretry: 10\ndata: a\n\n", &[("", "a")]);
    check(b"event: empty\n\n", &[]);
    check("data: é東\n\n".as_bytes(), &[("", "é東")]);
    check(b"data: \xff\xfe\n\ndata: b\n\n", &[("", "\u{fffd}\u{fffd}"), ("", "b")]);
    check(b"data: never ended", &[]);
    check(b"data: a\n", &[]);
    // What is not ended is taken if it is a whole JSON document.
    check(b"data: {\"a\":1}\n", &[("", "{\"a\":1}")]);
    check(b"data: {\"a\":1}", &[("", "{\"a\":1}")]);
    check(b"event: e\r\ndata: {\"a\":\r\ndata: 1}\r\n", &[("e", "{\"a\":\n1}")]);
    check(b"data: {\"a\":1", &[]);
    check(b"data: {\"a\":1}\ndata: {\"b\"", &[]);
    check(b"data: [1]\n", &[]);
    // JSON documents in lines, with the separators of RFC 7464 or without.
    check(b"{\"a\":1}\n{\"b\":2}", &[("", "{\"a\":1}"), ("", "{\"b\":2}")]);
    check(b"\x1e{\"a\":1}\n\x1e{\"b\":2}\r\n\r\n", &[("", "{\"a\":1}"), ("", "{\"b\":2}")]);
    check(b"{\"a\":\ndata: b\n\n", &[("", "b")]);
    check(b"data\n\n", &[("", "")]);
    check(b"data: \n\n", &[("", "")]);
    check(b"nonsense\n\ndata: b\n\n", &[("", "b")]);
}

#[test]
fn long_lines_and_events_end_the_stream() {
    let long = vec![b'x'; MOST + 2];
    assert_eq!(guarded(&[b"data: ", &long]), Err(Cause::Limit(Limit::SseLine)));
    let mut guard = Guard::new();
    let line = [b"data: ".as_slice(), &vec![b'x'; 1 << 20], b"\n"].concat();
    let ended = (0..9).find_map(|_| guard.push(&line, |_| {}).err());
    assert_eq!(ended, Some(Cause::Limit(Limit::SseEvent)));
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data:".to_vec()),
        Just(b"event: e".to_vec()),
        Just(b"id: 1".to_vec()),
        Just(b": note".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(vec![0xef, 0xbb, 0xbf]),
        Just("é東👩".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
        "[ -~]{0,20}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(bytes in pieces(), cuts in prop::collection::vec(0usize..400, 0..12)) {
        let whole = guarded(&[&bytes]).unwrap();
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&bytes[from..cut.max(from)]);
            from = cut.max(from);
        }
        chunks.push(&bytes[from..]);
        prop_assert_eq!(guarded(&chunks).unwrap(), whole);
    }

    /// Line feeds only, no mark, valid UTF-8, no lone CR: there `eventsource-stream` is right.
    #[test]
    fn the_parser_agrees_with_the_oracle(lines in prop::collection::vec("(data:|data: |event: |id: |: |retry: )?[ -~é]{0,12}", 0..30)) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        prop_assert_eq!(guarded(&[text.as_bytes()]).unwrap(), oracle(&text));
    }
}
