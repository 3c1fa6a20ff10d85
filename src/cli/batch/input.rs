//! The lines of a batch: read one at a time, each a message or a fault.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::domain::agent::card::Dialect;
use crate::domain::id::ContextId;
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::limits;
use crate::domain::text::Untrusted;
use crate::protocol::json::{Object, same_name};
use crate::protocol::{Incoming, codec};
use crate::store::record::Record;

/// What a request holds beside the parts of its message, in bytes: ids, metadata, names.
const BESIDE_PARTS: usize = 1024 * 1024;

/// Lines that are read ahead.
const READ_AHEAD: usize = 4;

/// The members of a line: those of a message in A2A 1.0, and ours.
const MEMBERS: [&str; 14] = [
    "text",
    "agent",
    "skill",
    "caller",
    "context",
    "contextId",
    "metadata",
    "parts",
    "role",
    "kind",
    "messageId",
    "taskId",
    "referenceTaskIds",
    "extensions",
];

/// A line of the file.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Its message, or why there is none.
    pub content: Result<Message, String>,
}

/// A message to send.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Message {
    pub agent: Option<String>,
    pub skill: Option<Untrusted>,
    pub caller: Option<Untrusted>,
    pub context: Option<ContextId>,
    pub metadata: Option<Json>,
    pub parts: Vec<Part>,
    /// A hash of the line.
    pub digest: [u8; 32],
}

/// A file, or standard input.
pub(super) enum Source {
    /// A regular file, which can be read again.
    File(File),
    /// Anything else.
    Stream(Box<dyn Read + Send>),
}

impl Source {
    /// Opens what the command line names.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stream(Box::new(io::stdin())));
        }
        let file = File::open(path)?;
        let kind = file.metadata()?;
        if kind.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok(if kind.is_file() { Self::File(file) } else { Self::Stream(Box::new(file)) })
    }

    /// The same as a file that can be read again: a stream is copied to a temporary file, which has no name.
    pub fn into_file(self) -> io::Result<File> {
        let mut stream = match self {
            Self::File(file) => return Ok(file),
            Self::Stream(stream) => stream,
        };
        let name = format!("quarterdeck-batch-{}", uuid::Uuid::now_v7());
        let path = std::env::temp_dir().join(name);
        let mut file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        std::fs::remove_file(&path)?;
        io::copy(&mut stream, &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Its lines.
    pub fn lines(self) -> Lines<BufReader<Box<dyn Read + Send>>> {
        let stream = match self {
            Self::File(file) => Box::new(file),
            Self::Stream(stream) => stream,
        };
        Lines::new(BufReader::with_capacity(64 * 1024, stream))
    }
}

/// How many lines there are, if somebody looks and they can be read twice.
pub(super) async fn counted(source: Source, is_shown: bool) -> (Source, Option<u64>) {
    match source {
        Source::File(file) if is_shown => {
            let counted = tokio::task::spawn_blocking(move || {
                let lines = count(&file).ok();
                (Source::File(file), lines)
            });
            counted.await.unwrap_or_else(|_| (Source::Stream(Box::new(io::empty())), None))
        }
        source => (source, None),
    }
}

/// Reads lines in a thread of its own, a few ahead.
pub(super) fn read(source: Source) -> mpsc::Receiver<io::Result<Line>> {
    let (sender, lines) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let lines: Lines<_> = source.lines();
        for line in lines {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    lines
}

/// How many lines a file has, without blank ones.
fn count(file: &File) -> io::Result<u64> {
    let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, file));
    let mut count = 0;
    while lines.raw()?.is_some() {
        count += 1;
    }
    rewind(file)?;
    Ok(count)
}

/// Back to the first line.
pub(super) fn rewind(mut file: &File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0)).map(|_| ())
}

/// Lines that are not blank. One at a time is in memory, and of a line that is too long only its beginning.
pub(super) struct Lines<R> {
    source: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(source: R) -> Self {
        Self { source, number: 0 }
    }

