//! `[console]`: how the console looks and behaves.

use toml::de::DeTable;

use super::Console;
use super::load::Reader;

impl<'a> Reader<'a> {
    pub(super) fn console(&mut self, table: &DeTable<'a>) -> Console {
        self.only(table, "console", &["theme", "ascii", "mouse", "zone"]);
        let one_of = |choices: &'static [&'static str]| {
            move |text: &str| {
                if choices.contains(&text) {
                    Ok(text.to_owned())
                } else {
                    Err(format!("is {text:?}; write one of {}", choices.join(", ")))
                }
            }
        };
        let zone = |text: &str| {
            if text == "local" || jiff::tz::TimeZone::get(text).is_ok() {
                Ok(text.to_owned())
            } else {
                Err(format!("{text:?} is no time zone; write UTC, local or a name such as Europe/Berlin"))
            }
        };
        Console {
            theme: self.text_setting(
                table,
                "console",
                "theme",
                "dark".into(),
                one_of(&["dark", "light", "mono"]),
                String::clone,
            ),
            ascii: self.flag_setting(table, "console", "ascii", false),
            mouse: self.flag_setting(table, "console", "mouse", true),
            zone: self.text_setting(table, "console", "zone", "UTC".into(), zone, String::clone),
        }
    }
}
