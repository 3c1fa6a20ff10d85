//! The metrics of the fleet for Prometheus, at `/metrics` of the listeners for telemetry.

use std::collections::BTreeMap;

use http::{Method, StatusCode};

use super::exposition::{Page, TEXT};
use super::http::{Body, Caller, Reply, Route};
use crate::domain::agent::Health;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::id::AgentId;
use crate::domain::metrics::{BOUNDS, FleetTotals, TaskTotals, Timing};
use crate::domain::state::snapshot::Snapshot;
use crate::engine::{Answer, Handle, Query};
use crate::telemetry::query::{TelemetryAnswer, TelemetryQuery, TelemetryStatus};

/// The route; whoever may read the listener may scrape it.
pub(super) fn route(handle: &Handle) -> Route {
    let handle = handle.clone();
    Route::new(Method::GET, "/metrics", Body::None, Caller::Reader, move |_call| scrape(handle.clone()))
}

async fn scrape(handle: Handle) -> Reply {
    let totals = handle.query(Query::Totals).await;
    let status = handle.telemetry(TelemetryQuery::Status).await;
    match (totals, status) {
        (Ok(Answer::Totals(totals)), Ok(TelemetryAnswer::Status(status))) => {
            let snapshot = handle.snapshot();
            Reply::of(StatusCode::OK, TEXT, text(&snapshot, &totals, &status))
        }
        _ => Reply::busy(StatusCode::SERVICE_UNAVAILABLE, "the engine is ending"),
    }
}

/// All metrics as text.
fn text(snapshot: &Snapshot, totals: &FleetTotals, status: &TelemetryStatus) -> String {
    let mut page = Page::default();
    fleet(&mut page, snapshot);
    let names: BTreeMap<AgentId, String> =
        snapshot.agents.iter().map(|(_, agent)| (agent.id, agent.name.line().into_string())).collect();
    let rows: Vec<(&str, String, &TaskTotals)> = totals
        .totals
        .iter()
        .filter_map(|(agent, skill, totals)| {
            let skill = skill.map(|skill| skill.line().into_string()).unwrap_or_default();
            Some((names.get(&agent)?.as_str(), skill, totals))
        })
        .collect();
    tasks(&mut page, &rows);
    queue(&mut page, snapshot, totals);
    telemetry(&mut page, status);
    page.into_text()
}

fn fleet(page: &mut Page, snapshot: &Snapshot) {
    let listed = || snapshot.agents.iter().map(|(_, agent)| agent).filter(|agent| agent.listed);
    page.metric("quarterdeck_agents", "gauge", "Agents of the fleet by their health.");
    for health in Health::ALL {
        let count = listed().filter(|agent| agent.health == health).count();
        page.sample("quarterdeck_agents", &[("health", health.as_str())], count);
    }
    page.metric("quarterdeck_breakers_open", "gauge", "Agents whose breaker is not closed.");
    let open = listed().filter(|agent| agent.breaker.position != BreakerState::Closed).count();
    page.sample("quarterdeck_breakers_open", &[], open);
    // What goes on is what somebody may have to look at; ended tasks may be a million.
    let mut live: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (key, agent) in snapshot.agents.iter() {
        for attempt in snapshot.attention.of(key).filter_map(|key| snapshot.attempts.get(key)) {
            let task = attempt.task.as_ref().filter(|_| attempt.is_live());
            if let Some(task) = task {
                let name = agent.name.line().into_string();
                *live.entry((name, task.state.word())).or_default() += 1;
            }
        }
    }
    page.metric("quarterdeck_tasks", "gauge", "Tasks that go on, by agent and state.");
    for ((agent, state), count) in live {
        page.sample("quarterdeck_tasks", &[("agent", &agent), ("state", &state)], count);
    }
    page.metric("quarterdeck_problems", "gauge", "Open problems by severity.");
    let mut problems: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, problem) in snapshot.problems.iter().filter(|(_, problem)| problem.cleared.is_none()) {
        *problems.entry(problem.severity().as_str()).or_default() += 1;
    }
    for (severity, count) in problems {
        page.sample("quarterdeck_problems", &[("severity", severity)], count);
    }
}

type Count = fn(&TaskTotals) -> u64;
type Durations = fn(&TaskTotals) -> &Timing;

