//! Bodies of requests: their format, their compression, and the frames of gRPC.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use http::StatusCode;

use super::super::http::Call;
use crate::telemetry::limits;

/// How a request is written, and with it the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// JSON over HTTP.
    Json,
    /// Protocol buffers over HTTP.
    Protobuf,
    /// Protocol buffers over gRPC.
    Grpc,
}

impl Format {
    /// The format that a request declares; the listener has checked that it is one of these.
    pub fn of(call: &Call) -> Self {
        if call.media_type == "application/json" {
            Self::Json
        } else if call.media_type.starts_with("application/grpc") {
            Self::Grpc
        } else {
            Self::Protobuf
        }
    }
}

/// Why a body is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    pub status: StatusCode,
    pub why: &'static str,
}

const fn refused(status: StatusCode, why: &'static str) -> Refused {
    Refused { status, why }
}

const TOO_LARGE: Refused = refused(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
const NOT_GZIP: Refused = refused(StatusCode::BAD_REQUEST, "the body is not gzip");
const UNKNOWN: Refused = refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only gzip and identity are understood");
const FRAME: Refused = refused(StatusCode::BAD_REQUEST, "the body is not one message of gRPC");

/// The bytes of a frame before its message: a flag for compression, and the length.
const PREFIX: usize = 5;

/// The message of a request, decompressed.
pub(super) fn decoded(format: Format, call: &Call) -> Result<Cow<'_, [u8]>, Refused> {
    let (compressed, message) = match format {
        Format::Grpc => unframed(&call.body)?,
        Format::Json | Format::Protobuf => (!call.encoding.is_empty(), &*call.body),
    };
    if !compressed {
        return Ok(Cow::Borrowed(message));
    }
    if call.encoding != "gzip" {
        return Err(UNKNOWN);
    }
    let mut plain = Vec::new();
    let most = limits::REQUEST as u64;
    let read = MultiGzDecoder::new(message).take(most + 1).read_to_end(&mut plain);
    match read {
        Ok(length) if length as u64 > most => Err(TOO_LARGE),
        Ok(_) => Ok(Cow::Owned(plain)),
        Err(_) => Err(NOT_GZIP),
    }
}

/// The message of a call with one, and whether it is compressed.
fn unframed(body: &[u8]) -> Result<(bool, &[u8]), Refused> {
    let (prefix, message) = body.split_at_checked(PREFIX).ok_or(FRAME)?;
    let [flag, length @ ..] = prefix else { return Err(FRAME) };
    let length = length.try_into().map(u32::from_be_bytes).map_err(|_| FRAME)?;
    if *flag > 1 || usize::try_from(length) != Ok(message.len()) {
        return Err(FRAME);
    }
    Ok((*flag == 1, message))
}

/// A message as one frame.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], message].concat()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::serve::http::Cancelled;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(media_type: &str, encoding: &str, body: Vec<u8>, expected: Result<&[u8], Refused>) {
        let call = Call {
            parameter: None,
            query: None,
            host: None,
            media_type: media_type.to_owned(),
            encoding: encoding.to_owned(),
            body: body.into(),
            cancelled: Cancelled::default(),
        };
        let is = decoded(Format::of(&call), &call);
        assert_eq!(is.as_deref(), expected.as_ref().copied(), "{media_type} {encoding}");
    }

    #[test]
    fn bodies_are_decoded_within_their_limit() {
        let (json, grpc) = ("application/json", "application/grpc+proto");
        check(json, "", b"{}".to_vec(), Ok(b"{}"));
        check(json, "gzip", gzip(b"{}"), Ok(b"{}"));
        check(json, "gzip", b"{}".to_vec(), Err(NOT_GZIP));
        check(json, "br", b"{}".to_vec(), Err(UNKNOWN));
        check(json, "gzip", gzip(&vec![b' '; limits::REQUEST]), Ok(&vec![b' '; limits::REQUEST]));
        check(json, "gzip", gzip(&vec![b' '; limits::REQUEST + 1]), Err(TOO_LARGE));
        check(grpc, "", framed(b"abc"), Ok(b"abc"));
        check(grpc, "gzip", framed(b"abc"), Ok(b"abc"));
        let mut compressed = framed(&gzip(b"abc"));
        compressed[0] = 1;
        check(grpc, "gzip", compressed.clone(), Ok(b"abc"));
        check(grpc, "", compressed.clone(), Err(UNKNOWN));
        compressed[0] = 2;
        check(grpc, "gzip", compressed, Err(FRAME));
        for broken in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x05abc", b"\0\0\0\0\x01abc"] {
            check(grpc, "", broken.to_vec(), Err(FRAME));
        }
    }
}
