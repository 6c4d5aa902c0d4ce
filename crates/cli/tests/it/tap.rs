//! A wire between a call and its service that tells which requests went over it, and may get stuck.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

/// A tapped wire.
pub(crate) struct Tap {
    /// Where calls go instead of to the service.
    pub(crate) address: String,
    /// The first line of every request.
    pub(crate) lines: mpsc::Receiver<String>,
}

impl Tap {
    /// Listens before a service. A request whose first line has `stuck` in it is kept, and so is all that
    /// follows on its connection.
    pub(crate) fn before(service: &str, stuck: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let service = service.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&service).expect("the service listens");
                let back = (server.try_clone(), client.try_clone());
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let (mut from, mut to) = (back.0.expect("a handle"), back.1.expect("a handle"));
                    drop(std::io::copy(&mut from, &mut to));
                });
                std::thread::spawn(move || pass(client, server, stuck, &sender));
            }
        });
        Self { address, lines }
    }

    /// The first lines of the requests so far that have this text.
    pub(crate) fn seen(&self, text: &str) -> Vec<String> {
        self.lines.try_iter().filter(|line| line.contains(text)).collect()
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    stuck: Option<&str>,
    sender: &mpsc::Sender<String>,
) {
    let mut bytes = vec![0; 1 << 16];
    let mut is_stuck = false;
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..count]);
        for line in text.lines().filter(|line| line.ends_with(" HTTP/1.1")) {
            is_stuck |= stuck.is_some_and(|stuck| line.contains(stuck));
            drop(sender.send(line.to_owned()));
        }
        if !is_stuck && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
}
