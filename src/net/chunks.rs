//! Chunked bodies (RFC 9112, section 7.1), in whatever pieces they come.

use crate::domain::cause::{Cause, Limit};
use crate::domain::limits::CHUNK_EXTENSIONS;
use crate::domain::text::Untrusted;

/// Where in a chunked body one is.
#[derive(Debug)]
pub(super) enum Chunks {
    /// In the size of a chunk.
    Size { size: u64, digits: u8 },
    /// Behind it, where extensions are.
    Extension { size: u64, passed: usize },
    /// In a chunk of which so much is to come.
    Data(u64),
    /// At the line end behind a chunk.
    DataEnd,
    /// After the last chunk; an empty line ends the trailers.
    Trailer { at_start: bool, passed: usize },
    /// All of it has come.
    Over,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    /// True behind the end of the body.
    pub fn are_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Takes the next bytes of the connection, and passes on those of the body. Returns how many bytes came behind it.
    ///
    /// # Errors
    /// They are no chunks, or `take` had enough.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Cause>,
    ) -> Result<usize, Cause> {
        while let Some(&byte) = bytes.first() {
            if let Self::Data(left) = self {
                let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let (data, rest) = bytes.split_at(length);
                bytes = rest;
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                take(data)?;
                continue;
            }
            if self.are_over() {
                return Ok(bytes.len());
            }
            bytes = &bytes[1..];
            self.step(byte)?;
        }
        Ok(0)
    }

    /// Processes a byte that is not part of the body.
    fn step(&mut self, byte: u8) -> Result<(), Cause> {
        let malformed = || Cause::Malformed(Untrusted::from("not HTTP, a chunk has no size or no end"));
        *self = match *self {
            Self::Size { size, digits } => match byte {
                _ if byte.is_ascii_hexdigit() && digits < 16 => {
                    let digit = char::from(byte).to_digit(16).unwrap_or_default();
                    Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
                }
                b';' | b' ' | b'\t' | b'\r' if digits > 0 => Self::Extension { size, passed: 0 },
                b'\n' if digits > 0 => Self::sized(size),
                _ => return Err(malformed()),
            },
            Self::Extension { size, .. } if byte == b'\n' => Self::sized(size),
            Self::Extension { size, passed } if passed < CHUNK_EXTENSIONS => {
                Self::Extension { size, passed: passed + 1 }
            }
            Self::DataEnd if byte == b'\r' => Self::DataEnd,
            Self::DataEnd if byte == b'\n' => Self::default(),
            Self::DataEnd => return Err(malformed()),
            Self::Trailer { at_start: true, .. } if byte == b'\n' => Self::Over,
            Self::Trailer { at_start, passed } if passed < CHUNK_EXTENSIONS => {
                let at_start = byte == b'\n' || at_start && byte == b'\r';
                Self::Trailer { at_start, passed: passed + 1 }
            }
            Self::Extension { .. } | Self::Trailer { .. } => return Err(Cause::Limit(Limit::Headers)),
            Self::Data(_) | Self::Over => return Ok(()),
        };
        Ok(())
    }

    fn sized(size: u64) -> Self {
        if size == 0 { Self::Trailer { at_start: true, passed: 0 } } else { Self::Data(size) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body that arrives in these pieces, and whether it has ended.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), Cause> {
        let (mut chunks, mut body) = (Chunks::default(), Vec::new());
        for piece in pieces {
            chunks.feed(piece, |data| {
                body.extend_from_slice(data);
                Ok(())
            })?;
        }
        Ok((body, chunks.are_over()))
    }

    #[test]
    fn chunked_bodies_are_read_and_malformed_ones_refused() {
        for (bytes, expected) in [
            ("5\r\nhello\r\n0\r\n\r\n", Some(("hello", true))),
            ("5;name=\"a b\"\r\nhello\r\n00\r\nx: y\r\n\r\nwhat comes after it", Some(("hello", true))),
            ("5 \nhello\n0\n\n", Some(("hello", true))),
            ("A\r\n0123456789\r\n", Some(("0123456789", false))),
            ("ffffffffffffffff\r\nabc", Some(("abc", false))),
            ("00000000000000000\r\n", None),
            ("\r\n", None),
            ("-1\r\n", None),
            ("5\r\nhello5\r\n", None),
            ("data: x\n\n", None),
        ] {
            let expected = expected.map(|(body, over)| (body.as_bytes().to_vec(), over));
            assert_eq!(read(&[bytes.as_bytes()]).ok(), expected, "{bytes:?}");
        }
        let long = format!("5;{}", "x".repeat(CHUNK_EXTENSIONS + 2));
        assert_eq!(read(&[long.as_bytes()]), Err(Cause::Limit(Limit::Headers)));
        let long = format!("0\r\n{}", "x: y\r\n".repeat(CHUNK_EXTENSIONS));
        assert_eq!(read(&[long.as_bytes()]), Err(Cause::Limit(Limit::Headers)));
    }

    proptest! {
        /// A body is the same however it is chunked and split into pieces, and no input panics.
        #[test]
        fn any_split_of_the_bytes_gives_the_same_body(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), Ok((parts.concat(), true)));
            let _whatever = read(&[&bytes[..at[at.len() / 2]], &noise]);
        }
    }
}
