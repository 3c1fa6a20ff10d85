//! Content codings: a stream must be uncompressed, a document may be compressed.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName};

use crate::domain::cause::Cause;
use crate::domain::text::Untrusted;

/// Every element of every line of a header, in lower case.
pub(super) fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    lines
        .flat_map(|line| line.split(',').map(|one| one.trim().to_ascii_lowercase()).collect::<Vec<_>>())
        .collect()
}

/// The content codings of an answer.
fn codings(headers: &HeaderMap) -> Vec<String> {
    let mut codings = elements(headers, &CONTENT_ENCODING);
    // Some stream handlers send `none` to keep a proxy from compressing.
    codings.retain(|coding| !matches!(coding.as_str(), "" | "identity" | "none"));
    codings
}

fn compressed(codings: &[String]) -> Cause {
    let codings = codings.join(", ");
    let message = format!("it is compressed ({codings}), though a plain answer was asked for");
    Cause::Malformed(Untrusted::from(message))
}

/// A stream is not compressed.
///
/// # Errors
/// It is.
pub(super) fn plain(headers: &HeaderMap) -> Result<(), Cause> {
    let codings = codings(headers);
    if codings.is_empty() { Ok(()) } else { Err(compressed(&codings)) }
}

/// How a document is coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    Plain,
    Gzip,
}

/// How a document is coded, by its headers.
///
/// # Errors
/// It is compressed in a way that is not known.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Cause> {
    let codings = codings(headers);
    match codings.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(Coding::Plain),
        ["gzip" | "x-gzip"] => Ok(Coding::Gzip),
        _ => Err(compressed(&codings)),
    }
}

/// A reader that unpacks gzip.
pub(super) fn gunzip(bytes: &[u8]) -> impl Read {
    MultiGzDecoder::new(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;
    use url::Url;

    use super::super::Redactor;
    use super::super::body::{Body, BodyLimits, Reading, Size};
    use super::super::budget::Budget;
    use super::*;
    use crate::domain::cause::Limit;
    use crate::domain::limits;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The document in a body of these bytes.
    async fn document(headers: &HeaderMap, bytes: Vec<u8>, size: Size) -> Result<String, Cause> {
        let (budget, url) = (Budget::new(), Url::parse("http://h/").unwrap());
        let body = Body::Client(reqwest::Body::from(bytes));
        let long = Duration::from_secs(60);
        let (text, read) = Reading::new(&budget, &url, BodyLimits { size, left: long, limit: long })
            .read(body, headers, &Redactor::default())
            .await;
        read.map(|()| text.into_parts().0.into_string())
    }

    #[tokio::test]
    async fn documents_may_be_compressed_streams_may_not() {
        let zipped = packed(b"text");
        let other = |coding: &str| {
            Err(format!(
                "its answer is not A2A: it is compressed ({coding}), though a plain answer was asked for"
            ))
        };
        for (codings, bytes, is_plain, expected) in [
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
            match (document(&headers, bytes.to_vec(), Size::Answer).await, expected) {
                (Ok(decoded), Ok(text)) => assert_eq!(decoded, text, "{codings:?}"),
                (Err(cause), Err(says)) => {
                    assert!(cause.to_string().starts_with(&says), "{codings:?}: {cause}");
                }
                (decoded, _) => panic!("{codings:?}: {decoded:?}"),
            }
        }
    }

    /// The limit of a document applies to its unpacked and to its packed size.
    #[tokio::test]
    async fn the_limit_of_a_document_holds_for_its_decompressed_size() {
        for (size, most, limit) in
            [(Size::Card, limits::CARD, Limit::Card), (Size::Answer, limits::BODY, Limit::Body)]
        {
            let mut gzip = HeaderMap::new();
            gzip.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            let text = vec![b'x'; most + 1];
            let bomb = packed(&text);
            assert!(bomb.len() < most / 100);
            let fits = packed(&text[..most - bomb.len()]);
            for (headers, bytes, length) in [
                (&gzip, bomb.clone(), Err(Cause::Limit(limit))),
                (&gzip, packed(&text[..most]), Err(Cause::Limit(limit))),
                (&gzip, fits, Ok(most - bomb.len())),
                (&HeaderMap::new(), text[..most].to_vec(), Ok(most)),
                (&HeaderMap::new(), text.clone(), Err(Cause::Limit(limit))),
            ] {
                assert_eq!(document(headers, bytes, size).await.map(|text| text.len()), length, "{size:?}");
            }
        }
    }
}
