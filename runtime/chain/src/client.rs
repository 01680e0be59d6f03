//! A connection to a chain that lasts: several nodes, tried in turn, with growing pauses.
//!
//! Everything is read in a [`View`], which is the chain at one final block, by the metadata of that
//! block. A runtime that is not as declared in [`crate::shapes`] is refused when its first view is
//! taken, so an upgrade while a program runs is noticed before anything is read or signed by it.
//!
//! Reading may be done again on another node. What is signed is not: see [`crate::submit`].

use std::sync::Arc;
use std::time::Duration;

use subxt::backend::LegacyBackend;
use subxt::client::{OnlineClient, OnlineClientAtBlock};
use subxt::config::RpcConfigFor;
use subxt::rpcs::LegacyRpcMethods;

use crate::error::ChainError;
use crate::ids::Genesis;
use crate::network::{Endpoint, Network};
use crate::shapes;
use crate::transport::{Fault, Transport};

pub(crate) type Config = subxt::PolkadotConfig;

/// How patient a client is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The limit of one request.
    pub request: Duration,
    /// How often each endpoint is tried.
    pub rounds: u32,
    /// The pause after all endpoints have failed for the first time; it doubles each time.
    pub pause: Duration,
    /// Between two looks for a transaction.
    pub poll: Duration,
    /// The age of the last final block from which on a node counts as behind, in milliseconds: it
    /// is not signed by, and not waited for.
    pub age_ms_max: u64,
}

impl Patience {
    /// Whether a view of a final block of this time is too old to be the chain's present.
    pub(crate) fn behind(&self, view: &View, time_ms: u64, now_ms: u64) -> Option<Fault> {
        let (block, age_ms) = (view.block(), now_ms.saturating_sub(time_ms));
        (age_ms > self.age_ms_max).then_some(Fault::Behind { block, age_ms })
    }
}

/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(60);

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            rounds: 4,
            pause: Duration::from_secs(1),
            poll: Duration::from_millis(500),
            // Twenty-five blocks. Finality is some three blocks behind.
            age_ms_max: 300_000,
        }
    }
}

/// Says what time it is, in Unix milliseconds.
pub type Clock = fn() -> u64;

/// A client of one chain.
pub struct Client {
    network: Network,
    clock: Clock,
    pub(crate) patience: Patience,
    /// The endpoint that is used, or tried next.
    preferred: usize,
    link: Option<Link>,
}

/// A node that is connected.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) endpoint: Endpoint,
    pub(crate) transport: Transport,
    pub(crate) methods: LegacyRpcMethods<RpcConfigFor<Config>>,
    pub(crate) online: OnlineClient<Config>,
    /// The last version of the runtime whose shapes were as declared.
    checked: Option<u32>,
}

impl Link {
    /// What a library says of an answer, as our error.
    pub(crate) fn nonsense(&self, what: &str, reason: &dyn std::fmt::Display) -> ChainError {
        let (endpoint, what) = (self.endpoint.clone(), what.to_owned());
        ChainError::Nonsense { endpoint, what, reason: reason.to_string() }
    }
}

/// The chain at one block.
#[derive(Clone)]
pub struct View {
    pub(crate) endpoint: Endpoint,
    pub(crate) at: OnlineClientAtBlock<Config>,
}

impl View {
    /// The block's number.
    #[must_use]
    pub fn block(&self) -> u32 {
        // Block numbers of this chain have 32 bits, and its headers are decoded as such.
        u32::try_from(self.at.block_number()).unwrap_or(u32::MAX)
    }

    /// The version of the runtime.
    #[must_use]
    pub fn spec_version(&self) -> u32 {
        self.at.spec_version()
    }

    /// When the block was made by its author's clock, in Unix milliseconds.
    ///
    /// # Errors
    /// [`ChainError::Nonsense`].
    pub async fn time_ms(&self) -> Result<u64, ChainError> {
        self.stored_in("Timestamp", "Now", []).await
    }

    /// The block's hash, in hexadecimal.
    #[must_use]
    pub fn block_hash(&self) -> String {
        format!("{:?}", self.at.block_hash())
    }

    /// The node that says all this.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// For `map_err`: what a library says of an answer, as our error.
    pub(crate) fn nonsense<E: std::fmt::Display>(
        &self,
        what: &str,
    ) -> impl FnOnce(E) -> ChainError {
        let (endpoint, what) = (self.endpoint.clone(), what.to_owned());
        move |reason| ChainError::Nonsense { endpoint, what, reason: reason.to_string() }
    }
}

impl Client {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(network: Network, patience: Patience, clock: Clock) -> Self {
        Self { network, clock, patience, preferred: 0, link: None }
    }

    /// The time, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// A view to sign by: of a node that has caught up.
    pub(crate) async fn view_to_sign(&mut self) -> Result<View, ChainError> {
        self.read_to_sign(async |view| Ok(view.clone())).await
    }

    /// As [`Client::read`], on a node that has caught up. What will be signed rests on this: a uid
    /// that an older block has may be another key's by now.
    ///
    /// # Errors
    /// As [`Client::read`]; a node that is behind does not serve.
    pub async fn read_to_sign<T>(
        &mut self,
        what: impl AsyncFn(&View) -> Result<T, ChainError>,
    ) -> Result<T, ChainError> {
        let (mut tried, patience, clock) = (Tried::default(), self.patience, self.clock);
        loop {
            let read = self.read(async |view| {
                match patience.behind(view, view.time_ms().await?, clock()) {
                    Some(fault) => Ok(Err(fault)),
                    None => what(view).await.map(Ok),
                }
            });
            match read.await? {
                Ok(value) => return Ok(value),
                Err(fault) => self.give_up(&mut tried, fault).await?,
            }
        }
    }

