//! The Prometheus text format 0.0.4. <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write;

/// The media type of the format.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// What the samples of a name are; they follow.
    pub fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _infallible = writeln!(self.0, "{name}{labels} {value}");
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
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
        let mut page = Page::default();
        page.metric("agents", "gauge", "Agents.");
        page.sample("agents", &[("state", "a\\b\"c\nd"), ("other", "")], 2);
        page.sample("agents", &[], 0.5);
        let lines = [
            "# HELP agents Agents.",
            "# TYPE agents gauge",
            "agents{state=\"a\\\\b\\\"c\\nd\",other=\"\"} 2",
            "agents 0.5",
        ];
        assert_eq!(page.into_text().lines().collect::<Vec<_>>(), lines);
    }
}
