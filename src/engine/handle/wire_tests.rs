//! Messages of the socket are read as they were written.

use super::*;
use crate::domain::job::task::TaskState;
use crate::domain::route::Target;

#[test]
fn messages_of_the_socket_are_read_as_they_were_written() {
    let mut seed = crate::domain::id::Rng::new(1);
    let at = crate::domain::time::At::ZERO;
    let (agent, attempt, job) = (AgentId(seed.uuid(at)), AttemptId(seed.uuid(at)), JobId(seed.uuid(at)));
    let intents = [
        Intent::Send(Box::new(Send {
            job: Some(job),
            target: Target::Agent(agent),
            deadline: Some(std::time::Duration::from_secs(9)),
            priority: Some(7),
            parts: vec![Part::text("é\u{1b}")],
            context: Some("c".into()),
            task: None,
            metadata: Some(Json::new(r#"{"a":[1,2.50]}"#)),
            skill: Some("s".into()),
            caller: None,
            parent: None,
        })),
        Intent::Answer { attempt, parts: vec![Part::text("x")], metadata: None },
        Intent::Cancel { attempt, why: Some("too dear".into()) },
        Intent::CancelWithDelegated { attempt, why: None },
        Intent::Resend { attempt, why: None },
        Intent::PresumeLost { attempt, why: None },
        Intent::CheckAgent { agent },
        Intent::CheckTask { attempt },
        Intent::Breaker {
            agent,
            to: Some(crate::domain::agent::breaker::BreakerState::Open),
            why: Some("it lies".into()),
            by: "sam".into(),
        },
        Intent::AddAgent { url: "http://h:1".into(), by: "sam".into() },
        Intent::RemoveAgent { agent, why: None, by: "sam".into() },
        Intent::Breaker { agent, to: None, why: None, by: "sam".into() },
        Intent::OnProblem { number: 7, act: ProblemAct::Take, by: "sam".into() },
        Intent::OnProblem {
            number: 7,
            act: ProblemAct::Mute { time: std::time::Duration::from_secs(60), why: "known".into() },
            by: "sam".into(),
        },
        Intent::Note { problem: Some(7), agent: None, attempt: None, by: "mia".into(), text: "x".into() },
        Intent::TakeBackNote {
            problem: None,
            agent: Some(agent),
            attempt: None,
            by: "mia".into(),
            text: "x".into(),
        },
        Intent::Adopt { agent, task: "t".into() },
    ];
    for intent in intents {
        assert_eq!(Intent::get(&intent.put()), Some(intent));
    }
    for receipt in
        [Receipt::Done, Receipt::Taken { job, attempt: Some(attempt) }, Receipt::Agents(vec![agent])]
    {
        assert_eq!(Receipt::get(&receipt.put()), Some(receipt));
    }
    let instead = |remedy| Refusal::Instead("later".into(), remedy);
    for refusal in [
        Refusal::ReadOnly,
        Refusal::Busy,
        Refusal::Unanswered,
        Refusal::NotNow("later".into()),
        instead(Remedy::Retry),
        instead(Remedy::Explain(None)),
        instead(Remedy::Explain(Some("slow".into()))),
    ] {
        assert_eq!(Refusal::get(&refusal.put()), Some(refusal));
    }
    for query in [
        Query::Facts { owner: Owner::Job(job), limit: 7 },
        Query::Facts { owner: Owner::Fleet, limit: 7 },
        Query::Wire { agent: None, known: 3 },
        Query::Job(job),
        Query::Fields { jobs: [job].into() },
        Query::Metrics(MinuteRange { from: Minute(7), until: Minute(70), step: 5 }),
        Query::ReadTask { agent, task: "t".into() },
        Query::RulesFile { file: None },
        Query::RulesFile { file: Some("next.toml".into()) },
        Query::Replay {
            file: Some("next.toml".into()),
            since: crate::domain::time::At::from_micros(3),
            after: Some(7),
            listed: 9,
        },
        Query::Audit { filter: Box::default(), before: Some(7), limit: 3 },
        Query::VerifyAudit { head: None },
    ] {
        assert_eq!(Query::get(&query.put()), Some(query));
    }
    let mut block = Block::default();
    block.tally(Series { agent, skill: Some("s\u{1b}".into()), caller: None, rule: Some("r".into()) }).ok = 7;
    block.tally(Series::of_agent(agent)).answer.add(std::time::Duration::from_millis(3));
    let blocks = vec![(Minute(7), Arc::new(block.clone().made_up(true))), (Minute(9), Arc::new(block))];
    let answer = Answer::get(&Answer::Metrics(blocks.clone()).put());
    assert!(matches!(answer, Some(Answer::Metrics(read)) if read == blocks));
}

#[test]
fn frames_are_read_with_what_they_say() {
    let label = |label| Frame {
        number: 7,
        at: crate::domain::time::At::from_micros(3),
        call: 9,
        method: Method::SendStreaming,
        task: Some("2fbf".into()),
        kind: Kind::Event,
        label,
        head: "".into(),
        text: "x\u{1b}".into(),
        bytes: 2,
    };
    let fault = |code| Box::new(Fault { code, text: "x".into(), expected: code.is_none() });
    for said in [
        Label::Plain,
        Label::Task(TaskState::Other("odd".into())),
        Label::Message,
        Label::Page(7),
        Label::Card,
        Label::Unchanged,
        Label::Stream,
        Label::Status(TaskState::Working),
        Label::Artifact { last: true },
        Label::Unknown,
        Label::KeepAlive,
        Label::Ignored,
        Label::Failed(fault(Some(-32001))),
        Label::Failed(fault(None)),
    ] {
        let frames = vec![(AgentKey(3), label(said.clone()))];
        let read = Answer::get(&Answer::Wire(1, Some(frames)).put());
        let Some(Answer::Wire(1, Some(frames))) = read else { panic!("{said:?}") };
        let frame = &frames[0].1;
        assert_eq!(
            (&frame.label, &frame.task, frame.method),
            (&said, &Some("2fbf".into()), Method::SendStreaming)
        );
    }
}
