//! A relay that makes loopback slower: what is sent arrives a fixed time later.
//!
//! In: the address of a service and a delay. Out: an address that behaves like the service, but farther away.
//! Not here: bandwidth and loss.
//! Invariant: bytes are delayed, not held back: a long body flows at full speed, once, later.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pieces of 64 KiB on their way: more than any message of the bench has.
const PIECES_MAX: usize = 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// Relays connections until it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Every request reaches `target` later by `delay`; answers come straight back.
    pub(crate) async fn start(target: SocketAddr, delay: Duration) -> Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(async move {
                    // A broken connection is the client's to notice: its end is closed, too.
                    let _ended = relay(near, target, delay).await;
                });
            }
        });
        Ok(Relay { address, _tasks: tasks })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of the Web API as seen through the relay.
    pub(crate) fn api(&self) -> String {
        format!("http://{}/api/data/v9.2/", self.address)
    }
}

async fn relay(near: TcpStream, target: SocketAddr, delay: Duration) -> std::io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_reads, mut near_writes) = near.into_split();
    let (mut far_reads, far_writes) = far.into_split();
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::select! {
        result = collect(near_reads, sender) => result,
        result = deliver(far_writes, receiver, delay) => result,
        result = tokio::io::copy(&mut far_reads, &mut near_writes) => result.map(|_| ()),
    }
}

async fn collect(
    mut reads: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let length = reads.read(&mut buffer).await?;
        let piece = buffer[..length].to_vec();
        if length == 0 || sender.send((Instant::now(), piece)).await.is_err() {
            return Ok(());
        }
    }
}

async fn deliver(
    mut writes: OwnedWriteHalf,
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    delay: Duration,
) -> std::io::Result<()> {
    while let Some((arrived, piece)) = receiver.recv().await {
        tokio::time::sleep_until((arrived + delay).into()).await;
        writes.write_all(&piece).await?;
    }
    Ok(())
}
