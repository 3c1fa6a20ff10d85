//! The metrics of the registry in the Prometheus text format 0.0.4.

use super::super::exposition::Page;
use crate::serve::http::Stats;
use std::collections::BTreeMap;

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
    let mut page = Page::default();
    page.metric("quarterdeck_registry_agents", "gauge", "Registered agents by their health.");
    for (state, count) in &numbers.agents {
        page.sample("quarterdeck_registry_agents", &[("state", state)], count);
    }
    let name = "quarterdeck_registry_leases_expired_total";
    page.metric(name, "counter", "Leases that ended without a sign of life.");
    page.sample(name, &[], numbers.expired);
    let name = "quarterdeck_registry_registrations_total";
    page.metric(name, "counter", "Registrations of new agents, and again of known ones.");
    page.sample(name, &[("kind", "new")], numbers.new);
    page.sample(name, &[("kind", "again")], numbers.renewed);
    page.metric("quarterdeck_registry_connections", "gauge", "Open connections.");
    page.sample("quarterdeck_registry_connections", &[], stats.connections());
    let name = "quarterdeck_registry_requests_total";
    page.metric(name, "counter", "Requests by route, method and status.");
    for ((route, method, status), count) in stats.requests() {
        let status = status.to_string();
        page.sample(name, &[("route", route), ("method", method), ("status", &*status)], count);
    }
    page.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_line() {
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
