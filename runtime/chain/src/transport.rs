//! Requests to one node, each with a limit on time and size, and a memory of what went wrong.
//!
//! Libraries above wrap a transport's errors in many ways. What a caller must know (is the node
//! gone, slow, or talking nonsense; did it say why it refuses) is kept here, where it is known.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use subxt::ext::jsonrpsee::client_transport::ws::{Url, WsTransportClientBuilder};
use subxt::ext::jsonrpsee::core::client::{Client, ClientBuilder, Error as ClientError};
use subxt::rpcs::Error as RpcError;
use subxt::rpcs::client::{RawRpcFuture, RawRpcSubscription, RawValue, RpcClient, RpcClientT};

/// The largest answer that is read. Metadata, the largest, has one to two megabytes in hexadecimal.
const ANSWER_BYTES_MAX: u32 = 32 << 20;

/// Why a node did not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody answers, or the connection was lost.
    #[error("no connection: {0}")]
    Gone(String),
    /// No answer in time.
    #[error("no answer to {method} within {} ms", limit.as_millis())]
    Slow {
        /// What was asked.
        method: String,
        /// How long was waited.
        limit: Duration,
    },
    /// What it answers is not what it was asked for.
    #[error("nonsense in answer to {method}: {reason}")]
    Nonsense {
        /// What was asked.
        method: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It has not caught up, or its chain stands still.
    #[error("it is behind: its last final block, {block}, is {} s old", age_ms / 1000)]
    Behind {
        /// Its last final block.
        block: u32,
        /// The block's age by this machine's clock, in milliseconds.
        age_ms: u64,
    },
}

/// A connection to one node.
#[derive(Clone)]
pub(crate) struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    limit: Duration,
    fault: Mutex<Option<Fault>>,
}

impl Transport {
    /// Connects within `limit`, which is also the limit of each request.
    pub(crate) async fn connect(url: &str, limit: Duration) -> Result<Self, Fault> {
        let gone = |error: &dyn std::error::Error| Fault::Gone(error.to_string());
        let url = Url::parse(url).map_err(|error| gone(&error))?;
        let transport = WsTransportClientBuilder::default()
            // Ours comes first, and is told from other failures.
            .connection_timeout(limit.saturating_mul(2))
            .max_response_size(ANSWER_BYTES_MAX)
            .build(url);
        let slow = |_| Fault::Slow { method: "a connection".to_owned(), limit };
        let connected = tokio::time::timeout(limit, transport).await.map_err(slow)?;
        let (sender, receiver) = connected.map_err(|error| gone(&error))?;
        let client = ClientBuilder::default().request_timeout(limit);
        let client = client.build_with_tokio(sender, receiver);
        Ok(Self { inner: Arc::new(Inner { client, limit, fault: Mutex::new(None) }) })
    }

    /// The fault since the last call of this, if there was one.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.inner.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What libraries ask through.
    pub(crate) fn client(&self) -> RpcClient {
        RpcClient::new(self.clone())
    }

    fn note(&self, method: &str, error: &RpcError) {
        let fault = match error {
            // The node understood, and refuses.
            RpcError::User(_) => return,
            RpcError::Client(source) => match source.downcast_ref::<ClientError>() {
                Some(ClientError::RequestTimeout) => self.slow(method),
                Some(ClientError::ParseError(error)) => nonsense(method, error),
                // What cannot be read at all ends the connection.
                _ if source.to_string().contains("Unparseable") => nonsense(method, source),
                _ => Fault::Gone(source.to_string()),
            },
            other => nonsense(method, other),
        };
        *self.inner.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    fn slow(&self, method: &str) -> Fault {
        Fault::Slow { method: method.to_owned(), limit: self.inner.limit }
    }
}

fn nonsense(method: &str, reason: &impl ToString) -> Fault {
    Fault::Nonsense { method: method.to_owned(), reason: reason.to_string() }
}

impl RpcClientT for Transport {
    fn request_raw<'a>(
        &'a self,
        method: &'a str,
        params: Option<Box<RawValue>>,
    ) -> RawRpcFuture<'a, Box<RawValue>> {
        Box::pin(async move {
            let answer = RpcClientT::request_raw(&self.inner.client, method, params).await;
            answer.inspect_err(|error| self.note(method, error))
        })
    }

    fn subscribe_raw<'a>(
        &'a self,
        sub: &'a str,
        params: Option<Box<RawValue>>,
        unsub: &'a str,
    ) -> RawRpcFuture<'a, RawRpcSubscription> {
        RpcClientT::subscribe_raw(&self.inner.client, sub, params, unsub)
    }
}
