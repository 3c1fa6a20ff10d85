//! Reads the rules of routing again when the configuration file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::config;
use crate::domain::route::Rules;
use crate::domain::text::Untrusted;
use crate::engine::{RoutesRead, RulesReader};

/// How often the file is looked at: an operator who saves it looks at the console next.
const EVERY: Duration = Duration::from_secs(2);

/// Watches the configuration file of a fleet until the engine has gone. Only the rules are taken from it; other settings
/// hold from the next start on.
pub(super) async fn watch(file: PathBuf, fleet: String, routes: mpsc::Sender<RoutesRead>) {
    let mut known = stamp(&file);
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = routes.closed() => return,
        }
        let now = stamp(&file);
        // A file that is gone is being replaced by an editor, or was deleted by mistake: nothing changes.
        if now == known || now.is_none() {
            continue;
        }
        known = now;
        let (path, name) = (file.clone(), fleet.clone());
        let read = tokio::task::spawn_blocking(move || read(&path, &name)).await;
        if let Ok(read) = read
            && routes.send(read).await.is_err()
        {
            return;
        }
    }
}

/// What tells one version of the file from another.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads files of rules that are compared with those in force: one that is named, or the configuration file.
pub(super) fn reader(own: Option<PathBuf>, fleet: String) -> RulesReader {
    Arc::new(move |named| {
        let Some(file) = named.or(own.as_deref()) else {
            return (Untrusted::from(""), Err(Untrusted::from("there is no configuration file")));
        };
        (Untrusted::from(file.display().to_string()), read(file, &fleet))
    })
}

/// The rules of a fleet in a file: a configuration, or the rules alone.
///
/// # Errors
/// The faults of the file.
pub(super) fn rules_of(file: &Path, fleet: &str) -> Result<Arc<Rules>, config::Faults> {
    let config = config::load(Some(file), None, |_| Vec::new())?;
    Ok(config.fleets.get(fleet).map(|fleet| fleet.routes.clone()).unwrap_or_default().into())
}

fn read(file: &Path, fleet: &str) -> RoutesRead {
    match rules_of(file, fleet) {
        Ok(rules) => Ok(rules),
        Err(faults) => {
            let first = faults.faults.first().map(|fault| fault.at(&faults.file)).unwrap_or_default();
            Err(Untrusted::from(match faults.faults.len() {
                0 | 1 => first,
                2 => format!("{first} (and 1 more fault)"),
                many => format!("{first} (and {} more faults)", many - 1),
            }))
        }
    }
}
