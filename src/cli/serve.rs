//! `serve`: the engine without a screen.

use std::process::ExitCode;

use serde_json::json;

use super::args::{Global, Login, Serve};
use super::login::card_url;
use super::output::{Failure, Printer};
use super::session::{Session, Setup};
use crate::shutdown;
use crate::store::lock;

pub(super) async fn run(global: &Global, args: Serve, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    if setup.read_only {
        return Err(Failure::usage("serve does nothing by itself that --read-only could refuse").hint(
            "leave it out, and start the consoles and commands that shall only watch with --read-only",
        ));
    }
    for url in &args.urls {
        card_url(url)?;
    }
    let session = Session::open(&setup, &args.urls, &Login::default(), true).await?;
    let Some(socket) = session.socket().map(|path| path.display().to_string()) else {
        let holder = lock::holder(&setup.dir);
        let place = holder.as_ref().map_or_else(String::new, |holder| holder.socket.display().to_string());
        let pid = holder.map_or(0, |holder| holder.pid);
        session.close(false).await;
        return Err(Failure::new(
            1,
            "QUARTERDECK_ERR_RUNNING",
            format!("an engine runs on this data already: process {pid}, socket {place}"),
        )
        .hint("consoles and commands join it by themselves; stop it to start another one"));
    };
    let mut ready = json!({ "socket": socket });
    match session.registry() {
        None => {}
        Some(Ok(address)) => ready["registry"] = address.into(),
        Some(Err(failure)) => {
            session.close(false).await;
            return Err(failure);
        }
    }
    out.line(&ready);
    shutdown::requested().await;
    session.close(false).await;
    Ok(ExitCode::SUCCESS)
}
