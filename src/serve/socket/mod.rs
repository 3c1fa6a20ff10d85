//! The control socket: clients in other processes see the same fleet and submit the same intents.
//!
//! Its messages are in `engine::handle::wire`. Only processes of the same user are answered.

mod client;
pub mod deltas;
mod rows;

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, watch};

use crate::engine::Handle;
use crate::engine::handle::wire::{Hello, VERSION};

/// A longer path does not fit into a socket's address on every system.
const LONGEST_PATH: usize = 100;
/// Clients at once. Above it, a client is refused with the reason.
const CLIENTS: usize = 256;
/// After a failed accept (no file descriptor is left) the next one is tried this much later.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A listening socket. Dropping it removes it.
#[derive(Debug)]
pub struct Listening {
    path: PathBuf,
    clients: watch::Receiver<usize>,
    handed_over: Arc<Notify>,
    task: tokio::task::AbortHandle,
}

impl Listening {
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends when no client is connected.
    pub async fn alone(&self) {
        let mut clients = self.clients.clone();
        let _no_listener_no_clients = clients.wait_for(|clients| *clients == 0).await;
    }

    /// Completes when a permanent engine wants to take over.
    pub async fn handed_over(&self) {
        self.handed_over.notified().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
        let _it_may_be_gone_already = std::fs::remove_file(&self.path);
    }
}

/// The path of a data folder's socket: inside it, or in a folder of the user's own where paths are short.
pub fn place(dir: &Path) -> PathBuf {
    let inside = dir.join("engine.sock");
    if inside.as_os_str().len() <= LONGEST_PATH {
        return inside;
    }
    let hash = crate::domain::job::message::text_hash(&dir.to_string_lossy());
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("quarterdeck-{user}")).join(format!("{hash:016x}.sock"))
}

/// Listens for surfaces of the same user. The caller holds the lock of the data folder.
///
/// # Errors
/// The socket cannot be made, or its folder is not the user's own.
pub fn listen(dir: &Path, handle: Handle, hello: Hello) -> io::Result<Listening> {
    let path = place(dir);
    if path.starts_with(dir) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let meta = std::fs::metadata(dir)?;
        check_owner(dir, meta.uid(), meta.mode())?;
    } else if let Some(folder) = path.parent() {
        make_short_folder(folder)?;
    }
    let listener = bind(&path)?;
    let (count, clients) = watch::channel(0);
    let handed_over = Arc::new(Notify::new());
    let hello = Hello { version: VERSION, pid: std::process::id(), ..hello };
    let task = tokio::spawn(accept(listener, handle, hello, Arc::new(count), handed_over.clone()));
    Ok(Listening { path, clients, handed_over, task: task.abort_handle() })
}

/// Creates or checks the folder for sockets in the temporary folder. Any user can create something under this name, so
/// a symbolic link is not followed, and the folder must be our own and closed to others.
fn make_short_folder(folder: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::empty()).map_err(|error| {
        let what = format!("{} is not a folder of this user ({error}); remove it", folder.display());
        io::Error::new(io::ErrorKind::PermissionDenied, what)
    })?;
    let stat = rustix::fs::fstat(&opened)?;
    check_owner(folder, stat.st_uid, stat.st_mode)
}

fn check_owner(folder: &Path, owner: u32, mode: u32) -> io::Result<()> {
    let fault = if owner != rustix::process::geteuid().as_raw() {
        format!(
            "{} belongs to another user (uid {owner}); remove it or use another --data-dir",
            folder.display()
        )
    } else if mode & 0o077 != 0 {
        format!("{0} is open to others; run chmod 700 {0}", folder.display())
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, fault))
}

/// Binds under another name first, so that the socket never has more rights than 0600 under its own, whatever the
/// umask.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, path)?;
    Ok(listener)
}

async fn accept(
    listener: UnixListener,
    handle: Handle,
    hello: Hello,
    count: Arc<watch::Sender<usize>>,
    handed_over: Arc<Notify>,
) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        if !is_same_user(&stream) {
            tracing::warn!("a process of another user was turned away");
            continue;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            let line = client::refusal("too many clients are connected; close some of them");
            let _it_may_have_left = stream.try_write(format!("{line}\n").as_bytes());
            continue;
        };
        let (handle, hello, count, handed_over) =
            (handle.clone(), hello.clone(), count.clone(), handed_over.clone());
        tokio::spawn(async move {
            let _place = place;
            count.send_modify(|clients| *clients += 1);
            client::serve(stream, &handle, &hello, &handed_over).await;
            count.send_modify(|clients| *clients -= 1);
        });
    }
}

fn is_same_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}
