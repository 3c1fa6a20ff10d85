//! `config show`, `check`, `example`, `keys`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Config, Global};
use super::output::{Failure, Printer};
use super::session::Setup;
use crate::config::{EXAMPLE, Origin, Setting};
use crate::tui::actions::Action;

pub(super) fn run(global: &Global, args: Config, out: &mut Printer) -> Result<ExitCode, Failure> {
    match args {
        Config::Example => {
            out.plain(EXAMPLE.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Config::Keys => {
            let setup = Setup::load(global)?;
            let keys = super::preferences::of(&setup.config.preferences).keys;
            let rows = Action::ALL.iter().map(|action| {
                let source = if keys.is_set(*action) { "configuration" } else { "default" };
                (action, keys.names(*action).collect::<Vec<_>>(), source)
            });
            if out.is_json() {
                let rows: Vec<Value> = rows
                    .map(|(action, keys, source)| {
                        json!({ "action": action.word(), "keys": keys, "does": action.doc(), "source": source })
                    })
                    .collect();
                out.document(&json!({ "actions": rows }));
            } else {
                for (action, keys, source) in rows {
                    let mark = if source == "default" { "" } else { " (configuration)" };
                    let keys = if keys.is_empty() { format!(":{}", action.word()) } else { keys.join(" ") };
                    out.plain(&format!("{:<16} {keys:<16} {}{mark}", action.word(), action.doc()));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Config::Check => {
            let setup = Setup::load(global)?;
            match &setup.config.file {
                Some(file) => out.field("Configuration", format!("{} has no fault", file.display())),
                None => out.field("Configuration", "there is none; every setting is at its default"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Config::Show => {
            let setup = Setup::load(global)?;
            let mut settings = setup.config.settings.clone();
            let flag = |name, variable: &'static str| {
                if std::env::var_os(variable).is_some() {
                    Origin::Environment(variable)
                } else {
                    Origin::Flag(name)
                }
            };
            let chosen =
                if global.fleet.is_some() { flag("--fleet", "QUARTERDECK_FLEET") } else { Origin::Default };
            let placed = if global.data_dir.is_some() {
                flag("--data-dir", "QUARTERDECK_DATA_DIR")
            } else {
                Origin::Default
            };
            settings.push(Setting { key: "fleet in use".into(), value: setup.name.clone(), origin: chosen });
            settings.push(Setting {
                key: "data folder".into(),
                value: setup.dir.display().to_string(),
                origin: placed,
            });
            if out.is_json() {
                let rows: Vec<Value> = settings
                    .iter()
                    .map(|s| json!({ "key": s.key, "value": s.value, "source": s.origin.to_string() }))
                    .collect();
                let file = setup.config.file.as_ref().map(|file| file.display().to_string());
                out.document(&json!({ "file": file, "settings": rows }));
            } else {
                for setting in &settings {
                    out.field(&setting.key, format!("{} ({})", setting.value, setting.origin));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
