//! Reads the rules of routing again when the configuration file changes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::config;
use crate::domain::text::Untrusted;
use crate::engine::RoutesRead;

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

fn read(file: &Path, fleet: &str) -> RoutesRead {
    match config::load(Some(file), None, |_| Vec::new()) {
        Ok(config) => {
            Ok(config.fleets.get(fleet).map(|fleet| fleet.routes.clone()).unwrap_or_default().into())
        }
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
