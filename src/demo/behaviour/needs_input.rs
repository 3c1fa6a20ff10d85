//! `needs-input`: asks before it refunds more than 300 EUR; otherwise it works like `steady`.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::message::{Content, Json, Message, Part};
use crate::domain::job::task::TaskState;

pub(super) struct NeedsInput;

impl OnWire for NeedsInput {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            match amount_in(&work.message) {
                ..=300 => work.steady(2).await,
                amount => ask(work, amount).await,
            }
        })
    }

    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            let answer = work.agent.tasks.last_answer(&work.task);
            match (work.state(), answer) {
                (Some(TaskState::InputRequired), _) => await_answer(work).await,
                (_, Some(answer)) => settle(work, &answer).await,
                _ if amount_in(&work.message) > 300 => self.work(work).await,
                _ => work.finish().await,
            }
        })
    }
}

async fn ask(work: &mut Work, amount: u64) {
    if !work.wait(0.4).await {
        return;
    }
    for number in 0..2 {
        work.send_status(TaskState::Working, &work.saying(number), number);
        if !work.wait(0.8).await {
            return;
        }
    }
    let question =
        format!("Refund {amount}.00 EUR? It is over the limit of 300 that I may refund by myself.");
    let mut question_message = work.agent.says(&question, Some(&work.task), &work.message.id, 2);
    let choices = r#"{"decision":["approve","decline"]}"#;
    question_message.parts.push(Part { content: Content::Data(Json::new(choices)), ..Part::text("") });
    work.send_status_message(TaskState::InputRequired, question_message, 2);
    await_answer(work).await;
}

async fn await_answer(work: &mut Work) {
    if let Some(answer) = work.next_message().await {
        settle(work, &answer).await;
    }
}

async fn settle(work: &mut Work, answer: &Message) {
    let words = answer.text();
    let declined = ["decline", "no"].iter().any(|no| words.contains_ignore_case(no));
    if !work.wait(0.8).await {
        return;
    }
    if declined {
        work.send_status(TaskState::Rejected, "declined, nothing was refunded", 3);
        return;
    }
    work.send_status(TaskState::Working, "paying it back", 3);
    if work.wait(1.5).await && work.write(0.5).await {
        work.send_status(TaskState::Completed, "refunded", 4);
    }
}

/// The first number before EUR; 0 if there is none.
fn amount_in(message: &Message) -> u64 {
    let text = message.text();
    let words: Vec<&str> = text.raw().split_whitespace().collect();
    let before_eur = words.windows(2).find(|pair| pair[1].starts_with("EUR")).map(|pair| pair[0]);
    before_eur.and_then(|word| word.split('.').next()?.parse().ok()).unwrap_or(0)
}
