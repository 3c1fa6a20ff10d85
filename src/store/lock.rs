//! One engine per data folder: a lock that dies with its holder, and a note of where the holder listens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The lock of a data folder, held until it is dropped or the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// What the holder of a lock has written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockHolder {
    /// Where it listens.
    pub socket: PathBuf,
    /// Its process.
    pub pid: u32,
    /// True if it runs until it is stopped: a `serve` or a console, not a passing command.
    pub lasting: bool,
}

impl Lock {
    /// Takes the lock, or says that another process holds it.
    ///
    /// # Errors
    /// The file system says no.
    pub fn take(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join("engine.lock");
        let fault = |error| StoreError::Io { path: path.clone(), error };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, path })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    /// Writes down where the holder listens.
    ///
    /// # Errors
    /// The file system says no.
    pub fn announce(&mut self, holder: &LockHolder) -> Result<(), StoreError> {
        let path = self.path.clone();
        let fault = |error| StoreError::Io { path: path.clone(), error };
        let kind = if holder.lasting { "lasting" } else { "passing" };
        let text = format!("{}\n{}\n{kind}\n", holder.socket.display(), holder.pid);
        self.file.set_len(0).map_err(fault)?;
        self.file.seek(SeekFrom::Start(0)).map_err(fault)?;
        self.file.write_all(text.as_bytes()).map_err(fault)
    }
}

/// Who holds the lock of a folder, as far as the holder has said.
pub fn holder(dir: &Path) -> Option<LockHolder> {
    let mut text = String::new();
    File::open(dir.join("engine.lock")).ok()?.take(4096).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let socket = PathBuf::from(lines.next()?);
    let pid = lines.next()?.parse().ok()?;
    let lasting = lines.next() == Some("lasting");
    Some(LockHolder { socket, pid, lasting })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_finds_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = Lock::take(dir.path()).unwrap().unwrap();
        assert!(Lock::take(dir.path()).unwrap().is_none());
        let holder = LockHolder { socket: "/tmp/x.sock".into(), pid: 7, lasting: true };
        lock.announce(&holder).unwrap();
        assert_eq!(super::holder(dir.path()), Some(holder));
        drop(lock);
        assert!(Lock::take(dir.path()).unwrap().is_some());
    }
}
