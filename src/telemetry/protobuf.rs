//! The wire format of protocol buffers, read in place and without a schema: a hostile request of a few bytes a message
//! cannot make us build large structures for it. <https://protobuf.dev/programming-guides/encoding/>

use std::fmt;

/// Bytes that are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is not a valid protocol buffers message")
    }
}

impl std::error::Error for Malformed {}

/// The value of a field.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// An integer, a boolean or an enum.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a string or a message; empty for numbers, as a reader of another schema would have it.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => &[],
        }
    }

    /// The number; zero for bytes.
    pub fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number,
            Self::Fixed32(number) => number.into(),
            Self::Bytes(_) => 0,
        }
    }
}

/// One field of a message.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// The field as it was written, with its tag.
    pub whole: &'a [u8],
}

/// The fields of a message, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of a message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
        let begin = self.rest;
        let tag = varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number != 0)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            // Groups are not part of proto3.
            _ => return None,
        };
        Some(Field { number, value, whole: &begin[..begin.len() - self.rest.len()] })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (place, byte) in rest.iter().take(10).enumerate() {
        // The tenth byte has room for one bit.
        if place == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *rest = &rest[place + 1..];
            return Some(value);
        }
    }
    None
}

/// Writes a message. Empty strings and zeros are left out, as proto3 has it.
#[derive(Debug, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn tag(&mut self, number: u32, kind: u8) {
        self.push_varint(u64::from(number) << 3 | u64::from(kind));
    }

    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits")]
            self.0.push(value as u8 & 0x7f | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "less than 0x80")]
        self.0.push(value as u8);
    }

    /// An integer, a boolean or an enum.
    pub fn varint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.present_varint(number, value);
        }
    }

    /// The same, also if it is zero: members of a `oneof`.
    pub fn present_varint(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.push_varint(value);
    }

    /// Eight bytes.
    pub fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.present_fixed64(number, value);
        }
    }

    /// The same, also if it is zero: members of a `oneof`.
    pub fn present_fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.tag(number, 5);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A string or bytes.
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        if !value.is_empty() {
            self.message(number, value);
        }
    }

    /// A message, or a string that is a member of a `oneof`: also if it is empty.
    pub fn message(&mut self, number: u32, value: &[u8]) {
        self.tag(number, 2);
        self.push_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message that is written by `write`.
    pub fn nested(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.message(number, &inner.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let mut message = Message::default();
        message.varint(1, 300);
        message.fixed64(2, u64::MAX);
        message.bytes(3, b"abc");
        message.fixed32(4, 7);
        message.varint(5, 0);
        message.varint(6, u64::MAX);
        message.nested(70_000, |inner| inner.varint(1, 1));
        let read: Vec<(u32, Value<'_>)> =
            fields(&message.0).map(|field| field.map(|field| (field.number, field.value)).unwrap()).collect();
        assert_eq!(
            read,
            [
                (1, Value::Varint(300)),
                (2, Value::Fixed64(u64::MAX)),
                (3, Value::Bytes(b"abc")),
                (4, Value::Fixed32(7)),
                (6, Value::Varint(u64::MAX)),
                (70_000, Value::Bytes(&[8, 1])),
            ]
        );
        let whole: Vec<u8> = fields(&message.0).flat_map(|field| field.unwrap().whole.to_vec()).collect();
        assert_eq!(whole, message.0);
    }

    #[test]
    fn broken_messages_end_with_an_error() {
        for broken in [
            &[8][..],
            &[8, 0x80],
            &[0x12, 5, 1],
            &[9, 1, 2],
            &[0x0d, 1],
            &[0x0b, 0x0c],
            &[0, 1],
            &[8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            let read: Vec<_> = fields(broken).collect();
            assert_eq!(read.last(), Some(&Err(Malformed)), "{broken:?}");
            assert!(read.len() < 3);
        }
    }
}