fn tasks(page: &mut Page, rows: &[(&str, String, &TaskTotals)]) {
    let counters: [(&str, &str, Count); 6] = [
        ("tasks_completed_total", "Tasks that completed, or were answered with a message.", |of| {
            of.completed
        }),
        ("tasks_failed_total", "Tasks that their agents ended as failed.", |of| of.failed),
        ("tasks_refused_total", "Tasks that were rejected, or messages that were never delivered.", |of| {
            of.refused
        }),
        ("tasks_lost_total", "Tasks that their agents forgot, or that were presumed lost.", |of| of.lost),
        ("tasks_canceled_total", "Tasks that ended by a cancel.", |of| of.canceled),
        (
            "task_retries_total",
            "Attempts that followed an earlier one of their job, or ran beside it.",
            |of| of.retries,
        ),
    ];
    for (name, help, count) in counters {
        page.metric(name, "counter", help);
        for (agent, skill, totals) in rows {
            page.sample(name, &[("agent", agent), ("skill", skill)], count(totals));
        }
    }
    let timings: [(&str, &str, Durations); 2] = [
        ("task_duration_seconds", "From opening a job until nothing more was tried.", |of| &of.duration),
        ("task_processing_time_seconds", "From the acceptance of an attempt to its end.", |of| {
            &of.processing
        }),
    ];
    for (name, help, timing) in timings {
        page.metric(name, "histogram", help);
        for (agent, skill, totals) in rows {
            histogram(page, name, (agent, skill), timing(totals));
        }
    }
}

fn histogram(page: &mut Page, name: &str, (agent, skill): (&str, &str), timing: &Timing) {
    let mut below = 0;
    let bucket = format!("{name}_bucket");
    for (place, count) in timing.buckets.iter().enumerate() {
        below += count;
        #[expect(clippy::cast_precision_loss, reason = "at most an hour in milliseconds")]
        let bound =
            BOUNDS.get(place).map_or("+Inf".to_owned(), |millis| (*millis as f64 / 1000.0).to_string());
        page.sample(&bucket, &[("agent", agent), ("skill", skill), ("le", &bound)], below);
    }
    let labels = [("agent", agent), ("skill", skill)];
    page.sample(&format!("{name}_sum"), &labels, timing.sum.as_secs_f64());
    page.sample(&format!("{name}_count"), &labels, timing.count());
}

fn queue(page: &mut Page, snapshot: &Snapshot, totals: &FleetTotals) {
    page.metric("quarterdeck_queue_depth", "gauge", "Jobs that wait for an agent.");
    page.sample("quarterdeck_queue_depth", &[], totals.queued);
    page.metric("quarterdeck_queue_bytes", "gauge", "Bytes of the messages of jobs that wait.");
    page.sample("quarterdeck_queue_bytes", &[], totals.queued_bytes);
    page.metric(
        "quarterdeck_queue_oldest_seconds",
        "gauge",
        "Age of the job that waits longest; 0 if none waits.",
    );
    let oldest = totals.oldest.map_or(0.0, |since| snapshot.at.since(since).as_secs_f64());
    page.sample("quarterdeck_queue_oldest_seconds", &[], oldest);
}

fn telemetry(page: &mut Page, status: &TelemetryStatus) {
    page.metric("quarterdeck_telemetry_received_total", "counter", "Spans and log records that were taken.");
    page.sample("quarterdeck_telemetry_received_total", &[("signal", "traces")], status.spans);
    page.sample("quarterdeck_telemetry_received_total", &[("signal", "logs")], status.logs);
    let counters = [
        (
            "quarterdeck_telemetry_refused_total",
            "Spans and log records that were refused for a limit.",
            status.refused,
        ),
        (
            "quarterdeck_telemetry_invalid_total",
            "Items without valid ids, and requests that cannot be read.",
            status.invalid,
        ),
        (
            "quarterdeck_telemetry_dropped_total",
            "Spans, attributes and events dropped for a limit.",
            status.dropped,
        ),
        ("quarterdeck_telemetry_sampled_total", "Traces removed to make room.", status.sampled),
    ];
    for (name, help, count) in counters {
        page.metric(name, "counter", help);
        page.sample(name, &[], count);
    }
    page.metric("quarterdeck_telemetry_bytes", "gauge", "Bytes of telemetry in memory and on disk.");
    page.sample("quarterdeck_telemetry_bytes", &[("place", "memory")], status.in_memory);
    page.sample("quarterdeck_telemetry_bytes", &[("place", "disk")], status.on_disk);
}