    /// The next line that is not blank: its number and bytes, `None` if it is too long.
    fn raw(&mut self) -> io::Result<Option<(u64, Option<Vec<u8>>)>> {
        loop {
            let mut line = Some(Vec::new());
            let mut is_end = true;
            loop {
                let buffer = match self.source.fill_buf() {
                    Ok(buffer) => buffer,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                is_end &= buffer.is_empty();
                let end = memchr::memchr(b'\n', buffer);
                let take = end.unwrap_or(buffer.len());
                line = line.filter(|line| line.len() + take <= limits::MESSAGE);
                if let Some(line) = &mut line {
                    line.extend_from_slice(&buffer[..take]);
                }
                let is_whole = end.is_some() || buffer.is_empty();
                self.source.consume(take + usize::from(end.is_some()));
                if is_whole {
                    break;
                }
            }
            if is_end {
                return Ok(None);
            }
            self.number += 1;
            if line.as_ref().is_none_or(|line| !line.trim_ascii().is_empty()) {
                return Ok(Some((self.number, line)));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, bytes) = match self.raw() {
            Ok(line) => line?,
            Err(error) => return Some(Err(error)),
        };
        let content = match bytes {
            None => Err(format!("longer than the {} MiB that can be sent", limits::MESSAGE >> 20)),
            Some(bytes) => message(&bytes),
        };
        Some(Ok(Line { number, content }))
    }
}

fn message(bytes: &[u8]) -> Result<Message, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let value = serde_json::from_str::<serde::de::IgnoredAny>(text);
    value.map_err(|error| format!("not JSON: {error}"))?;
    let object = Object::parse(text).map_err(|_| "not a JSON object, such as {\"text\": \"…\"}")?;
    if let Some((name, _)) =
        object.members().find(|(name, _)| !MEMBERS.iter().any(|known| same_name(known, name)))
    {
        return Err(format!("its member {name:?} is unknown"));
    }
    for name in ["taskId", "referenceTaskIds", "extensions"] {
        if object.raw(name).is_some_and(|raw| !matches!(raw, "null" | "[]" | "\"\"")) {
            let instead = "; a batch starts tasks, and `send --task-id` answers one";
            return Err(format!("a batch cannot send {name}{}", if name == "taskId" { instead } else { "" }));
        }
    }
    for (name, allowed) in [("role", ["ROLE_USER", "user"]), ("kind", ["message", "message"])] {
        if object.has(name) && !object.text(name).is_some_and(|text| allowed.contains(&&*text)) {
            return Err(format!("its {name} is not {:?}", allowed[0]));
        }
    }
    let parts = parts(text, &object)?;
    if parts.put().len() + BESIDE_PARTS > limits::MESSAGE {
        return Err(format!("larger than the {} MiB that can be sent", limits::MESSAGE >> 20));
    }
    let metadata = object.json_object("metadata");
    if metadata.is_none() && object.raw("metadata").is_some_and(|raw| raw != "null") {
        return Err("its metadata is not a JSON object".into());
    }
    let word = |name: &str| match object.raw(name) {
        None | Some("null") => Ok(None),
        Some(raw) => match object.filled(name).filter(|_| raw.starts_with('"')) {
            Some(text) => Ok(Some(text)),
            None => Err(format!("its {name} is no text, or empty")),
        },
    };
    let context = match word("contextId")? {
        Some(context) => Some(context),
        None => word("context")?,
    };
    Ok(Message {
        agent: word("agent")?.map(|agent| agent.raw().to_owned()),
        skill: word("skill")?,
        caller: word("caller")?,
        context: context.map(ContextId::from),
        metadata,
        parts,
        digest: Sha256::digest(text).into(),
    })
}

fn parts(line: &str, object: &Object<'_>) -> Result<Vec<Part>, String> {
    let parts = match (object.raw("text"), object.raw("parts")) {
        (Some(_), Some(_)) => return Err("it has both text and parts".into()),
        (Some(raw), None) => {
            let text = object.untrusted("text").filter(|_| raw.starts_with('"'));
            vec![Part::text(text.ok_or("its text is not a string")?)]
        }
        (None, Some(raw)) if raw.starts_with('[') => {
            // The line is read as a server reads it.
            let request =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{{"message":{line}}}}}"#);
            match codec(Dialect::V1_0).decode_request(&request) {
                Ok((_, Incoming::Send { message, .. })) => message.parts,
                Ok(_) => return Err("not a message".into()),
                Err(cause) => return Err(cause.to_string()),
            }
        }
        (None, Some(_)) => return Err("its parts are no array".into()),
        (None, None) => return Err("it has neither text nor parts".into()),
    };
    if let Some(at) = parts.iter().position(|part| matches!(part.content, Content::Unknown(_))) {
        return Err(format!("its part {} has no text, data, raw or url", at + 1));
    }
    let is_blank = |part: &Part| part.as_text().is_some_and(|text| text.raw().trim().is_empty());
    if parts.iter().all(is_blank) {
        return Err("the message is empty, and would start work without saying what".into());
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, Result<Message, String>)> {
        Lines::new(text).map(|line| line.map(|line| (line.number, line.content)).unwrap()).collect()
    }

    #[test]
    fn messages_of_both_forms_are_read() {
        let [(_, short)] = &read(
            br#"{"text": "go", "agent": "a", "skill": "s", "caller": "c", "context": "x", "metadata": {"n": 2.50}}"#,
        )[..] else {
            panic!("one line")
        };
        let short = short.as_ref().unwrap();
        assert_eq!(short.parts, [Part::text("go")]);
        assert_eq!(short.agent.as_deref(), Some("a"));
        assert_eq!((short.skill.clone(), short.caller.clone()), (Some("s".into()), Some("c".into())));
        assert_eq!(short.context, Some("x".into()));
        assert_eq!(short.metadata, Some(Json::new(r#"{"n": 2.50}"#)));
        let [(_, full)] = &read(
            br#"{"messageId":"m","role":"ROLE_USER","contextId":"x","parts":[{"text":"go"},{"data":{"n":2.50},"mediaType":"application/json"},{"url":"http://h/f","filename":"f"}]}"#,
        )[..] else {
            panic!("one line")
        };
        let full = full.as_ref().unwrap();
        assert_eq!((full.parts.len(), &full.context), (3, &Some("x".into())));
        assert_eq!(full.parts[1].content, Content::Data(Json::new(r#"{"n":2.50}"#)));
        assert_eq!(full.parts[2].filename, Some("f".into()));
        assert_eq!((full.agent.as_ref(), &full.metadata), (None, &None));
    }

    #[test]
    fn faulty_lines_are_named_and_the_rest_goes_on() {
        for (line, fault) in [
            ("{\"text\": \"a", "not JSON"),
            ("just words", "not JSON"),
            ("[]", "not a JSON object"),
            ("\"text\"", "not a JSON object"),
            ("{}", "neither text nor parts"),
            (r#"{"txet":"a"}"#, "\"txet\" is unknown"),
            (r#"{"text":7}"#, "not a string"),
            (r#"{"text":" "}"#, "is empty"),
            (r#"{"text":"a","parts":[{"text":"b"}]}"#, "both"),
            (r#"{"parts":[]}"#, "is empty"),
            (r#"{"parts":{"text":"a"}}"#, "no array"),
            (r#"{"parts":[{"text":"a"},{"odd":1}]}"#, "part 2"),
            (r#"{"text":"a","role":"ROLE_AGENT"}"#, "its role"),
            (r#"{"text":"a","kind":"task"}"#, "its kind"),
            (r#"{"text":"a","taskId":"t"}"#, "send --task-id"),
            (r#"{"text":"a","extensions":["e"]}"#, "extensions"),
            (r#"{"text":"a","metadata":[1]}"#, "metadata is not"),
            (r#"{"text":"a","agent":7}"#, "its agent"),
            (r#"{"text":"a","skill":""}"#, "its skill"),
        ] {
            let text = format!("{line}\n\n \r\n{{\"text\":\"next\"}}");
            let lines = read(text.as_bytes());
            let found = lines[0].1.as_ref().unwrap_err();
            assert!(found.contains(fault), "{line}: {found}");
            assert_eq!((lines.len(), lines[1].0, lines[1].1.is_ok()), (2, 4, true), "{line}");
        }
        let lines = read(b"\xff\xfe\n\xef\xbb\xbf{\"text\":\"a\"}\r\n");
        assert_eq!(lines[0].1, Err("not UTF-8".into()));
        assert_eq!(lines[1].1.as_ref().unwrap().parts, [Part::text("a")]);
        assert!(read(b"").is_empty() && read(b"\n\n").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_not_kept() {
        let long = io::repeat(b'x').take(limits::MESSAGE as u64 + 1).chain(&b"\n{\"text\":\"a\"}"[..]);
        let mut lines = Lines::new(BufReader::new(long));
        let first = lines.next().unwrap().unwrap();
        assert!(first.content.unwrap_err().contains("32 MiB"));
        let second = lines.next().unwrap().unwrap();
        assert_eq!((second.number, second.content.is_ok()), (2, true));
        assert!(lines.next().is_none());
    }
}
