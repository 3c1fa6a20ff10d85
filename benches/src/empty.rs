//! The least that a program like ours can be: ratatui, tokio, reqwest and SQLite, and nothing done with them.
//! It draws once at its start, then again when its client is built and its journal is open.

use std::error::Error;

use crossterm::event::{self, Event};
use ratatui::widgets::{Block, Paragraph};

fn main() -> Result<(), Box<dyn Error>> {
    let journal = std::env::args().nth(1).ok_or("name a journal")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut terminal = ratatui::try_init()?;
        let mut show = |text: &str| {
            let words = Paragraph::new(text.to_owned()).block(Block::bordered().title("empty"));
            terminal.draw(|frame| frame.render_widget(words, frame.area())).map(|_| ())
        };
        show("FIRST")?;
        let client = reqwest::Client::builder().tls_certs_only([]).build()?;
        let connection = rusqlite::Connection::open(journal)?;
        connection.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS fact (body)")?;
        show("READY")?;
        while !matches!(event::read()?, Event::Key(_)) {}
        drop((client, connection));
        ratatui::try_restore()?;
        Ok(())
    })
}
