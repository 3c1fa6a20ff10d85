//! The process of a batch that the console runs, and the file that it reads.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::batch::{News, Printed, Progress, Run, printed};
use super::msg::Msg;

/// How often its progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Counts the lines of a file that are not empty.
pub fn look(file: String, news: &mpsc::Sender<Msg>) {
    let lines = lines_of(Path::new(&file)).map_err(|error| error.to_string());
    let _the_screen_has_gone = news.blocking_send(Msg::Batch(News::Seen(file, lines)));
}

fn lines_of(file: &Path) -> std::io::Result<u64> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut reader = BufReader::new(std::fs::File::open(file)?);
    let (mut lines, mut filled) = (0, false);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(lines + u64::from(filled));
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    lines += u64::from(filled);
                    filled = false;
                }
                byte => filled |= !byte.is_ascii_whitespace(),
            }
        }
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Runs a batch to its end. It is killed with the console, and goes on where it was when it is run again.
pub async fn run(run: Run, news: mpsc::Sender<Msg>) {
    let (words, is_good) = match until_ended(&run, &news).await {
        Ok((words, is_good)) => (words, is_good),
        Err(error) => (format!("it could not be run: {error}"), false),
    };
    let words = format!("batch {}: {words}", run.name);
    let _the_screen_has_gone = news.send(Msg::Batch(News::Ended(words, is_good))).await;
}

async fn until_ended(run: &Run, news: &mpsc::Sender<Msg>) -> std::io::Result<(String, bool)> {
    // The flags are words of a shell already; everything that was entered is passed as it is.
    let script = format!("exec \"$0\"{} batch -o json \"$@\"", run.flags);
    let mut child = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe()?)
        .args(&run.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let Some(output) = child.stdout.take() else { return Err(std::io::Error::other("it has no output")) };
    let mut lines = tokio::io::BufReader::new(output).lines();
    let mut progress = Progress { name: run.name.clone(), lines: run.lines, ..Progress::default() };
    let (mut end, mut shown) = (None, Instant::now());
    while let Some(line) = lines.next_line().await? {
        match printed(&line) {
            Some(Printed::Result(is_good)) => {
                progress.ended += 1;
                progress.bad += u64::from(!is_good);
            }
            Some(Printed::Summary(words)) => end = Some((words, progress.bad == 0)),
            Some(Printed::Error(words)) => end = Some((words, false)),
            None => {}
        }
        if shown.elapsed() >= SHOWN_EVERY {
            shown = Instant::now();
            if news.send(Msg::Batch(News::Reached(progress.clone()))).await.is_err() {
                break;
            }
        }
    }
    let status = child.wait().await?;
    Ok(end.unwrap_or_else(|| (format!("ended with {status} and no summary"), false)))
}
