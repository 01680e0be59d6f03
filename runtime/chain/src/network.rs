//! Which chain, and where its nodes are.

use std::fmt;
use std::str::FromStr;

use subxt::rpcs::utils::url_is_secure;

use crate::ids::{Genesis, GenesisError};

/// The address of a node: `wss://`, or `ws://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The address as a URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = NetworkError;

    fn from_str(url: &str) -> Result<Self, NetworkError> {
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Err(NetworkError::NotAnEndpoint(url.to_owned()));
        }
        match url_is_secure(url) {
            Ok(true) => Ok(Self(url.to_owned())),
            Ok(false) => Err(NetworkError::Insecure(url.to_owned())),
            Err(_) => Err(NetworkError::NotAnEndpoint(url.to_owned())),
        }
    }
}

/// A network is not named in a way that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No address of a node.
    #[error("`{0}` is no address of a node: write wss://HOST:PORT")]
    NotAnEndpoint(String),
    /// Whoever is between could change what the node says.
    #[error("`{0}` is not encrypted; ws:// is for this machine alone, write wss://")]
    Insecure(String),
    /// No hash of a block.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// No network of that name.
    #[error("no network `{0}`; there are finney, test and local")]
    Unknown(String),
}

/// A chain, and nodes that serve it.
#[derive(Clone, Debug)]
pub struct Network {
    /// Nodes, the preferred first.
    pub endpoints: Vec<Endpoint>,
    /// What the first block must be; whatever the node says, where none is given.
    pub genesis: Option<Genesis>,
}

impl FromStr for Network {
    type Err = NetworkError;

    /// `finney` (the main network), `test`, or `local` (a node on this machine).
    fn from_str(name: &str) -> Result<Self, NetworkError> {
        let (endpoints, genesis): (&[&str], Option<&str>) = match name {
            "finney" => (
                &[
                    "wss://entrypoint-finney.opentensor.ai:443",
                    "wss://lite.chain.opentensor.ai:443",
                ],
                Some("2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03"),
            ),
            "test" => (&["wss://test.finney.opentensor.ai:443"], None),
            "local" => (&["ws://127.0.0.1:9944"], None),
            _ => return Err(NetworkError::Unknown(name.to_owned())),
        };
        Ok(Self {
            endpoints: endpoints.iter().map(|url| url.parse()).collect::<Result<_, _>>()?,
            genesis: genesis.map(str::parse).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Result<(), NetworkError>) {
        assert_eq!(url.parse::<Endpoint>().map(|_| ()), expect);
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        check("wss://example.org:443", Ok(()));
        check("ws://127.0.0.1:9944", Ok(()));
        check("ws://localhost:9944", Ok(()));
        check("ws://10.0.0.1:9944", Err(NetworkError::Insecure("ws://10.0.0.1:9944".into())));
        for url in ["", "127.0.0.1:9944", "http://127.0.0.1", "ws://", "wss://a b"] {
            check(url, Err(NetworkError::NotAnEndpoint(url.into())));
        }
    }

    #[test]
    fn named_networks_can_be_spoken_to() {
        for name in ["finney", "test", "local"] {
            assert!(!name.parse::<Network>().unwrap().endpoints.is_empty());
        }
        assert_eq!("x".parse::<Network>().unwrap_err(), NetworkError::Unknown("x".into()));
    }
}
