//! The file that keeps the tasks of an agent: a line for each change, and from time to time written anew.
//!
//! A line is an event as A2A 1.0 streams it, or a count. Each is written at once, so that a kill loses none that was
//! answered; a last line without its end is left out.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::folder::replace;
use super::runs::Run;
use crate::domain::agent::card::Dialect;
use crate::domain::id::{MessageId, TaskId};
use crate::domain::job::message::{Artifact, Part};
use crate::domain::job::task::StreamEvent;
use crate::domain::time::PeerTime;
use crate::protocol::json::{Object, Writer};
use crate::protocol::{Deviations, Event, codec, jsonrpc};

/// A file is written anew once it is this long, and twice as long as when it was last written anew.
const LEAST: u64 = 512 * 1024;
/// Outputs are kept up to this many bytes.
pub(super) const OUTPUT_KEPT: usize = 64 * 1024;

/// A line of the file.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Line {
    /// A task was made, with the seed of its work, or changed.
    Event { event: StreamEvent, seed: u64 },
    /// A message arrived this often.
    Received { message: MessageId, times: u64 },
    /// The work on a message began, or has ended.
    Run { number: u64, run: Run },
    /// Messages that are no longer listed one by one: how many, and how many arrivals.
    Earlier { messages: u64, arrivals: u64 },
    /// This many tasks were made of a text, by its hash.
    Begun { text: u64, tasks: u64 },
    /// All tasks were forgotten.
    Forgot,
}

impl Line {
    fn put(&self) -> String {
        let number = |number: &u64| number.to_string();
        match self {
            Self::Event { event, seed } => {
                let event = codec(Dialect::V1_0).encode_event(event);
                let event = jsonrpc::result("1", &event);
                Writer::new().raw("event", &event).text("seed", &number(seed)).end()
            }
            Self::Received { message, times } => {
                Writer::new().text("received", &message.raw()).raw("times", &number(times)).end()
            }
            Self::Run { number: place, run } => {
                let Run { job, attempt, task, begun, ended } = run;
                let writer = Writer::new().text("job", job.raw()).raw("run", &number(place));
                let writer = writer.maybe("attempt", attempt.as_ref().map(|attempt| attempt.raw()));
                let writer = writer.maybe("task", task.as_ref().map(TaskId::raw));
                let writer = writer.raw("began", &begun.micros().to_string());
                writer.maybe_raw("ended", ended.map(|ended| ended.micros().to_string()).as_deref()).end()
            }
            Self::Earlier { messages, arrivals } => {
                Writer::new().raw("earlier", &number(messages)).raw("arrivals", &number(arrivals)).end()
            }
            Self::Begun { text, tasks } => {
                Writer::new().text("begun", &number(text)).raw("tasks", &number(tasks)).end()
            }
            Self::Forgot => Writer::new().flag("forgot", true).end(),
        }
    }

    fn get(line: &str) -> Option<Self> {
        let object = Object::parse(line).ok()?;
        let number = |key: &str| object.text(key)?.parse::<u64>().ok();
        if let Some(event) = object.raw("event") {
            let event = match codec(Dialect::V1_0).decode_event(event, &mut Deviations::default()).ok()? {
                Event::Full(event) => event,
                Event::Chunk { task, artifact, text, last } => StreamEvent::Artifact {
                    task: Some(TaskId::from(&*task)),
                    context: None,
                    artifact: Artifact::new(&*artifact, vec![Part::text(&*text)]),
                    append: true,
                    last,
                },
                Event::Error(_) => return None,
            };
            return Some(Self::Event { event, seed: number("seed")? });
        }
        if let Some(message) = object.untrusted("received") {
            return Some(Self::Received { message: message.into(), times: number("times")? });
        }
        if let Some(job) = object.untrusted("job") {
            let run = Run {
                job,
                attempt: object.untrusted("attempt"),
                task: object.untrusted("task").map(TaskId::from),
                begun: PeerTime::from_micros(object.number("began")?),
                ended: object.number("ended").map(PeerTime::from_micros),
            };
            return Some(Self::Run { number: number("run")?, run });
        }
        if let Some(messages) = number("earlier") {
            return Some(Self::Earlier { messages, arrivals: number("arrivals")? });
        }
        if let Some(text) = number("begun") {
            return Some(Self::Begun { text, tasks: number("tasks")? });
        }
        object.flag("forgot").then_some(Self::Forgot)
    }
}

/// The file of an agent.
#[derive(Debug)]
pub(super) struct TaskLog {
    path: PathBuf,
    size: u64,
    /// The size at which it is written anew.
    limit: u64,
}

impl TaskLog {
    /// Opens the file, and reads what it has.
    ///
    /// # Errors
    /// The file system says no.
    pub fn open(path: PathBuf) -> io::Result<(Self, Vec<Line>)> {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().filter_map(Line::get).collect();
        // Written anew with the first change, so that nothing is appended to half a line.
        Ok((Self { path, size: u64::MAX, limit: LEAST }, lines))
    }

    /// Appends a line. True if the file is to be written anew.
    pub fn append(&mut self, line: &Line) -> bool {
        if self.size < self.limit {
            let text = format!("{}\n", line.put());
            let file = OpenOptions::new().append(true).open(&self.path);
            match file.and_then(|mut file| file.write_all(text.as_bytes())) {
                Ok(()) => self.size += text.len() as u64,
                Err(error) => {
                    tracing::debug!(%error, "a change of a task cannot be written");
                    self.size = u64::MAX;
                }
            }
        }
        self.size >= self.limit
    }

