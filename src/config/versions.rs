//! `[[minimum_version]]`: how old the versions of agents may be.

use std::sync::Arc;

use toml::de::DeTable;

use super::load::Reader;
use crate::domain::agent::version::Minimum;

impl<'a> Reader<'a> {
    pub(super) fn minimum_versions(&mut self, top: &DeTable<'a>) -> Vec<Minimum> {
        let path = "minimum_version";
        let mut minimums = Vec::new();
        for (at, row) in self.tables(top, "", path) {
            self.only(row, path, &["agent", "skill", "version"]);
            let mut pattern = |key: &str| -> Option<Arc<str>> {
                row.get(key)?;
                let filled = |text: &str| match text.trim() {
                    "" => Err("is empty; leave it out to mean every agent".to_owned()),
                    text => Ok(Some(Arc::<str>::from(text))),
                };
                let show = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
                self.text_setting(row, path, key, None, filled, show)
            };
            let (agent, skill) = (pattern("agent"), pattern("skill"));
            if let Some(version) = self.required(row, path, "version", at) {
                minimums.push(Minimum { agent, skill, version: version.trim().into() });
            }
        }
        minimums
    }
}
