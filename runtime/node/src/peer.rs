//! Bisection over the network: questions and answers about a proof between two processes.
//!
//! A connection begins with the greeting from each side. Then the one who connected sends questions
//! and the other an answer to each, in canonical encoding after its length (u32 LE). Whoever
//! stalls, sends more than a message may hold, or anything but a message, is cut off and named.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataforge_core::bisect::{Answer, Party, Question};
use dataforge_core::codec::{self, CodecError};
use serde::{Serialize, de::DeserializeOwned};

const GREETING: &[u8; 20] = b"dataforge/bisect/v1\n";

/// A question: a few numbers.
const QUESTION_BYTES_MAX: u32 = 256;

/// An answer: at most the hashes of a state's tensors.
const ANSWER_BYTES_MAX: u32 = 1 << 20;

/// Questions of one connection. A bisection asks some fifty.
const QUESTIONS_MAX: u32 = 10_000;

/// How long a whole message may take, its sender's thinking included.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a listener looks whether it is to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// A connection was cut off. Names the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It cannot be reached, or the connection broke.
    #[error("{peer}: {source}")]
    Io {
        /// Host and port.
        peer: String,
        /// Why.
        source: io::Error,
    },
    /// It speaks something else.
    #[error("{0} does not speak this protocol")]
    Stranger(String),
    /// It takes longer over a message than anyone may.
    #[error("{peer} took longer than {} s", MESSAGE_TIMEOUT.as_secs())]
    Stalled {
        /// Host and port.
        peer: String,
    },
    /// It announces more than a message may hold.
    #[error("{peer} announces {length} bytes, a message has at most {limit}")]
    TooLong {
        /// Host and port.
        peer: String,
        /// Announced.
        length: u32,
        /// Allowed.
        limit: u32,
    },
    /// What it sends is no message.
    #[error("{peer} sends garbage: {source}")]
    Garbage {
        /// Host and port.
        peer: String,
        /// What is wrong.
        source: CodecError,
    },
    /// It does not stop asking.
    #[error("{peer} asked more than {QUESTIONS_MAX} questions")]
    Insatiable {
        /// Host and port.
        peer: String,
    },
}

/// One end of a connection.
#[derive(Debug)]
struct Wire {
    peer: String,
    stream: TcpStream,
}

impl Wire {
    fn new(peer: String, stream: TcpStream) -> Result<Self, PeerError> {
        let mut wire = Self { peer, stream };
        let prepared = wire.stream.set_nodelay(true);
        let prepared = prepared.and(wire.stream.set_write_timeout(Some(MESSAGE_TIMEOUT)));
        prepared.and(wire.stream.write_all(GREETING)).map_err(|source| wire.broken(source))?;
        let mut greeting = [0; GREETING.len()];
        wire.read(&mut greeting, deadline())?;
        if greeting == *GREETING { Ok(wire) } else { Err(PeerError::Stranger(wire.peer)) }
    }

    fn broken(&self, source: io::Error) -> PeerError {
        let peer = self.peer.clone();
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => PeerError::Stalled { peer },
            _ => PeerError::Io { peer, source },
        }
    }

    /// Fills `buffer` before the deadline, however slowly the bytes drip.
    fn read(&mut self, mut buffer: &mut [u8], deadline: Instant) -> Result<(), PeerError> {
        while !buffer.is_empty() {
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Err(PeerError::Stalled { peer: self.peer.clone() });
            }
            let read = self.stream.set_read_timeout(Some(left)).and_then(|()| {
                let count = self.stream.read(buffer)?;
                (count > 0).then_some(count).ok_or(io::ErrorKind::UnexpectedEof.into())
            });
            let count = read.map_err(|source| self.broken(source))?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    fn send<T: Serialize>(&mut self, message: &T) -> Result<(), PeerError> {
        let body = codec::encode(message);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let frame = [&length.to_le_bytes()[..], &body].concat();
        self.stream.write_all(&frame).map_err(|source| self.broken(source))
    }

    fn receive<T: Serialize + DeserializeOwned>(&mut self, limit: u32) -> Result<T, PeerError> {
        let deadline = deadline();
        let mut length = [0; 4];
        self.read(&mut length, deadline)?;
        let length = u32::from_le_bytes(length);
        if length > limit {
            return Err(PeerError::TooLong { peer: self.peer.clone(), length, limit });
        }
        let mut body = vec![0; length as usize];
        self.read(&mut body, deadline)?;
        let peer = self.peer.clone();
        codec::decode(&body).map_err(|source| PeerError::Garbage { peer, source })
    }
}

#[expect(clippy::disallowed_methods, reason = "a stalling peer is a matter of real time")]
fn now() -> Instant {
    Instant::now()
}

fn deadline() -> Instant {
    now() + MESSAGE_TIMEOUT
}

/// A party in another process.
#[derive(Debug)]
pub struct RemoteParty(Wire);