    /// The chain's identity, as the node says.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn genesis(&mut self) -> Result<Genesis, ChainError> {
        Ok(Genesis(self.link().await?.online.genesis_hash().0))
    }

    /// Reads something at the last final block. Where the connection breaks, all of it is done
    /// again, on the next endpoint.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`] where no endpoint serves; [`ChainError::WrongGenesis`],
    /// [`ChainError::Shapes`], [`ChainError::Nonsense`], and what `what` answers.
    pub async fn read<T>(
        &mut self,
        what: impl AsyncFn(&View) -> Result<T, ChainError>,
    ) -> Result<T, ChainError> {
        let mut tried = Tried::default();
        loop {
            let link = self.link_after(&mut tried).await?;
            let read = match self.view().await {
                Ok(view) => what(&view).await,
                Err(error) => Err(error),
            };
            match (read, link.transport.take_fault()) {
                (Err(_), Some(fault)) => self.give_up(&mut tried, fault).await?,
                (read, _) => return read,
            }
        }
    }

    /// The last final block, on the node that is connected.
    pub(crate) async fn view(&mut self) -> Result<View, ChainError> {
        let link = self.link().await?;
        let at = link.online.at_current_block().await;
        let at = at.map_err(|error| link.nonsense("its last final block", &error))?;
        let spec_version = at.spec_version();
        if link.checked != Some(spec_version) {
            let differences = shapes::differences(at.metadata_ref());
            if !differences.is_empty() {
                return Err(ChainError::Shapes { spec_version, differences });
            }
            tracing::debug!(spec_version, endpoint = %link.endpoint, "the runtime is as expected");
            if let Some(link) = &mut self.link {
                link.checked = Some(spec_version);
            }
        }
        Ok(View { endpoint: link.endpoint, at })
    }

    /// The node that is connected; connects where none is.
    pub(crate) async fn link(&mut self) -> Result<Link, ChainError> {
        self.link_after(&mut Tried::default()).await
    }

    async fn link_after(&mut self, tried: &mut Tried) -> Result<Link, ChainError> {
        loop {
            if let Some(link) = &self.link {
                return Ok(link.clone());
            }
            match self.connect().await {
                Ok(link) => {
                    // Whichever chain was first is the one that all nodes must serve.
                    self.network.genesis = Some(Genesis(link.online.genesis_hash().0));
                    self.link = Some(link);
                }
                Err(Connecting::Fault(fault)) => self.give_up(tried, fault).await?,
                Err(Connecting::Wrong(error)) => return Err(error),
            }
        }
    }

    /// Leaves the preferred endpoint for the next one, after a pause where all have failed.
    pub(crate) async fn give_up(
        &mut self,
        tried: &mut Tried,
        fault: Fault,
    ) -> Result<(), ChainError> {
        let endpoint = self.preferred()?;
        tracing::warn!(%endpoint, %fault, "a node does not serve");
        self.link = None;
        self.preferred = (self.preferred + 1) % self.network.endpoints.len();
        tried.faults.retain(|(other, _)| *other != endpoint);
        tried.faults.push((endpoint, fault));
        tried.count += 1;
        let endpoints = u32::try_from(self.network.endpoints.len()).unwrap_or(u32::MAX);
        let (rounds, rest) = (tried.count / endpoints, tried.count % endpoints);
        if rounds >= self.patience.rounds {
            return Err(ChainError::Unreachable { tried: std::mem::take(&mut tried.faults) });
        }
        if rest == 0 {
            let doubled = self.patience.pause.saturating_mul(1 << (rounds - 1).min(16));
            tokio::time::sleep(doubled.min(PAUSE_MAX)).await;
        }
        Ok(())
    }

    fn preferred(&self) -> Result<Endpoint, ChainError> {
        let endpoint = self.network.endpoints.get(self.preferred);
        endpoint.cloned().ok_or_else(|| ChainError::Unreachable { tried: Vec::new() })
    }

    async fn connect(&self) -> Result<Link, Connecting> {
        let endpoint = self.preferred()?;
        let transport = Transport::connect(endpoint.url(), self.patience.request).await?;
        let backend = LegacyBackend::builder().build(transport.client());
        let online = OnlineClient::<Config>::from_backend(Arc::new(backend)).await;
        let online = online.map_err(|error| match transport.take_fault() {
            Some(fault) => fault,
            None => Fault::Nonsense { method: "genesis".to_owned(), reason: error.to_string() },
        })?;
        let found = Genesis(online.genesis_hash().0);
        if let Some(expected) = self.network.genesis.filter(|expected| *expected != found) {
            return Err(Connecting::Wrong(ChainError::WrongGenesis { endpoint, expected, found }));
        }
        let methods = LegacyRpcMethods::new(transport.client());
        Ok(Link { endpoint, transport, methods, online, checked: None })
    }
}

/// What was tried in one operation.
#[derive(Default)]
pub(crate) struct Tried {
    faults: Vec<(Endpoint, Fault)>,
    count: u32,
}

/// Why there is no connection.
enum Connecting {
    /// Another endpoint may serve.
    Fault(Fault),
    /// Nothing is mended by another endpoint.
    Wrong(ChainError),
}

impl From<Fault> for Connecting {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ChainError> for Connecting {
    fn from(error: ChainError) -> Self {
        Self::Wrong(error)
    }
}
