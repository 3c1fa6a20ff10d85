//! The arguments of `batch`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::{OptionalTarget, RouteTarget};
use crate::config::units;

/// `batch`
#[derive(Args, Debug)]
#[command(after_help = "\
Each line is a JSON object: {\"text\": …} or an A2A 1.0 message. It may name its own \"agent\", \"skill\", \"caller\", \
\"context\" and \"metadata\". -o json prints a JSON line for each message, then one with the summary.

An interrupted batch goes on where it was with the same command: a line that was sent is not sent again, and its result is \
printed. What was sent is known by the name of the batch, the agent, the line's number and its content, for as long as the \
fleet keeps ended tasks; nothing is kept of an agent outside the fleet. Uncertain lines are never sent again. The exit code \
is 0 however the lines ended.

Examples:
  quarterdeck batch -a cashier refunds.jsonl --concurrency 32 -o json > results.jsonl
  quarterdeck batch -a cashier refunds.jsonl --rate 10/s --retries 2 --timeout 5m
  quarterdeck batch -a cashier refunds.jsonl --name second-round
  quarterdeck batch --skill refund refunds.jsonl
  echo '{\"text\": \"ping\"}' | quarterdeck batch -a cashier - --name load-1 --repeat 1000")]
pub struct Batch {
    /// File of messages as JSON Lines, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    #[command(flatten)]
    pub target: OptionalTarget,
    #[command(flatten)]
    pub route: RouteTarget,
    /// Name of the batch; under another name everything is sent again [default: the file's name].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Maximum number of messages in progress.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,
    /// Maximum rate of sending, such as 10/s, 600/m or 0.5/s [default: no limit].
    #[arg(long, value_name = "N/UNIT", value_parser = interval)]
    pub rate: Option<std::time::Duration>,
    /// Number of times to send a message again that was not sent, was refused, or whose task failed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: u8,
    /// Send each line N times, as for a load test.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Order of the results.
    #[arg(long, value_enum, default_value_t = Order::Completion)]
    pub order: Order,
    /// Check all lines first, and send nothing if one is not valid.
    #[arg(long)]
    pub strict: bool,
    /// Maximum time to wait for each message's result [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// Order of the results of a batch.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As they come.
    Completion,
    /// As the lines of the file.
    Input,
}

/// The time between two messages at a rate such as `10/s`.
fn interval(text: &str) -> Result<std::time::Duration, String> {
    let fault = || format!("not a rate: {text:?}; write 10/s, 600/m or 5000/h");
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(fault()),
    };
    let number: f64 = number.trim().parse().map_err(|_| fault())?;
    let time = std::time::Duration::try_from_secs_f64(seconds / number).map_err(|_| fault())?;
    if !time.is_zero() && time.as_secs() <= 24 * 3600 { Ok(time) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_times_between_messages() {
        for (text, micros) in [
            ("10/s", 100_000),
            ("4", 250_000),
            ("0.5/s", 2_000_000),
            ("600/m", 100_000),
            ("7200 / h", 500_000),
        ] {
            assert_eq!(interval(text), Ok(std::time::Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "/s", "0/s", "-1/s", "10/d", "NaN/s", "inf/s", "ten/s", "0.000001/h", "1e30/s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
