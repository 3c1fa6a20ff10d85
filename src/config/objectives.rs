//! `[[fleet.NAME.objectives]]`: objectives for success rate and latency.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::load::{Reader, Value, join};
use super::units;
use crate::domain::metrics::objective::Objective;

impl<'a> Reader<'a> {
    /// The objectives of a fleet, in order.
    pub(super) fn objectives(&mut self, table: &DeTable<'a>, path: &str) -> Vec<Objective> {
        let mut objectives: Vec<Objective> = Vec::new();
        let full = join(path, "objectives");
        for (at, row) in self.tables(table, path, "objectives") {
            self.only(row, &full, &["skill", "caller", "agent", "ok", "p95"]);
            let objective = self.objective(row, &full);
            if objective.ok.is_none() && objective.p95.is_none() {
                self.fault(at, &full, "asks for nothing; write ok = 99.5, p95 = \"5s\", or both");
            }
            if objectives.iter().any(|other| other.to_string() == objective.to_string()) {
                self.fault(at, &full, format!("{objective} has an objective above"));
            }
            objectives.push(objective);
        }
        objectives
    }

    fn objective(&mut self, row: &DeTable<'a>, full: &str) -> Objective {
        let mut named = |key: &str| -> Option<Arc<str>> {
            let parse = |text: &str| Ok(Some(Arc::from(text)));
            let show = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
            row.get(key)?;
            self.text_setting(row, full, key, None, parse, show)
        };
        let (skill, caller, agent) = (named("skill"), named("caller"), named("agent"));
        let show_p95 =
            |time: &Option<std::time::Duration>| time.map(units::show_duration).unwrap_or_default();
        let p95 = |text: &str| units::duration(text).map(Some);
        Objective {
            skill,
            caller,
            agent,
            ok: row.get("ok").and_then(|value| self.share(value, &join(full, "ok"))),
            p95: row.get("p95").and_then(|_| self.text_setting(row, full, "p95", None, p95, show_p95)),
        }
    }
}

impl<'a> Reader<'a> {
    /// A per cent, as a number or as text.
    fn share(&mut self, value: Value<'_, 'a>, key: &str) -> Option<u32> {
        let at = value.span().start;
        let text = match value.get_ref() {
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::String(text) => text.to_string(),
            other => {
                self.fault(at, key, format!("is {}, not a per cent, as 99.5", other.type_str()));
                return None;
            }
        };
        match per_mille(&text) {
            Ok(share) => {
                self.set(key, format!("{}.{}", share / 10, share % 10), Some(at));
                Some(share)
            }
            Err(what) => {
                self.fault(at, key, what);
                None
            }
        }
    }
}

/// `99.5` per cent, in tenths. Minutes are too coarse for hundredths.
fn per_mille(text: &str) -> Result<u32, String> {
    let fault = || format!("{text:?} is no share; write a per cent from 50 to 99.9, as 99.5");
    let (whole, tenths) = text.trim().trim_end_matches('%').trim_end().split_once('.').unwrap_or((text, "0"));
    let whole: u32 = whole.trim_end_matches('%').trim().parse().map_err(|_| fault())?;
    let tenths: u32 = tenths.parse().map_err(|_| fault())?;
    let share = whole * 10 + tenths;
    if tenths < 10 && (500..=999).contains(&share) { Ok(share) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_per_cents() {
        for (text, share) in [("99.5", 995), ("99", 990), ("90.0", 900), ("99.9 %", 999), ("50%", 500)] {
            assert_eq!(per_mille(text), Ok(share), "{text}");
        }
        for wrong in ["100", "49.9", "99.95", "x", "", "-3", "0.995"] {
            assert!(per_mille(wrong).is_err(), "{wrong}");
        }
    }
}
