//! Content codings: a stream is read as it comes, a document may be compressed.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName};

use super::BODY;
use crate::domain::cause::{Cause, Limit};
use crate::domain::text::Untrusted;

/// Every element of every line of a header, in lower case.
pub(super) fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    lines
        .flat_map(|line| line.split(',').map(|one| one.trim().to_ascii_lowercase()).collect::<Vec<_>>())
        .collect()
}

/// What an answer is compressed with.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let mut codings = elements(headers, &CONTENT_ENCODING);
    // `none` is what some handlers of streams say to keep a proxy from compressing.
    codings.retain(|coding| !matches!(coding.as_str(), "" | "identity" | "none"));
    codings
}

fn compressed(codings: &[String]) -> Cause {
    let codings = codings.join(", ");
    let told = format!("it is compressed ({codings}), though a plain answer was asked for");
    Cause::Malformed(Untrusted::from(told))
}

/// A stream is not compressed.
///
/// # Errors
/// It is.
pub(super) fn plain(headers: &HeaderMap) -> Result<(), Cause> {
    let codings = codings(headers);
    if codings.is_empty() { Ok(()) } else { Err(compressed(&codings)) }
}

/// What a document says.
///
/// # Errors
/// It is compressed in a way that is not known, not as it says, or into more than a body may be.
pub(super) fn unpacked(headers: &HeaderMap, bytes: Vec<u8>) -> Result<Vec<u8>, Cause> {
    let codings = codings(headers);
    match codings.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(bytes),
        ["gzip" | "x-gzip"] => {
            let mut text = Vec::new();
            let broken =
                |error| Cause::Malformed(Untrusted::from(format!("its compression is broken, {error}")));
            let most = BODY as u64 + 1;
            MultiGzDecoder::new(&bytes[..]).take(most).read_to_end(&mut text).map_err(broken)?;
            if text.len() > BODY { Err(Cause::Limit(Limit::Body)) } else { Ok(text) }
        }
        _ => Err(compressed(&codings)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn documents_may_be_compressed_streams_may_not() {
        let zipped = packed(b"text");
        let other = |coding: &str| {
            Err(format!(
                "its answer is not A2A: it is compressed ({coding}), though a plain answer was asked for"
            ))
        };
        for (codings, bytes, is_plain, document) in [
            (&[][..], &b"text"[..], true, Ok("text")),
            (&["identity"], b"text", true, Ok("text")),
            (&["none", ""], b"text", true, Ok("text")),
            (&["gzip"], &zipped, false, Ok("text")),
            (&["X-Gzip"], &[&zipped[..], &zipped[..]].concat(), false, Ok("texttext")),
            (&["gzip"], b"text", false, Err("its answer is not A2A: its compression is broken".to_owned())),
            (&["br"], b"text", false, other("br")),
            (&["gzip, br"], b"text", false, other("gzip, br")),
            (&["gzip", "gzip"], b"text", false, other("gzip, gzip")),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
            }
            assert_eq!(plain(&headers).is_ok(), is_plain, "{codings:?}");
            match (unpacked(&headers, bytes.to_vec()), document) {
                (Ok(told), Ok(text)) => assert_eq!(told, text.as_bytes(), "{codings:?}"),
                (Err(cause), Err(says)) => {
                    assert!(cause.to_string().starts_with(&says), "{codings:?}: {cause}");
                }
                (told, _) => panic!("{codings:?}: {told:?}"),
            }
        }
    }

    #[test]
    fn what_is_small_only_while_it_is_packed_is_over_the_limit() {
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let bomb = packed(&vec![b'x'; BODY + 1]);
        assert!(bomb.len() < BODY / 100);
        assert_eq!(unpacked(&headers, bomb), Err(Cause::Limit(Limit::Body)));
        assert_eq!(unpacked(&headers, packed(&vec![b'x'; BODY])).map(|text| text.len()), Ok(BODY));
    }
}
