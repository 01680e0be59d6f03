//! Nodes of a chain that do not behave, on a free port of this machine.
//!
//! Some never answer what was asked; one hands everything to a real node, and lets the test change
//! what comes back. Each serves until the test ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, accept, connect};

/// A node's misbehaviour.
pub enum Fault {
    /// Takes connections, and says nothing.
    Silent,
    /// Speaks another protocol.
    Http,
    /// Speaks the protocol, and answers each request with these words.
    Says(&'static str),
}

/// Comes between a client and a real node: with each request before it goes there, where there is
/// no answer yet, and again with the node's answer. Either may be changed.
pub type Tamper = dyn Fn(&mut Value, Option<&mut Value>) + Send + Sync;

/// Serves a fault; answers the address to connect to.
///
/// # Panics
///
/// Where no port is free.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
pub fn faulty_node(fault: Fault) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            match &fault {
                Fault::Silent => open.push(stream),
                Fault::Http => speak_http(stream),
                Fault::Says(words) => {
                    let words = *words;
                    thread::spawn(move || say(stream, words));
                }
            }
        }
    });
    url(address)
}

/// Serves what the node at `behind` does, but for what `tamper` changes.
///
/// # Panics
///
/// Where no port is free.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
pub fn tampered_node(behind: &str, tamper: Box<Tamper>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (behind, tamper) = (behind.to_owned(), Arc::new(tamper));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (behind, tamper) = (behind.clone(), tamper.clone());
            thread::spawn(move || relay(stream, &behind, &**tamper));
        }
    });
    url(address)
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}")
}

fn speak_http(mut stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
}

fn say(stream: TcpStream, words: &str) {
    let Ok(mut socket) = accept(stream) else { return };
    while let Some(request) = next(&mut socket) {
        // What is said may carry the request's number, so that it passes for an answer.
        let words = words.replace("$id", &request["id"].to_string());
        if socket.send(Message::text(words)).is_err() {
            return;
        }
    }
}

fn relay(stream: TcpStream, behind: &str, tamper: &Tamper) {
    let Ok(mut socket) = accept(stream) else { return };
    let Ok((mut node, _)): Result<(WebSocket<MaybeTlsStream<TcpStream>>, _), _> = connect(behind)
    else {
        return;
    };
    // Nobody here subscribes to anything, so each request has one answer.
    while let Some(mut request) = next(&mut socket) {
        tamper(&mut request, None);
        if node.send(Message::text(request.to_string())).is_err() {
            return;
        }
        let Some(mut answer) = next(&mut node) else { return };
        tamper(&mut request, Some(&mut answer));
        // A node that is made to say nothing has gone.
        if answer.is_null() || socket.send(Message::text(answer.to_string())).is_err() {
            return;
        }
    }
}

/// The next JSON text; none where the other side has gone.
fn next<S: Read + Write>(socket: &mut WebSocket<S>) -> Option<Value> {
    loop {
        match socket.read().ok()? {
            Message::Text(text) => return serde_json::from_str(text.as_str()).ok(),
            Message::Binary(bytes) => return serde_json::from_slice(&bytes).ok(),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}
