//! A batch that runs beside the console: the command `batch` in a process of its own, attached to the same engine. It goes on
//! where it was if it is started again, so that it may end with the console.

use std::time::Duration;

use crate::domain::text::Untrusted;
use crate::domain::time::format_duration;
use crate::protocol::json::Object;

/// A batch to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The name of its file, for messages.
    pub name: String,
    /// The words behind `quarterdeck … batch`.
    pub args: Vec<String>,
    /// The words that name the fleet, as a shell reads them.
    pub flags: String,
    /// The lines of the file.
    pub lines: u64,
}

/// How far a batch has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The name of its file.
    pub name: String,
    /// Lines with a result.
    pub ended: u64,
    /// Those that failed, were refused or not sent, or may have arrived.
    pub bad: u64,
    /// All lines.
    pub lines: u64,
}

impl Progress {
    /// `batch 120/500, 3 bad`
    pub fn words(&self) -> String {
        let bad = if self.bad > 0 { format!(", {} bad", self.bad) } else { String::new() };
        format!("batch {}/{}{bad}", self.ended, self.lines.max(self.ended))
    }
}

/// What happens to a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The lines of a file, or why it cannot be read.
    Seen(String, Result<u64, String>),
    /// It has come so far.
    Reached(Progress),
    /// It has ended: in words, and true if everything went well.
    Ended(String, bool),
}

/// A line that a batch prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Printed {
    /// The result of a line; true if it is a good one.
    Result(bool),
    /// The summary, in words.
    Summary(String),
    /// Why it could not begin, or had to end.
    Error(String),
}

/// Reads a line that a batch printed; `None` for anything else.
pub fn printed(line: &str) -> Option<Printed> {
    let object = Object::parse(line).ok()?;
    if let Some(summary) = object.raw("summary") {
        return summed_up(summary).map(Printed::Summary);
    }
    if let Some(error) = object.raw("error").filter(|_| object.raw("state").is_none()) {
        let message = Object::parse(error).ok()?.text("message")?.to_string();
        return Some(Printed::Error(Untrusted::from(message).line().into_string()));
    }
    let state = object.text("state")?;
    Some(Printed::Result(matches!(&*state, "completed" | "answered")))
}

fn summed_up(raw: &str) -> Option<String> {
    let summary = Object::parse(raw).ok()?;
    let number = |name: &str| summary.raw(name).and_then(|raw| raw.parse::<f64>().ok());
    let (items, seconds) = (number("items")?, number("seconds")?);
    let states = Object::parse(summary.raw("states")?).ok()?;
    let of = |name: &str| states.raw(name).and_then(|raw| raw.parse::<u64>().ok()).unwrap_or(0);
    let words = ["completed", "answered", "failed", "refused", "unsent", "uncertain", "invalid", "canceled"]
        .into_iter()
        .filter(|name| of(name) > 0)
        .map(|name| format!("{} {name}", of(name)));
    let words: Vec<String> = words.collect();
    let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Some(format!("{items} lines in {}: {}", format_duration(took), words.join(", ")))
}

/// The words behind `batch` for what was entered; the error names what is wrong with which field.
///
/// # Errors
/// A number or rate that is none.
pub fn args(file: &str, to: &str, at_once: &str, rate: &str, retries: &str) -> Result<Vec<String>, String> {
    let whole = |name: &str, text: &str, most: u32| match text.parse::<u32>() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(format!("{name}: write a number up to {most}")),
    };
    // A name that looks like an option is a file all the same.
    let mut args = vec![if file.starts_with('-') { format!("./{file}") } else { file.to_owned() }];
    let target = match to.split_once(':') {
        _ if to.is_empty() || to == "by rules" => None,
        Some(("skill", id)) => Some(format!("--skill={id}")),
        Some(("tag", tag)) => Some(format!("--tag={tag}")),
        Some(("route", name)) => Some(format!("--route={name}")),
        _ => Some(format!("--agent-card={to}")),
    };
    args.extend(target);
    if !at_once.is_empty() {
        match whole("at once", at_once, 1000)? {
            0 => return Err("at once: write a number from 1 to 1000".into()),
            number => args.push(format!("--concurrency={number}")),
        }
    }
    if !rate.is_empty() {
        let number = rate.split('/').next().unwrap_or_default();
        if !number.trim().parse::<f64>().is_ok_and(|number| number > 0.0 && number.is_finite()) {
            return Err("rate: write 10/s, 600/m or 5000/h".into());
        }
        args.push(format!("--rate={rate}"));
    }
    if !retries.is_empty() {
        args.push(format!("--retries={}", whole("retries", retries, 255)?));
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_becomes_the_words_of_the_command() {
        for (entered, expected) in [
            (("a.jsonl", "", "8", "", ""), Ok("a.jsonl --concurrency=8")),
            (("-x", "cashier-1", "", "10/s", "2"), Ok("./-x --agent-card=cashier-1 --rate=10/s --retries=2")),
            (("a", "skill:charge", "", "", ""), Ok("a --skill=charge")),
            (("a", "route:eu", "", "", ""), Ok("a --route=eu")),
            (("a", "by rules", "", "", ""), Ok("a")),
            (("a", "", "0", "", ""), Err("at once: write a number from 1 to 1000")),
            (("a", "", "many", "", ""), Err("at once: write a number up to 1000")),
            (("a", "", "", "fast", ""), Err("rate: write 10/s, 600/m or 5000/h")),
            (("a", "", "", "", "-1"), Err("retries: write a number up to 255")),
        ] {
            let (file, to, at_once, rate, retries) = entered;
            let got = args(file, to, at_once, rate, retries).map(|args| args.join(" "));
            assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{entered:?}");
        }
    }

    #[test]
    fn what_a_batch_prints_is_read() {
        for (line, expected) in [
            (r#"{"line":1,"state":"completed","task":{}}"#, Some(Printed::Result(true))),
            (r#"{"line":2,"state":"failed","error":{"message":"x"}}"#, Some(Printed::Result(false))),
            (r#"{"error":{"code":"X","message":"no file"}}"#, Some(Printed::Error("no file".into()))),
            (
                r#"{"summary":{"items":3,"seconds":2.5,"states":{"completed":2,"failed":1,"unsent":0}}}"#,
                Some(Printed::Summary("3 lines in 2s: 2 completed, 1 failed".into())),
            ),
            ("not JSON", None),
            ("{}", None),
        ] {
            assert_eq!(printed(line), expected, "{line}");
        }
    }
}