    /// Writes the file anew.
    pub fn rewrite(&mut self, lines: impl Iterator<Item = Line>) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.put());
            text.push('\n');
        }
        self.size = match replace(&self.path, text.as_bytes()) {
            Ok(()) => text.len() as u64,
            Err(error) => {
                tracing::debug!(%error, "the tasks cannot be written");
                u64::MAX
            }
        };
        self.limit = (text.len() as u64 * 2).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tasks::Tasks;
    use crate::domain::job::message::{Hints, Json, Message, Role};
    use crate::domain::job::task::{TaskReport, TaskState};

    fn message(number: u32, text: &str) -> Message {
        let (job, attempt) = (format!("j-{number}"), format!("a-{number}"));
        let metadata =
            Writer::new().text("quarterdeck.job", &job).text("quarterdeck.attempt", &attempt).end();
        Message {
            hints: Hints { job: Some(job.into()), attempt: Some(attempt.into()), ..Hints::default() },
            metadata: Some(Json::new(metadata)),
            ..Message::new(format!("m-{number}").as_str(), Role::User, vec![Part::text(text)])
        }
    }

    /// A task with a life behind it, in the state that it has reached.
    fn live(tasks: &Tasks, number: u32, text: &str, until: TaskState) -> u64 {
        let now = PeerTime::from_micros(i64::from(number) * 1_000_000);
        let message = message(number, text);
        tasks.count(&message.id);
        let seed = |text: u64, before: u64| text ^ before;
        let open = tasks.open(&message, None, format!("t-{number}"), format!("c-{number}"), now, seed);
        let id = open.report.id;
        let words = Message::new("w", Role::Agent, vec![Part::text("on the way")]);
        tasks.status(&id, TaskState::Working, Some(words), now);
        tasks.chunk(&id, "letter.md", "Querida ", false, false);
        tasks.chunk(&id, "letter.md", "Ana", true, true);
        tasks.status(&id, until, None, now);
        open.seed
    }

    fn reports(tasks: &Tasks) -> Vec<TaskReport> {
        let join = |report: TaskReport| {
            let mut outputs = report.artifacts.unwrap_or_default();
            for output in &mut outputs {
                let text: String =
                    output.parts.iter().filter_map(Part::as_text).map(|text| text.raw()).collect();
                output.parts = vec![Part::text(text)];
            }
            TaskReport { artifacts: Some(outputs), ..report }
        };
        tasks.list(|_| true, 0, usize::MAX).0.into_iter().map(join).collect()
    }

    #[test]
    fn tasks_and_counts_are_read_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taxi.jsonl");
        let first = Tasks::default();
        first.keep_in(path.clone()).unwrap();
        let seeds: Vec<u64> = [TaskState::Completed, TaskState::Working, TaskState::InputRequired]
            .into_iter()
            .zip(0..)
            .map(|(state, number)| live(&first, number, "the same", state))
            .collect();
        first.count(&message(0, "").id);
        for ended in [Some(PeerTime::from_micros(8)), None] {
            let run = first.begin_run(&message(0, ""), PeerTime::from_micros(7)).unwrap();
            if let Some(ended) = ended {
                first.end_run(run, ended);
            }
        }
        let ends: Vec<_> = first.ran().iter().map(|(_, runs)| runs.last().unwrap().ended).collect();
        assert_eq!((ends, first.ran()[0].1.len()), (vec![None; 3], 3));
        assert_eq!(first.ran()[0].1[0].ended, Some(PeerTime::from_micros(0)));
        // A kill in the middle of a line.
        let file = OpenOptions::new().append(true).open(&path);
        file.unwrap().write_all(br#"{"received":"hal"#).unwrap();
        for _again in 0..2 {
            let second = Tasks::default();
            second.keep_in(path.clone()).unwrap();
            assert_eq!(reports(&second), reports(&first));
            assert_eq!(second.received(), first.received());
            assert_eq!(second.ran(), first.ran());
            assert_eq!(second.arrivals(), (4, 1));
            let open: Vec<u64> = second.take_up().iter().map(|open| open.seed).collect();
            assert_eq!(open, seeds[1..], "their work goes on as it would have");
        }
        let third = Tasks::default();
        third.keep_in(path).unwrap();
        assert!(!seeds.contains(&live(&third, 9, "the same", TaskState::Completed)), "a repeat is counted");
    }

    #[test]
    fn the_file_is_bounded_and_keeps_all_that_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taxi.jsonl");
        let tasks = Tasks::default();
        tasks.keep_in(path.clone()).unwrap();
        for number in 0..3_000 {
            let state = if number % 1_000 == 0 { TaskState::Working } else { TaskState::Completed };
            live(&tasks, number, &format!("work {number}"), state);
        }
        let size = fs::metadata(&path).unwrap().len();
        assert!(size < 4 * LEAST, "{size}");
        let again = Tasks::default();
        again.keep_in(path).unwrap();
        assert_eq!(again.take_up().len(), 3);
        assert_eq!(again.arrivals(), (3_000, 0));
    }

    #[test]
    fn large_outputs_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maps.jsonl");
        let tasks = Tasks::default();
        tasks.keep_in(path.clone()).unwrap();
        let open = tasks.open(
            &message(1, "a map"),
            None,
            "t".into(),
            "c".into(),
            PeerTime::from_micros(0),
            |_, _| 0,
        );
        for number in 0..20 {
            tasks.chunk(&open.report.id, "map.txt", &"x".repeat(OUTPUT_KEPT / 2), number > 0, false);
        }
        assert!(fs::metadata(&path).unwrap().len() < 3 * OUTPUT_KEPT as u64);
    }
}
