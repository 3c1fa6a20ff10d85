//! Groups with their metrics as rows: what tables of metrics, of impact and of the pulse have in common.

use std::sync::Arc;

use crate::domain::metrics::{Histogram, Tally};
use crate::tui::format;
use crate::tui::metrics::Group;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::spark;
use crate::tui::widgets::table::NOTHING;

/// The groups of a window; the key of each is its place.
#[derive(Clone, Debug, Default)]
pub struct MeasuredGroups(Arc<Vec<Group>>);

impl MeasuredGroups {
    /// These groups.
    pub fn new(groups: &Arc<Vec<Group>>) -> Self {
        Self(groups.clone())
    }

    /// The group of a row.
    pub fn get(&self, key: u32) -> Option<&Group> {
        self.0.get(usize::try_from(key).ok()?)
    }

    /// The keys of all rows.
    pub fn keys(&self) -> Box<dyn Iterator<Item = u32>> {
        Box::new(0..u32::try_from(self.0.len()).unwrap_or(0))
    }
}

/// A group as filters see it: its name, under each of these words.
#[derive(Clone, Copy, Debug)]
pub struct Named<'s>(pub &'s Group, pub &'static [&'static str]);

impl Filtered for Named<'_> {
    fn words(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }

    fn value(&self, key: &str) -> Option<String> {
        self.1.contains(&key).then(|| self.0.name.clone())
    }
}

/// `99.4`, or nothing if nothing ended.
pub fn ok_percent(tally: &Tally) -> String {
    tally.ok_per_mille().map_or_else(|| "–".into(), |share| format!("{}.{}", share / 10, share % 10))
}

/// The 95th percentile or so, or nothing if nothing was measured.
pub fn percentile(histogram: &Histogram, percent: u8) -> String {
    histogram.percentile(percent).map_or_else(|| "–".into(), format::measured)
}

/// The sort key of a percentile.
pub fn micros(histogram: &Histogram, percent: u8) -> SortKey {
    let micros =
        histogram.percentile(percent).map_or(-1, |time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    SortKey::Number(micros)
}

/// The role for a success rate, by its size and its change against the baseline.
pub fn ok_role(tally: &Tally) -> Role {
    match tally.ok_per_mille() {
        None => Role::Quiet,
        Some(share) if share < 900 => Role::Bad,
        Some(share) if share < 990 => Role::Warn,
        Some(_) => Role::Plain,
    }
}

/// `41.2`: tasks ended per minute, over the time with data.
pub fn a_minute(group: &Group, step: u32) -> String {
    // A window of a few seconds is a minute that has just begun.
    let seconds = group.watched_seconds(step).max(60);
    let tenths = (u64::from(group.total.ended()) * 600).div_ceil(seconds);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A count that is worth its role unless it is zero.
pub fn count(count: u32, role: Role) -> Span {
    if count == 0 { span(NOTHING, Role::Quiet) } else { span(format::count(count as usize), role) }
}

/// A value of a group over time, part by part, where there is data; without the part that still runs.
pub fn over_time(group: &Group, value: impl Fn(&Tally) -> u32) -> Vec<Option<u64>> {
    group.closed_parts().iter().map(|part| part.seen.then(|| u64::from(value(&part.tally)))).collect()
}

/// Values over time as bars.
pub fn trend(values: &[Option<u64>], cells: u16, role: Role, ascii: bool) -> Span {
    span(spark::bars(&spark::fold(values, usize::from(cells)), 0, ascii), role)
}
