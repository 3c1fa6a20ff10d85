//! One engine per data folder: a lock that dies with its holder, and a note of where the holder listens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::StoreError;

/// The lock of a data folder, held until it is dropped or the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// The data written by the holder of a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockHolder {
    /// Its socket.
    pub socket: PathBuf,
    /// Its process id.
    pub pid: u32,
    /// True if it runs until it is stopped: a `serve` or a console, not a temporary command.
    pub lasting: bool,
}

impl Lock {
    /// Takes the lock; `None` if another process holds it.
    ///
    /// # Errors
    /// The file system says no.
    pub fn take(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = lock_path(dir);
        let fault = |error| StoreError::Io { path: path.clone(), error };
        let file = open(&path, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600))
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

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("engine.lock")
}

/// Opens a lock file for reading and with the given `options`. A symbolic link is not followed, as its target would be
/// written to, and opening a FIFO does not block.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let not_a_file = || {
        let what = "it is a symbolic link or no regular file; remove it";
        io::Error::new(io::ErrorKind::InvalidInput, what)
    };
    let file = options.read(true).custom_flags(flags).open(path).map_err(|error| {
        let is_something_else = std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file());
        if is_something_else { not_a_file() } else { error }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file()) }
}

/// True if an engine holds the lock of a folder.
pub fn is_held(dir: &Path) -> bool {
    let file = open(&lock_path(dir), &mut OpenOptions::new());
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The holder of a folder's lock, as far as it has written its data.
pub fn holder(dir: &Path) -> Option<LockHolder> {
    let mut text = String::new();
    open(&lock_path(dir), &mut OpenOptions::new()).ok()?.take(4096).read_to_string(&mut text).ok()?;
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
    #[test]
    fn only_a_regular_file_is_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let lock = lock_path(dir.path());
        std::os::unix::fs::symlink(&victim, &lock).unwrap();
        let check = |what: &str| {
            let refused = Lock::take(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("engine.lock") && refused.contains("remove it"), "{what}: {refused}");
            assert_eq!(super::holder(dir.path()), None, "{what}");
        };
        check("a link to a file");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        std::fs::remove_file(&victim).unwrap();
        check("a link to nothing");
        assert!(!victim.exists());
        std::fs::remove_file(&lock).unwrap();
        std::fs::create_dir(&lock).unwrap();
        check("a folder");
        std::fs::remove_dir(&lock).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
        check("a FIFO");
        std::fs::remove_file(&lock).unwrap();
        assert!(!is_held(dir.path()));
        let held = Lock::take(dir.path()).unwrap().unwrap();
        assert!(is_held(dir.path()));
        drop(held);
        assert!(!is_held(dir.path()));
    }
}
