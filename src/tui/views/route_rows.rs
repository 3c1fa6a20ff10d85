//! The rows of the rules: what each matches, where it sends, and what it did in the last hour.

use std::sync::Arc;

use crate::domain::route::explanation::RuleRow;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::saved_view::ListKind;
use crate::tui::theme::Role;
use crate::tui::views::explained;
use crate::tui::views::listing::{Order, Rows};
use crate::tui::views::rule_stats::{self, RuleStats};
use crate::tui::widgets::canvas::{Canvas, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};

/// The rules in order.
#[derive(Clone, Debug, Default)]
pub struct RouteRows {
    /// The rules.
    pub rules: Arc<Vec<RuleRow>>,
    /// What each of them did.
    pub stats: Arc<RuleStats>,
}

struct FilterRow<'s>(&'s RuleRow);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["rule", "matches", "sends-to", "balance"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "rule" => Some(explained::printed(&self.0.name)),
            "matches" => Some(explained::matches_words(self.0)),
            "sends-to" => Some(explained::sends_to(self.0)),
            "balance" => Some(self.0.balance.in_words().into()),
            _ => None,
        }
    }
}

columns! {
    /// The columns of rules.
    pub enum RouteColumn {
        Rule = flexible("RULE", 'R', 8, 10).prefers(14),
        Matches = flexible("MATCHES", 'M', 14, 9).prefers(24),
        SendsTo = flexible("SENDS TO", 'S', 12, 8),
        Balance = fixed("BALANCE", 'B', 16, 3),
        Running = fixed("RUNNING", 'U', 7, 5).right().highest_first(),
        Hour = fixed("1 H", 'H', 7, 6).right().highest_first(),
        Ok = fixed("OK %", 'O', 6, 7).right(),
    }
}

impl RouteRows {
    /// A rule by its place.
    pub fn rule(&self, key: u32) -> Option<&RuleRow> {
        self.rules.get(key as usize)
    }
}

impl Rows for RouteRows {
    type Key = u32;

    const KIND: ListKind = ListKind::Routes;

    type Column = RouteColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u32> + 's> {
        Box::new((0u32..).take(self.rules.len()))
    }

    // The rules are read as a whole.
    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u32>) {}

    fn shows(&self, _snapshot: &Snapshot, key: u32, order: &Order) -> bool {
        let Some(rule) = self.rule(key) else { return false };
        (!order.faults || rule.shadowed_by.is_some()) && order.filter.passes(&FilterRow(rule))
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: u32, by: RouteColumn) -> SortKey {
        let Some(rule) = self.rule(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            // The first rule that fits decides: their order is that of the configuration.
            RouteColumn::Rule => SortKey::Number(i64::from(key)),
            RouteColumn::Matches => text(explained::matches_words(rule)),
            RouteColumn::SendsTo => text(explained::sends_to(rule)),
            RouteColumn::Balance => SortKey::Number(rule.balance as i64),
            RouteColumn::Running => SortKey::Number(i64::from(rule.running)),
            RouteColumn::Hour => {
                SortKey::Number(self.stats.rule(&rule.name).map_or(0, |stat| i64::from(stat.jobs)))
            }
            RouteColumn::Ok => {
                let ok = self.stats.rule(&rule.name).and_then(|stat| stat.results.ok_per_mille());
                SortKey::Number(ok.map_or(i64::MAX, i64::from))
            }
        }
    }

    fn row(&self, _canvas: &Canvas<'_>, ctx: &Context, key: u32) -> Row {
        let Some(rule) = self.rule(key) else { return Row::blank() };
        let never = rule.shadowed_by.is_some();
        let role = if never { Role::Doubt } else { Role::Plain };
        Row {
            mark: if never { span(ctx.glyphs().degraded, Role::Warn) } else { span(" ", Role::Plain) },
            cells: RouteColumn::cells(|column| match column {
                RouteColumn::Rule => span(explained::printed(&rule.name), role),
                RouteColumn::Matches => span(explained::matches_words(rule), role),
                RouteColumn::SendsTo => span(explained::sends_to(rule), role),
                RouteColumn::Balance => span(rule.balance.in_words(), Role::Quiet),
                RouteColumn::Running if rule.running == 0 => span(NOTHING, Role::Quiet),
                RouteColumn::Running => span(format::count(rule.running as usize), Role::Plain),
                RouteColumn::Hour => match self.stats.rule(&rule.name) {
                    Some(stat) => span(self.stats.count(stat.jobs), Role::Plain),
                    None => span(NOTHING, Role::Quiet),
                },
                RouteColumn::Ok => match rule_stats::ok(self.stats.rule(&rule.name)) {
                    Some((ok, role)) => span(ok, role),
                    None => span(NOTHING, Role::Quiet),
                },
            }),
            marked: false,
        }
    }
}
