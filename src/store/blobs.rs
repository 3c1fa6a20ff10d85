//! Large outputs as files: growing ones under a number, complete ones under their SHA-256.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// An output longer than this is a file.
pub const INLINE: u64 = 64 * 1024;

/// The folder of large outputs in a data folder.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// The blobs of a data folder; the folder is made when the first one comes.
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("blobs") }
    }

    fn growing(&self, output: i64) -> PathBuf {
        self.dir.join(format!("growing-{output}"))
    }

    /// Where a complete output is.
    pub fn complete(&self, sha256: &str) -> PathBuf {
        self.dir.join(sha256.get(..2).unwrap_or("00")).join(sha256)
    }

    /// Writes `bytes` at `from` and truncates the file after them: bytes left by a crash are removed.
    ///
    /// # Errors
    /// The file system says no.
    pub fn append(&self, output: i64, from: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.growing(output);
        let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir)?;
                open()?
            }
            opened => opened?,
        };
        if file.metadata()?.len() != from {
            file.set_len(from)?;
        }
        file.write_all_at(bytes, from)
    }

    /// Names a complete output by its content. An existing equal file is shared.
    ///
    /// # Errors
    /// The file system says no.
    pub fn seal(&self, output: i64, bytes: u64) -> io::Result<String> {
        let path = self.growing(output);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.set_len(bytes)?;
        let mut hash = Sha256::new();
        let mut reader = io::BufReader::with_capacity(1 << 16, &file);
        let mut buffer = vec![0; 1 << 14];
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
        let mut sha256 = String::with_capacity(64);
        for byte in hash.finalize() {
            sha256.push_str(&format!("{byte:02x}"));
        }
        let named = self.complete(&sha256);
        if named.exists() {
            fs::remove_file(&path)?;
        } else {
            if let Some(dir) = named.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::rename(&path, &named)?;
        }
        Ok(sha256)
    }

    /// Reads a piece of an output.
    ///
    /// # Errors
    /// The file is gone or shorter than it should be.
    pub fn read(&self, output: i64, sha256: Option<&str>, from: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let path = sha256.map_or_else(|| self.growing(output), |sha256| self.complete(sha256));
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut piece = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        file.read_exact(&mut piece)?;
        Ok(piece)
    }

    /// Removes an output's file. A missing file is not an error.
    ///
    /// # Errors
    /// The file system says no.
    pub fn remove(&self, output: i64, sha256: Option<&str>) -> io::Result<()> {
        let path = sha256.map_or_else(|| self.growing(output), |sha256| self.complete(sha256));
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Bytes of all files together.
    pub fn size(&self) -> u64 {
        fn of(dir: &Path) -> u64 {
            let Ok(entries) = fs::read_dir(dir) else { return 0 };
            entries
                .filter_map(Result::ok)
                .map(|entry| match entry.file_type() {
                    Ok(kind) if kind.is_dir() => of(&entry.path()),
                    _ => entry.metadata().map_or(0, |meta| meta.len()),
                })
                .sum()
        }
        of(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_grow_and_are_named_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        blobs.append(1, 0, b"one ").unwrap();
        blobs.append(1, 4, b"left by a crash").unwrap();
        blobs.append(1, 4, b"two").unwrap();
        assert_eq!(blobs.read(1, None, 2, 4).unwrap(), b"e tw");
        let sha = blobs.seal(1, 7).unwrap();
        assert_eq!(blobs.read(1, Some(&sha), 0, 7).unwrap(), b"one two");
        blobs.append(2, 0, b"one two").unwrap();
        assert_eq!(blobs.seal(2, 7).unwrap(), sha);
        assert_eq!(blobs.size(), 7);
        blobs.remove(1, Some(&sha)).unwrap();
        assert!(blobs.read(1, Some(&sha), 0, 1).is_err());
    }
}
