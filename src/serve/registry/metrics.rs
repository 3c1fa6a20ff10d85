//! The metrics of the registry in the Prometheus text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::serve::http::Stats;

/// The media type of the format.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of the registry, beside those of its listener.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// How many agents are in which state of health.
    pub agents: BTreeMap<&'static str, u64>,
    /// Leases that ended without a renewal.
    pub expired: u64,
    /// Registrations of agents that were not there.
    pub new: u64,
    /// Registrations of agents that were there.
    pub renewed: u64,
}

/// All metrics as text.
pub(super) fn text(numbers: &Numbers, stats: &Stats) -> String {
    let mut out = String::new();
    head(&mut out, "agents", "gauge", "Registered agents by their health.");
    for (state, count) in &numbers.agents {
        sample(&mut out, "agents", &[("state", state)], *count);
    }
    head(&mut out, "leases_expired_total", "counter", "Leases that ended without a sign of life.");
    sample(&mut out, "leases_expired_total", &[], numbers.expired);
    head(&mut out, "registrations_total", "counter", "Registrations of new agents, and again of known ones.");
    sample(&mut out, "registrations_total", &[("kind", "new")], numbers.new);
    sample(&mut out, "registrations_total", &[("kind", "again")], numbers.renewed);
    head(&mut out, "connections", "gauge", "Open connections.");
    sample(&mut out, "connections", &[], stats.connections());
    head(&mut out, "requests_total", "counter", "Requests by route, method and status.");
    for ((route, method, status), count) in stats.requests() {
        let status = status.to_string();
        let labels = [("route", route), ("method", method), ("status", &*status)];
        sample(&mut out, "requests_total", &labels, count);
    }
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _infallible =
        write!(out, "# HELP quarterdeck_registry_{name} {help}\n# TYPE quarterdeck_registry_{name} {kind}\n");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _infallible = writeln!(out, "quarterdeck_registry_{name}{labels} {value}");
}

/// A label's value: backslash, quote and line feed are escaped.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_lines_well_formed() {
        assert_eq!(escape("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
        let stats = Stats::default();
        stats.count("/agents", "POST", 201);
        stats.count("/agents", "POST", 201);
        let numbers = Numbers { agents: BTreeMap::from([("up", 2), ("down", 1)]), ..Numbers::default() };
        let page = text(&numbers, &stats);
        for line in [
            "quarterdeck_registry_agents{state=\"up\"} 2",
            "quarterdeck_registry_leases_expired_total 0",
            "quarterdeck_registry_requests_total{route=\"/agents\",method=\"POST\",status=\"201\"} 2",
        ] {
            assert!(page.lines().any(|other| other == line), "{page}");
        }
        assert!(page.ends_with('\n'));
    }
}
