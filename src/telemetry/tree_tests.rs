//! Trees of small traces, drawn as text.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::trace::TraceId;
use crate::telemetry::model::{Attribute, Resource, SpanEvent, SpanKind, SpanStatus};

const SECOND: u64 = 1_000_000_000;

/// A span of a service from and until seconds.
fn span(id: u8, parent: u8, service: &str, from: f64, until: f64) -> Span {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a test")]
    let nanos = |seconds: f64| UnixNanos((seconds * 1000.0) as u64 * 1_000_000);
    Span {
        trace: TraceId([1; 16]),
        id: SpanId([id; 8]),
        parent: (parent > 0).then_some(SpanId([parent; 8])),
        name: Untrusted::from(format!("s{id}")),
        kind: SpanKind::Internal,
        start: nanos(from),
        end: Some(nanos(until)),
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        resource: Arc::new(Resource { attributes: vec![Attribute::text(convention::SERVICE_NAME, service)] }),
        scope: Untrusted::default(),
    }
}

/// An attempt of ours at an agent, which said something at these seconds.
fn attempt(id: u8, parent: u8, agent: &str, (from, until): (f64, f64), heard: &[f64]) -> Span {
    let mut attempt = span(id, parent, SERVICE, from, until);
    attempt.attributes =
        vec![Attribute::int(convention::ATTEMPT, 1), Attribute::text(convention::AGENT_NAME, agent)];
    let at = |seconds: &f64| span(1, 0, "", *seconds, *seconds).start;
    attempt.events = heard
        .iter()
        .map(|seconds| SpanEvent { at: at(seconds), name: "working".into(), attributes: Vec::new() })
        .collect();
    attempt
}

fn seconds(at: UnixNanos) -> String {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
    let seconds = at.0 as f64 / SECOND as f64;
    seconds.to_string()
}

fn draw(trace: &Trace) -> String {
    let line = |line: &Line| {
        let name = match line.what {
            What::Span(place) => trace.spans[place].name.to_string(),
            What::Gap => "nobody".to_owned(),
        };
        let parts: Vec<String> = line
            .critical
            .iter()
            .map(|(from, until)| format!("{}-{}", seconds(*from), seconds(*until)))
            .collect();
        let moved = if line.moved == 0 {
            String::new()
        } else {
            format!(" moved {}s", line.moved / SECOND.cast_signed())
        };
        let orphan = if line.orphan { " orphan" } else { "" };
        format!(
            "{}{name} {} {}-{} [{}]{moved}{orphan}",
            "  ".repeat(line.depth),
            line.agent,
            seconds(line.start),
            seconds(line.end),
            parts.join(" ")
        )
    };
    let mut drawn: Vec<String> = trace.lines.iter().map(line).collect();
    let shares = trace.shares.iter().map(|share| {
        let who = share.who.as_ref().map_or("nobody".to_owned(), |who| who.to_string());
        format!("{who} {:?}", share.time)
    });
    drawn.push(shares.collect::<Vec<_>>().join(", "));
    drawn.join("\n")
}

