//! Files of the operator's that are read whole: regular files up to a limit, so that nothing is waited for.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// It cannot be opened, is no regular file, or is too large; then the error names its size and the limit.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Without waiting: a pipe that nobody writes to would never open, and some files never end a read.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let too_large = |size: u64| {
        let why = format!("it has {size} bytes, and at most {most} ({} MiB) are read", most >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, why)
    };
    if metadata.len() > most {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    let read = file.take(most + 1).read_to_end(&mut bytes)? as u64;
    if read > most { Err(too_large(read)) } else { Ok(bytes) }
}

/// The same for a file of UTF-8.
///
/// # Errors
/// Those of [`read`], or it is no UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1024 * 1024;

    #[track_caller]
    fn check(path: &Path, wanted: Result<&str, &str>) {
        let read = read_text(path, MOST).map_err(|error| error.to_string());
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
        check(&file("small", 2), Ok("{}"));
        check(&file("over", MOST + 1), Err("it has 1048577 bytes, and at most 1048576 (1 MiB) are read"));
        check(&file("sparse", MOST * 4096), Err("it has 4294967296 bytes"));
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
