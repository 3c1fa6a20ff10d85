//! Tasks that agents delegated, seen by us and told by the agents themselves: each is shown once.

use std::collections::BTreeMap;

use super::convention;
use super::model::{Span, SpanKind};
use crate::domain::text::Untrusted;
use crate::domain::trace::SpanId;

/// Puts our spans of delegated tasks where they belong. An agent that serves such a task knows more about it than we have
/// seen: then our job and attempt give way to its span. If only the caller is instrumented, the job is below its call.
pub fn place(own: Vec<Span>, received: &[Span]) -> Vec<Span> {
    let mut serving: BTreeMap<Untrusted, &Span> = BTreeMap::new();
    let mut calls: BTreeMap<Untrusted, SpanId> = BTreeMap::new();
    for span in received {
        let Some(task) = span.text(convention::A2A_TASK) else { continue };
        match span.kind {
            // Of several requests about a task, the first one made it.
            SpanKind::Server => {
                let first = serving.entry(task).or_insert(span);
                if (span.start, span.id) < (first.start, first.id) {
                    *first = span;
                }
            }
            SpanKind::Client => {
                calls.entry(task).or_insert(span.id);
            }
            SpanKind::Unspecified | SpanKind::Internal | SpanKind::Producer | SpanKind::Consumer => {}
        }
    }
    let parents: BTreeMap<SpanId, SpanId> =
        own.iter().chain(received).filter_map(|span| Some((span.id, span.parent?))).collect();
    let is_below = |span: SpanId, above: SpanId| {
        let mut at = Some(span);
        // A circle of parents ends too.
        for _ in 0..=parents.len() {
            match at {
                Some(place) if place == above => return true,
                Some(place) => at = parents.get(&place).copied(),
                None => return false,
            }
        }
        false
    };
    let delegated = |job: SpanId| own.iter().any(|span| span.id == job && span.parent.is_some());
    // What takes the place of which span of ours, and what has another parent.
    let (mut replaced, mut moved) = (BTreeMap::new(), BTreeMap::new());
    for attempt in own.iter().filter(|span| span.is_attempt()) {
        let (Some(job), Some(task)) = (attempt.parent, attempt.text(convention::A2A_TASK)) else { continue };
        if !delegated(job) {
            continue;
        }
        if let Some(server) = serving.get(&task).filter(|server| !is_below(server.id, attempt.id)) {
            replaced.insert(attempt.id, server.id);
            replaced.insert(job, server.id);
        } else if let Some(call) = calls.get(&task).filter(|call| !is_below(**call, job)) {
            moved.insert(job, *call);
        }
    }
    // A job with an attempt of which nobody tells stays.
    let stays = |job: &SpanId| {
        own.iter()
            .any(|span| span.parent == Some(*job) && span.is_attempt() && !replaced.contains_key(&span.id))
    };
    let kept: Vec<SpanId> = replaced.keys().copied().filter(stays).collect();
    for job in kept {
        replaced.remove(&job);
    }
    let place = |mut span: Span| {
        let parent = span.parent.map(|parent| *replaced.get(&parent).unwrap_or(&parent));
        span.parent = moved.get(&span.id).copied().or(parent);
        span
    };
    own.into_iter().filter(|span| !replaced.contains_key(&span.id)).map(place).collect()
}
