//! The development chain of `tests/devchain/`, running on a free port of this machine.
//!
//! It makes a block for each transaction, and more when asked; the test may write into its state.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

use crate::program::cargo;

/// Where the chain has the time, `Timestamp.Now`.
const CLOCK: &str = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";

/// A running chain; it ends with this value.
pub struct Devchain {
    node: Child,
    pid: String,
    url: String,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    asked: u64,
}

impl Devchain {
    /// Starts a chain from its genesis; builds it first where that was not done.
    ///
    /// # Panics
    ///
    /// Where it does not start: the message says what is missing.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
    pub fn start() -> Self {
        let mut node = cargo()
            .args(["xtask", "devchain", "start", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let started: Option<Value> =
            lines.find_map(|line| serde_json::from_str(&line.unwrap()).ok());
        let started = started.expect("`cargo xtask devchain start` says where the node is");
        // What is printed later must not block the node.
        std::thread::spawn(move || lines.for_each(drop));
        let url = started["ws"].as_str().unwrap().to_owned();
        let (socket, _) = connect(&url).unwrap();
        Self { node, pid: started["pid"].to_string(), url, socket, asked: 0 }
    }

    /// Where the node is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the node answers to a request.
    ///
    /// # Panics
    ///
    /// Where it answers an error.
    #[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params });
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let mut answer: Value = serde_json::from_str(text.as_str()).unwrap();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// The seconds by which the chain's clock is behind this machine's.
    ///
    /// # Panics
    ///
    /// Where the chain has no clock.
    #[expect(clippy::disallowed_methods, reason = "the program under test has this clock too")]
    #[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
    pub fn age(&mut self) -> u64 {
        let stored = self.ask("state_getStorage", json!([CLOCK]));
        let bytes = hex::decode(stored.as_str().unwrap().trim_start_matches("0x")).unwrap();
        let chain_ms = u64::from_le_bytes(bytes.try_into().unwrap());
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        ours.as_secs().saturating_sub(chain_ms / 1000)
    }

    /// Makes so many blocks.
    pub fn blocks(&mut self, count: u32) {
        self.ask("dev_newBlock", json!([{ "count": count }]));
    }

    /// Writes values into the state, as `{"Pallet": {"Item": …}}`, where a map's entries are
    /// `[[key, …], value]`.
    pub fn write(&mut self, values: Value) {
        self.ask("dev_setStorage", json!([values]));
    }
}

impl Drop for Devchain {
    fn drop(&mut self) {
        // Not the chore, which has started it.
        let _ = Command::new("kill").arg(&self.pid).status();
        let _ = self.node.wait();
    }
}
