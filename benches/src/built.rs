//! The programs that are started: built as they are released, beside this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::Fault;

/// The released binary.
pub fn quarterdeck() -> Result<PathBuf, Fault> {
    build("../Cargo.toml", "quarterdeck")
}

/// The binary that does nothing.
pub fn empty() -> Result<PathBuf, Fault> {
    build("Cargo.toml", "empty")
}

fn build(manifest: &str, name: &str) -> Result<PathBuf, Fault> {
    let here = std::env::current_exe()?;
    let folder = here.parent().ok_or("no folder")?;
    let target = folder.parent().ok_or("no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--bin", name, "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest))
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if built.success() {
        Ok(target.join("release").join(name))
    } else {
        Err(format!("{name} was not built").into())
    }
}
