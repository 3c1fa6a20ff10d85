//! `[notify]`: notifications about problems.

use toml::de::DeTable;

use super::Credentials;
use super::load::Reader;
use super::secret::shown_url;
use crate::domain::problem::Severity;

/// `[notify]`
#[derive(Clone, Debug)]
pub struct Notify {
    /// The URL to which each problem is posted when it is raised and when it clears.
    pub webhook: Option<String>,
    /// Credentials for it, sent only to this URL's origin.
    pub credentials: Credentials,
    /// From how bad on.
    pub severity: Severity,
    /// The console rings the terminal's bell.
    pub bell: bool,
    /// True if the console sends a desktop notification (OSC 9).
    pub desktop: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            webhook: None,
            credentials: Credentials::default(),
            severity: Severity::Bad,
            bell: false,
            desktop: false,
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn notify(&mut self, table: &DeTable<'a>) -> Notify {
        self.only(table, "notify", &["webhook", "bearer", "headers", "severity", "bell", "desktop"]);
        let webhook = table.get("webhook").and_then(|_| {
            let parse = |text: &str| {
                let known = text.starts_with("http://") || text.starts_with("https://");
                if known { Ok(Some(text.to_owned())) } else { Err(format!("{text:?} is no http URL")) }
            };
            // Anyone with the full URL may post there.
            let show = |url: &Option<String>| url.as_deref().map(shown_url).unwrap_or_default();
            self.text_setting(table, "notify", "webhook", None, parse, show)
        });
        let usual = Notify::default();
        let severity = |text: &str| {
            let known = [Severity::Info, Severity::Warn, Severity::Bad];
            let found = known.into_iter().find(|severity| severity.as_str() == text);
            found.ok_or_else(|| format!("{text:?} is no severity; write info, warn or bad"))
        };
        let show = |severity: &Severity| severity.as_str().to_owned();
        Notify {
            webhook,
            credentials: self.credentials(table, "notify"),
            severity: self.text_setting(table, "notify", "severity", usual.severity, severity, show),
            bell: self.flag_setting(table, "notify", "bell", usual.bell),
            desktop: self.flag_setting(table, "notify", "desktop", usual.desktop),
        }
    }
}
