//! An agent's card in a file of the operator's.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No card is larger, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads a card's file. It must be a regular file of at most 4 MiB; nothing else is waited for or read.
///
/// # Errors
/// It cannot be opened, is no regular file, is too large, or is no UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    // Without waiting: a pipe that nobody writes to would never open, and some files never end a read.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than the 4 MiB that a card may have",
        ));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &Path, wanted: Result<&str, &str>) {
        let read = read(path).map_err(|error| error.to_string());
        match (&read, wanted) {
            (Ok(text), Ok(wanted)) => assert_eq!(text, wanted, "{}", path.display()),
            (Err(error), Err(wanted)) => assert!(error.contains(wanted), "{}: {error}", path.display()),
            _ => panic!("{}: {read:?}", path.display()),
        }
    }

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, size: u64| {
            let path = dir.path().join(name);
            std::fs::write(&path, "{}").unwrap();
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
            path
        };
        check(&file("card", 2), Ok("{}"));
        check(&file("sparse", LARGEST * 500), Err("larger than the 4 MiB"));
        check(dir.path(), Err("no regular file"));
        check(Path::new("/dev/zero"), Err("no regular file"));
        check(&dir.path().join("absent"), Err("No such file"));
        let fifo = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        check(&fifo, Err("no regular file"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        check(&link, Err("no regular file"));
    }
}
