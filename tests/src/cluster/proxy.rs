//! A connection that a test can sever, hold and restore.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of what one process sends to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It arrives.
    Open,
    /// Connections are closed, and new ones too.
    Cut,
    /// Nothing arrives until the link is open again; then everything does, however late.
    Held,
    /// Only what the client sends is held; what the server sends arrives.
    Muted,
    /// Only what the server sends is held; what the client sends arrives.
    Deaf,
}

/// A port on 127.0.0.1 that leads to a server.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    link: Arc<watch::Sender<Link>>,
    held: Held,
    trap: Trap,
    disguise: Disguise,
    task: JoinHandle<()>,
}

/// What the server says, and what clients hear instead.
type Disguise = Arc<Mutex<Option<(String, String)>>>;

/// What clients sent and did not arrive, since the link was last set.
type Held = Arc<Mutex<Vec<u8>>>;

/// What clients must not say: it and whatever they say after it is held.
type Trap = Arc<Mutex<Option<&'static str>>>;

/// What goes from a client to a server.
struct There {
    held: Held,
    trap: Trap,
    link: Arc<watch::Sender<Link>>,
}

impl There {
    /// Springs the trap if it is in what has just come.
    fn spring(&self, bytes: &[u8]) {
        let trap = *self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        if trap.is_some_and(|text| contains(bytes, text)) {
            self.link.send_replace(Link::Muted);
        }
    }

    fn keep(&self, bytes: &[u8]) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

/// Which way bytes go.
enum Way {
    ToServer(There),
    ToClient(Disguise),
}

impl Way {
    /// Looks at what has just come, and whether that is held.
    fn pass(&self, bytes: &mut [u8], is_held: impl Fn() -> bool) {
        match self {
            Self::ToServer(there) => {
                there.spring(bytes);
                if is_held() {
                    there.keep(bytes);
                }
            }
            Self::ToClient(disguise) => {
                let disguise = disguise.lock().unwrap_or_else(PoisonError::into_inner);
                let Some((says, hears)) = &*disguise else { return };
                for start in 0..=bytes.len().saturating_sub(says.len()) {
                    if bytes[start..].starts_with(says.as_bytes()) {
                        bytes[start..start + hears.len()].copy_from_slice(hears.as_bytes());
                    }
                }
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

impl Proxy {
    /// Opens one; `upstream` is the server's port, which may change.
    ///
    /// # Errors
    /// No port is free.
    pub async fn open(upstream: Arc<AtomicU16>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let link = Arc::new(watch::Sender::new(Link::Open));
        let (held, trap, disguise) = (Held::default(), Trap::default(), Disguise::default());
        let there = (Arc::clone(&link), Arc::clone(&held), Arc::clone(&trap));
        let back = Arc::clone(&disguise);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let upstream = upstream.load(Ordering::Relaxed);
                let (link, held, trap) = there.clone();
                let there = There { held, trap, link };
                connections.spawn(serve(near, upstream, there, Arc::clone(&back)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, link, held, trap, disguise, task })
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Severs, holds or restores it.
    pub fn set(&self, link: Link) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.link.send_replace(link);
    }

    /// Severs every connection; what was held never arrives.
    pub async fn sever(&self) {
        self.set(Link::Cut);
        self.link.closed().await;
        self.set(Link::Open);
    }

    /// Mutes the link as soon as a client says this, before it arrives; `None` ends that.
    pub fn trap(&self, text: Option<&'static str>) {
        *self.trap.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Lets clients hear something else of the same length wherever the server says this; `None`
    /// ends that.
    pub fn disguise(&self, says: Option<(&str, &str)>) {
        debug_assert!(says.is_none_or(|(says, hears)| says.len() == hears.len()));
        let says = says.map(|(says, hears)| (says.to_owned(), hears.to_owned()));
        *self.disguise.lock().unwrap_or_else(PoisonError::into_inner) = says;
    }

    /// Whether something that clients sent is held and has this in it.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        contains(&held, text)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(near: TcpStream, upstream: u16, there: There, disguise: Disguise) {
    let mut link = there.link.subscribe();
    if *link.borrow() == Link::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else { return };
    // Small messages and answers: waiting for more of them would only slow them down.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let holds = |link| matches!(link, Link::Held | Link::Muted);
    let there = pump(near_read, far_write, link.clone(), holds, Way::ToServer(there));
    let back = |link| matches!(link, Link::Held | Link::Deaf);
    let back = pump(far_read, near_write, link.clone(), back, Way::ToClient(disguise));
    tokio::select! {
        _ = async { tokio::join!(there, back) } => {}
        _ = link.wait_for(|link| *link == Link::Cut) => {}
    }
}

/// Hands on what comes, at once or once it is no longer held. It goes on taking what is sent
/// meanwhile: a sender that gives up must not take back what it has sent.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
    holds: impl Fn(Link) -> bool,
    way: Way,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut kept = Vec::new();
    let mut ended = false;
    loop {
        let now = *link.borrow_and_update();
        if now == Link::Cut {
            return;
        }
        if !holds(now) {
            if to.write_all(&kept).await.is_err() || ended {
                return;
            }
            kept.clear();
        }
        tokio::select! {
            changed = link.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if !ended => match read {
                Ok(count @ 1..) => {
                    way.pass(&mut buffer[..count], || holds(*link.borrow()));
                    kept.extend_from_slice(&buffer[..count]);
                }
                Ok(0) | Err(_) => ended = true,
            },
        }
    }
}