impl RemoteParty {
    /// Connects to `HOST:PORT`.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn connect(address: &str) -> Result<Self, PeerError> {
        let failed = |source| PeerError::Io { peer: address.to_owned(), source };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for resolved in address.to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&resolved, MESSAGE_TIMEOUT) {
                Ok(stream) => return Wire::new(address.to_owned(), stream).map(Self),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }
}

impl Party for RemoteParty {
    type Error = PeerError;

    fn ask(&mut self, question: &Question) -> Result<Answer, PeerError> {
        self.0.send(question)?;
        self.0.receive(ANSWER_BYTES_MAX)
    }
}

/// Answers whoever connects, one at a time, until `stop`. `ended` is told how each connection
/// ended, and after how many questions.
///
/// # Errors
/// [`io::Error`] when the listener itself fails.
pub fn serve<P: Party>(
    listener: &TcpListener,
    party: &mut P,
    stop: &AtomicBool,
    mut ended: impl FnMut(SocketAddr, u32, Option<PeerError>),
) -> io::Result<()>
where
    P::Error: Into<PeerError>,
{
    listener.set_nonblocking(true)?;
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, address)) => {
                stream.set_nonblocking(false)?;
                let mut questions = 0;
                let end = answer(stream, address, party, &mut questions).err();
                ended(address, questions, end);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(STOP_INTERVAL);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Until the peer hangs up between two questions.
fn answer<P: Party>(
    stream: TcpStream,
    address: SocketAddr,
    party: &mut P,
    questions: &mut u32,
) -> Result<(), PeerError>
where
    P::Error: Into<PeerError>,
{
    let mut wire = Wire::new(address.to_string(), stream)?;
    loop {
        let question: Question = match wire.receive(QUESTION_BYTES_MAX) {
            Err(PeerError::Io { source, .. }) if source.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(());
            }
            received => received?,
        };
        *questions += 1;
        if *questions > QUESTIONS_MAX {
            return Err(PeerError::Insatiable { peer: wire.peer });
        }
        let answer = party.ask(&question).map_err(Into::into)?;
        wire.send(&answer)?;
    }
}

impl From<std::convert::Infallible> for PeerError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::thread;

    struct Echo;

    impl Party for Echo {
        type Error = Infallible;

        fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
            Ok(match question {
                Question::State { taken, .. } => Answer::State(vec![[*taken as u8; 32]]),
                _ => Answer::Missing,
            })
        }
    }

    /// Serves one connection; how it ended.
    fn serving(then: impl FnOnce(&str)) -> Option<PeerError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut last = None;
                let ended = |_, _, end| {
                    last = end;
                    stop.store(true, Ordering::Relaxed);
                };
                serve(&listener, &mut Echo, &stop, ended).unwrap();
                last
            });
            then(&address);
            server.join().unwrap()
        })
    }

    fn state(taken: u32) -> Question {
        Question::State { whose: dataforge_core::proof::Whose::Model, taken }
    }

    #[test]
    fn questions_are_answered_until_the_peer_hangs_up() {
        let end = serving(|address| {
            let mut party = RemoteParty::connect(address).unwrap();
            for taken in 0..100 {
                let answer = party.ask(&state(taken)).unwrap();
                assert_eq!(answer, Answer::State(vec![[taken as u8; 32]]));
            }
            assert_eq!(party.ask(&Question::Outline).unwrap(), Answer::Missing);
        });
        assert!(end.is_none(), "{end:?}");
    }

    /// What a server makes of raw bytes.
    fn sent(bytes: &[u8]) -> Option<PeerError> {
        serving(|address| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut vec![]);
        })
    }

    #[test]
    fn hostile_bytes_end_the_connection_and_are_named() {
        let greeted = |bytes: &[u8]| sent(&[&GREETING[..], bytes].concat());
        assert!(matches!(sent(b"GET / HTTP/1.1\r\n\r\n......"), Some(PeerError::Stranger(_))));
        assert!(matches!(
            greeted(&u32::MAX.to_le_bytes()),
            Some(PeerError::TooLong { length: u32::MAX, limit: QUESTION_BYTES_MAX, .. })
        ));
        assert!(matches!(greeted(&[3, 0, 0, 0, 9, 9, 9]), Some(PeerError::Garbage { .. })));
        // Hung up in the middle of a message, or before one.
        assert!(greeted(&[3, 0, 0, 0, 9]).is_none());
        assert!(greeted(&[]).is_none());
    }

    #[test]
    fn a_lying_server_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(GREETING).unwrap();
                stream.write_all(&(ANSWER_BYTES_MAX + 1).to_le_bytes()).unwrap();
                let _ = stream.read_to_end(&mut vec![]);
            });
            let mut party = RemoteParty::connect(&address).unwrap();
            let error = party.ask(&state(1)).unwrap_err();
            assert!(matches!(error, PeerError::TooLong { .. }), "{error}");
            assert!(error.to_string().contains(&address), "{error}");
        });
    }
}