#[track_caller]
fn check(own: Vec<Span>, spans: Vec<Span>, expected: &[&str]) {
    let trace = build(TraceSpans { spans, own, ..TraceSpans::default() }, UnixNanos(100 * SECOND));
    assert_eq!(draw(&trace).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_tree_shows_what_the_whole_waited_for() {
    let spans = vec![
        span(3, 1, "b", 5.0, 9.0),
        span(1, 0, "a", 0.0, 10.0),
        span(2, 1, "b", 1.0, 4.0),
        span(4, 3, "c", 6.0, 7.0),
    ];
    check(
        Vec::new(),
        spans,
        &[
            "s1 a 0-10 [0-1 4-5 9-10]",
            "  s2 b 1-4 [1-4]",
            "  s3 b 5-9 [5-6 7-9]",
            "    s4 c 6-7 [6-7]",
            "b 6s, a 3s, c 1s",
        ],
    );
    // Of spans that run beside each other, the one that ends last is waited for.
    let beside = vec![span(1, 0, "a", 0.0, 10.0), span(2, 1, "b", 0.0, 8.0), span(3, 1, "c", 2.0, 10.0)];
    check(Vec::new(), beside, &["s1 a 0-10 []", "  s2 b 0-8 [0-2]", "  s3 c 2-10 [2-10]", "c 8s, b 2s"]);
}

#[test]
fn whatever_is_received_has_a_place() {
    // A parent that never comes, a span that is its own parent, and a circle.
    let odd = vec![
        span(1, 9, "a", 0.0, 1.0),
        span(2, 2, "a", 1.0, 2.0),
        span(3, 4, "a", 2.0, 3.0),
        span(4, 3, "a", 2.5, 3.0),
    ];
    check(
        Vec::new(),
        odd,
        &["s1 a 0-1 [0-1] orphan", "s2 a 1-2 [] orphan", "s3 a 2-3 [] orphan", "  s4 a 2.5-3 []", "a 1s"],
    );
    // Of duplicates, the longest counts, and one of our own before all.
    let twice = vec![span(1, 0, "a", 0.0, 1.0), span(1, 0, "a", 0.0, 3.0), span(1, 0, "a", 0.0, 2.0)];
    check(Vec::new(), twice.clone(), &["s1 a 0-3 [0-3]", "a 3s"]);
    check(vec![span(1, 0, "q", 0.0, 1.0)], twice, &["s1 q 0-1 [0-1]", "q 1s"]);
    check(Vec::new(), Vec::new(), &[]);
}

#[test]
fn a_clock_that_differs_is_moved_into_what_called() {
    let spans = vec![
        span(1, 0, "a", 10.0, 20.0),
        span(2, 1, "b", 3610.0, 3616.0),
        span(3, 2, "b", 3611.0, 3612.0),
        span(4, 3, "c", 11.0, 12.0),
    ];
    check(
        Vec::new(),
        spans,
        &[
            "s1 a 10-20 [10-12 18-20]",
            "  s2 b 12-18 [12-13 14-18] moved -3598s",
            "    s3 b 13-14 [] moved -3598s",
            "      s4 c 13-14 [13-14] moved 2s",
            "b 5s, a 4s, c 1s",
        ],
    );
    // What a server goes on with after its answer is no fault of its clock.
    let after = vec![span(1, 0, "a", 0.0, 2.0), span(2, 1, "b", 1.0, 5.0)];
    check(Vec::new(), after, &["s1 a 0-2 [0-1]", "  s2 b 1-5 [1-2]", "a 1s, b 1s"]);
}

#[test]
fn plumbing_is_looked_through() {
    let mut plumbing = [span(2, 1, "a", 0.0, 10.0), span(3, 1, "a", 0.0, 9.0)];
    for span in &mut plumbing {
        span.scope = "a2a-python-sdk".into();
    }
    let [receive, dispatch] = plumbing;
    // What waits for the next event lasts as long as the request, and nobody waits for it.
    let spans = vec![
        span(1, 0, "a", 0.0, 10.0),
        receive,
        dispatch,
        span(4, 3, "b", 1.0, 9.0),
        span(5, 4, "c", 2.0, 8.0),
    ];
    check(
        Vec::new(),
        spans,
        &[
            "s1 a 0-10 [0-1 9-10]",
            "  s2 a 0-10 []",
            "  s3 a 0-9 []",
            "    s4 b 1-9 [1-2 8-9]",
            "      s5 c 2-8 [2-8]",
            "c 6s, a 2s, b 2s",
        ],
    );
}

#[test]
fn what_is_left_out_leaves_its_children_where_it_stood() {
    let mut spans = vec![
        span(1, 0, "a", 0.0, 10.0),
        span(2, 1, "a", 0.0, 9.0),
        span(3, 2, "b", 1.0, 8.0),
        span(4, 1, "c", 9.0, 10.0),
    ];
    spans[1].scope = "a2a-python-sdk".into();
    let trace = build(TraceSpans { spans, ..TraceSpans::default() }, UnixNanos(0)).without_plumbing();
    let lines: Vec<_> = trace.lines.iter().map(|line| (line.agent.raw(), line.depth, line.below)).collect();
    assert_eq!(lines, [("a", 0, 2), ("b", 1, 0), ("c", 1, 0)]);
    assert_eq!(trace.left_out, 1);
}

#[test]
fn an_attempt_has_its_agents_name_and_its_silences() {
    let own = vec![span(1, 0, SERVICE, 0.0, 60.0), attempt(2, 1, "cashier", (1.0, 60.0), &[2.0, 58.0])];
    check(
        own.clone(),
        Vec::new(),
        &[
            "s1 quarterdeck 0-60 [0-1]",
            "  s2 cashier 1-60 [1-60]",
            "    nobody  2-58 [2-58]",
            "    nobody  58-60 [58-60]",
            "nobody 58s, cashier 1s, quarterdeck 1s",
        ],
    );
    // The service that an attempt called is that agent, whatever it calls itself; it says what it does.
    let received = vec![span(3, 2, "till", 2.0, 58.0), span(4, 3, "ledger", 10.0, 20.0)];
    check(
        own,
        received,
        &[
            "s1 quarterdeck 0-60 [0-1]",
            "  s2 cashier 1-60 [1-2 58-60]",
            "    s3 cashier 2-58 [2-10 20-58]",
            "      s4 ledger 10-20 [10-20]",
            "    nobody  58-60 [58-60]",
            "cashier 47s, ledger 10s, nobody 2s, quarterdeck 1s",
        ],
    );
}

#[test]
fn what_ends_later_than_its_caller_was_not_waited_for() {
    let spans = vec![
        span(1, 0, "a", 0.0, 10.0),
        span(2, 1, "a", 1.0, 1.5),
        span(3, 2, "b", 1.25, 8.0),
        span(4, 1, "a", 8.0, 20.0),
    ];
    check(
        Vec::new(),
        spans,
        &[
            "s1 a 0-10 [0-1 1.5-10]",
            "  s2 a 1-1.5 [1-1.25]",
            "    s3 b 1.25-8 [1.25-1.5]",
            "  s4 a 8-20 []",
            "a 9.75s, b 250ms",
        ],
    );
}

#[test]
fn a_task_that_was_delegated_is_shown_once() {
    let task = |mut span: Span, kind: SpanKind, task: &str| {
        span.kind = kind;
        span.attributes.push(Attribute::text(convention::A2A_TASK, task));
        span
    };
    let own = vec![
        span(1, 0, SERVICE, 0.0, 20.0),
        attempt(2, 1, "guide", (0.0, 20.0), &[]),
        span(3, 2, SERVICE, 3.0, 9.0),
        task(attempt(4, 3, "hotel", (3.0, 9.0), &[]), SpanKind::Client, "t-hotel"),
        span(5, 4, SERVICE, 5.0, 6.0),
        span(6, 2, SERVICE, 3.0, 9.0),
        task(
            attempt(7, 6, "taxi", (3.0, 9.0), &[3.5, 4.25, 5.0, 5.75, 6.5, 7.25, 8.0, 8.75]),
            SpanKind::Client,
            "t-taxi",
        ),
    ];
    let received = vec![
        span(8, 2, "guide", 0.0, 20.0),
        task(span(9, 8, "guide", 1.0, 8.0), SpanKind::Client, "t-hotel"),
        task(span(10, 9, "hotel", 2.0, 8.0), SpanKind::Server, "t-hotel"),
        task(span(11, 8, "guide", 2.0, 3.0), SpanKind::Client, "t-taxi"),
    ];
    check(
        own,
        received,
        &[
            "s1 quarterdeck 0-20 []",
            "  s2 guide 0-20 []",
            "    s8 guide 0-20 [0-1 8-20]",
            "      s9 guide 1-8 [1-2]",
            "        s10 hotel 2-8 [2-5 6-8]",
            "          s5 quarterdeck 5-6 [5-6]",
            "      s11 guide 2-3 []",
            "        s6 quarterdeck 3-9 []",
            "          s7 taxi 3-9 []",
            "guide 14s, hotel 5s, quarterdeck 1s",
        ],
    );
}

/// Spans are sent when they end: until then, and forever if their process dies, those within them come without them.
#[test]
fn what_came_without_its_parent_is_below_its_agents_attempt() {
    let own = vec![span(1, 0, SERVICE, 0.0, 20.0), attempt(2, 1, "hotel", (0.0, 20.0), &[])];
    let ahead = vec![span(4, 9, "hotel", 3602.0, 3604.0), span(5, 9, "hotel", 3604.0, 3608.0)];
    check(
        own.clone(),
        ahead,
        &[
            "s1 quarterdeck 0-20 []",
            "  s2 hotel 0-20 [0-7 13-20]",
            "    nobody  0-7 [0-7]",
            "    s4 hotel 7-9 [7-9] moved -3595s orphan",
            "    s5 hotel 9-13 [9-13] moved -3595s orphan",
            "    nobody  13-20 [13-20]",
            "nobody 14s, hotel 6s",
        ],
    );
    // Nobody knows where the spans of others belong.
    let others = vec![span(4, 9, "taxi", 2.0, 4.0)];
    check(
        own,
        others,
        &[
            "s1 quarterdeck 0-20 []",
            "  s2 hotel 0-20 [0-20]",
            "    nobody  0-20 [0-20]",
            "s4 taxi 2-4 [] orphan",
            "nobody 20s",
        ],
    );
}

/// An agent that comes back goes on after we gave its attempt up, and is asked to cancel what it had: that is no other clock.
#[test]
fn what_an_agent_does_after_an_attempt_is_not_moved() {
    let own = vec![span(1, 0, SERVICE, 0.0, 20.0), attempt(2, 1, "hotel", (0.0, 5.0), &[1.0, 2.0, 3.0, 4.0])];
    let late = vec![span(4, 2, "hotel", 30.0, 40.0)];
    check(
        own,
        late,
        &[
            "s1 quarterdeck 0-20 [5-20]",
            "  s2 hotel 0-5 [0-5]",
            "    s4 hotel 30-40 []",
            "quarterdeck 15s, hotel 5s",
        ],
    );
}

/// While no stream tells what an agent does, nobody says; what the agent itself says counts. Our own verdict ends no silence.
#[test]
fn nobody_says_while_there_is_no_stream() {
    let mut no_stream = span(3, 2, SERVICE, 4.0, 8.0);
    no_stream.name = NO_STREAM.into();
    let mut of = attempt(2, 1, "taxi", (0.0, 20.0), &[0.5, 12.0]);
    of.events[1].attributes.push(Attribute::text(convention::UNTOLD, "silent"));
    let own = vec![span(1, 0, SERVICE, 0.0, 20.0), of, no_stream];
    check(
        own.clone(),
        Vec::new(),
        &[
            "s1 quarterdeck 0-20 []",
            "  s2 taxi 0-20 [0-20]",
            "    nobody  0.5-4 [0.5-4]",
            "    no stream quarterdeck 4-8 [4-8]",
            "    nobody  8-20 [8-20]",
            "nobody 19.5s, taxi 500ms",
        ],
    );
    check(
        own,
        vec![span(4, 2, "taxi", 0.5, 20.0)],
        &[
            "s1 quarterdeck 0-20 []",
            "  s2 taxi 0-20 [0-0.5]",
            "    s4 taxi 0.5-20 [0.5-20]",
            "    no stream quarterdeck 4-8 []",
            "taxi 20s",
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every span has one line, below counts are right, and the critical path neither overlaps nor exceeds the trace.
    #[test]
    fn any_spans_make_a_tree(
        of in prop::collection::vec((1..12_u8, 0..12_u8, 0..4_usize, 0..50_u32, 0..50_u32), 0..30),
    ) {
        let services = ["a", "b", "c", SERVICE];
        let spans: Vec<Span> = of
            .into_iter()
            .map(|(id, parent, service, from, took)| {
                span(id, parent, services[service], from.into(), f64::from(from + took))
            })
            .collect();
        let ids: BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
        let trace = build(TraceSpans { spans, ..TraceSpans::default() }, UnixNanos(100 * SECOND));
        prop_assert_eq!(trace.lines.iter().filter(|line| line.what != What::Gap).count(), ids.len());
        for (place, line) in trace.lines.iter().enumerate() {
            let below = trace.lines[place + 1..].iter().take_while(|other| other.depth > line.depth).count();
            prop_assert_eq!(below, line.below);
        }
        let mut parts: Vec<_> = trace.lines.iter().flat_map(|line| line.critical.clone()).collect();
        parts.sort_unstable();
        prop_assert!(parts.windows(2).all(|two| two[0].1 <= two[1].0), "{:?}", parts);
        let shared: Duration = trace.shares.iter().map(|share| share.time).sum();
        prop_assert!(shared <= trace.end.since(trace.start));
    }
}
