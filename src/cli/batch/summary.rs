//! What became of a batch, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::outcome::State;
use crate::cli::output::{Printer, table};
use crate::domain::metrics::Histogram;
use crate::domain::time::format_duration;

/// The items that have ended.
#[derive(Debug, Default)]
pub(super) struct Summary {
    states: BTreeMap<State, u64>,
    /// Items that an earlier run had sent.
    earlier: u64,
    retries: u64,
    took: Histogram,
}

/// An item that has ended, as far as the summary counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub state: State,
    /// True if an earlier run had sent it.
    pub earlier: bool,
    /// How many times this run sent it again.
    pub retries: u8,
    /// From the sending to the end of the work.
    pub took: Option<Duration>,
}

impl Summary {
    pub fn count(&mut self, item: Counted) {
        *self.states.entry(item.state).or_default() += 1;
        self.earlier += u64::from(item.earlier);
        self.retries += u64::from(item.retries);
        if let Some(took) = item.took {
            self.took.add(took);
        }
    }

    /// The items that have ended.
    pub fn ended(&self) -> u64 {
        self.states.values().sum()
    }

    /// The items that did not end well.
    pub fn bad(&self) -> u64 {
        self.states.iter().filter(|(state, _)| !state.is_good()).map(|(_, count)| count).sum()
    }

    /// The items that an earlier run had sent.
    pub fn earlier(&self) -> u64 {
        self.earlier
    }

    /// The items of some states.
    pub fn of(&self, states: &[State]) -> u64 {
        states.iter().filter_map(|state| self.states.get(state)).sum()
    }

    /// Messages a second that this run has sent.
    fn rate(&self, elapsed: Duration) -> f64 {
        let sent = self.ended().saturating_sub(self.earlier + self.of(&[State::Invalid])) + self.retries;
        if elapsed.is_zero() { 0.0 } else { to_float(sent) / elapsed.as_secs_f64() }
    }

    pub fn json(&self, name: &str, elapsed: Duration, is_whole: bool) -> Value {
        let states: serde_json::Map<String, Value> = State::ALL
            .iter()
            .map(|state| (state.as_str().to_owned(), json!(self.states.get(state).unwrap_or(&0))))
            .collect();
        let quantile = |percent| self.took.percentile(percent).map(|time| rounded(time.as_secs_f64()));
        json!({ "summary": {
            "name": name,
            "complete": is_whole,
            "items": self.ended(),
            "earlier": self.earlier,
            "retries": self.retries,
            "states": states,
            "seconds": rounded(elapsed.as_secs_f64()),
            "rate": rounded(self.rate(elapsed)),
            "took": {
                "count": self.took.count(),
                "p50": quantile(50),
                "p90": quantile(90),
                "p95": quantile(95),
                "p99": quantile(99),
            },
        }})
    }

    pub fn print(&self, elapsed: Duration, out: &mut Printer) {
        let rows: Vec<Vec<String>> = self
            .states
            .iter()
            .map(|(state, count)| vec![state.as_str().to_owned(), count.to_string()])
            .collect();
        out.plain("");
        for row in table(&["STATE", "ITEMS"], &rows) {
            out.row(&row);
        }
        out.plain(&format!("\n{}", self.sentence(elapsed)));
    }

    /// `2000 items in 17s, 118/s; 1240 sent earlier; 3 retries; p50 31ms, p95 60ms, p99 80ms`
    pub fn sentence(&self, elapsed: Duration) -> String {
        let ended = self.ended();
        let items = if ended == 1 { "item" } else { "items" };
        let mut text =
            format!("{ended} {items} in {}, {:.1}/s", format_duration(elapsed), self.rate(elapsed));
        if self.earlier > 0 {
            text.push_str(&format!("; {} sent by an earlier run", self.earlier));
        }
        if self.retries > 0 {
            text.push_str(&format!("; {} sent again", self.retries));
        }
        let quantiles = [50, 95, 99].map(|percent| (percent, self.took.percentile(percent)));
        let quantiles: Vec<String> = quantiles
            .iter()
            .filter_map(|(percent, time)| Some(format!("p{percent} {}", format_duration((*time)?))))
            .collect();
        if !quantiles.is_empty() {
            text.push_str(&format!("; {}", quantiles.join(", ")));
        }
        text
    }
}

/// Counts of lines are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
pub(super) fn to_float(count: u64) -> f64 {
    count as f64
}

/// To a thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[(State, bool, u8, Option<u64>)]) -> Summary {
        let mut summary = Summary::default();
        for (state, earlier, retries, millis) in items {
            let took = millis.map(Duration::from_millis);
            summary.count(Counted { state: *state, earlier: *earlier, retries: *retries, took });
        }
        summary
    }

    #[test]
    fn items_are_counted_by_state_with_rate_and_percentiles() {
        let hundred: Vec<_> = (1..=100).map(|n| (State::Completed, false, 0, Some(n * 10))).collect();
        for (items, seconds, sentence, bad) in [
            (vec![], 0, "0 items in 0s, 0.0/s", 0),
            (hundred, 10, "100 items in 10s, 10.0/s; p50 499ms, p95 933ms, p99 999ms", 0),
            (
                vec![
                    (State::Failed, false, 2, None),
                    (State::Completed, true, 0, Some(20)),
                    (State::Invalid, false, 0, None),
                ],
                2,
                "3 items in 2s, 1.5/s; 1 sent by an earlier run; 2 sent again; p50 19ms, p95 19ms, p99 19ms",
                2,
            ),
            (vec![(State::Uncertain, false, 0, None)], 1, "1 item in 1s, 1.0/s", 1),
        ] {
            let summary = of(&items);
            let elapsed = Duration::from_secs(seconds);
            assert_eq!(summary.sentence(elapsed), sentence);
            assert_eq!(summary.bad(), bad);
            let json = &summary.json("b", elapsed, true)["summary"];
            assert_eq!(json["items"], items.len());
            let total: u64 = json["states"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
            assert_eq!(total, summary.ended());
        }
    }
}
