//! Everything that can go wrong between this machine and a transaction in a block.

use std::fmt;
use std::net::SocketAddr;

use crate::ids::{Genesis, MechanismId, NetUid, Uid};
use crate::network::Endpoint;
use crate::shapes::Difference;
use crate::transport::Fault;

/// The chain could not be read, or did not take what was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No endpoint served, however often they were tried.
    #[error("no node serves: {}", list(tried))]
    Unreachable {
        /// Each endpoint with its last fault.
        tried: Vec<(Endpoint, Fault)>,
    },
    /// The connection broke in the middle of something that is not simply done again.
    #[error("{endpoint}: {fault}")]
    Broken {
        /// The node.
        endpoint: Endpoint,
        /// How.
        fault: Fault,
    },
    /// An answer that cannot be what it was asked for.
    #[error("{endpoint} answers nonsense about {what}: {reason}")]
    Nonsense {
        /// The node.
        endpoint: Endpoint,
        /// What was asked for.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// Another chain than the one that was meant.
    #[error("{endpoint} serves another chain: its first block is {found}, not {expected}")]
    WrongGenesis {
        /// The node.
        endpoint: Endpoint,
        /// The chain that was meant.
        expected: Genesis,
        /// The chain that it serves.
        found: Genesis,
    },
    /// The runtime is not the one that this program was written for.
    #[error(
        "the chain's runtime {spec_version} differs from what is known here:\n  {}",
        lines(differences)
    )]
    Shapes {
        /// The runtime's version.
        spec_version: u32,
        /// Each thing that differs.
        differences: Vec<Difference>,
    },
    /// The runtime changed after a transaction was signed for the one before it.
    #[error("the chain changed its runtime from {from} to {to} meanwhile; nothing was done")]
    Upgraded {
        /// The version that was signed for.
        from: u32,
        /// The version at the end.
        to: u32,
    },
    /// There is no such subnet.
    #[error("the chain has no subnet {0}")]
    NoSubnet(NetUid),
    /// The subnet has no such mechanism.
    #[error("subnet {0} has no mechanism {1}, or there is no such subnet")]
    NoMechanism(NetUid, MechanismId),
    /// The chain would refuse; nothing was signed.
    #[error("the chain would refuse this: {}", list_of(.0))]
    Refused(Vec<Refusal>),
    /// The chain does not take the transaction into a block.
    #[error("the chain does not take {call}: {reason}")]
    Invalid {
        /// Which call.
        call: String,
        /// Why.
        reason: Invalidity,
    },
    /// The transaction is in a block, and failed there.
    #[error("{call} failed in block {block}: {error}{}", explained(docs))]
    Failed {
        /// Which call.
        call: String,
        /// In which block.
        block: u32,
        /// The chain's name of the reason.
        error: String,
        /// What the chain says of that reason.
        docs: String,
    },
    /// The transaction was not taken into a block before its time was over. It cannot be any more.
    #[error("{call} was in no block up to {last}; it is void, and may be sent again")]
    Expired {
        /// Which call.
        call: String,
        /// The last block that could have had it.
        last: u32,
    },
    /// A transaction was handed to a node, and what became of it is not known.
    #[error("{call} ({hash}) was sent, and then: {fault}; look for it before sending another")]
    Unknown {
        /// Which call.
        call: String,
        /// Its hash, in hexadecimal.
        hash: String,
        /// What happened.
        fault: String,
    },
    /// The key that was to sign is not the one of the permit.
    #[error("the permit is for another key than the one that is to sign")]
    OtherKey,
    /// The permit is for another chain.
    #[error("the permit is for the chain {permitted}, the node serves {found}")]
    OtherChain {
        /// The chain of the permit.
        permitted: Genesis,
        /// The chain that the node serves.
        found: Genesis,
    },
    /// Weights could not be made ready.
    #[error(transparent)]
    Timelock(#[from] crate::timelock::TimelockError),
    /// What this crate takes for granted does not hold: our bug.
    #[error("this is our bug: {0}")]
    Internal(String),
}

/// Why a transaction is not taken into a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidity {
    /// Its number has been used: it was sent before, or another one of the account was.
    Stale,
    /// The account cannot pay for it.
    Payment,
    /// The same transaction is there already.
    Duplicate,
    /// Another transaction of the account has this number, and pays as much.
    Replaces,
    /// It was signed for another runtime, chain or time.
    BadProof,
    /// It was signed too long ago.
    Ancient,
    /// A check of the chain, by its name.
    Custom(u8, &'static str),
    /// In the node's own words.
    Other(String),
}

impl fmt::Display for Invalidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("it is stale: a transaction with its number was taken"),
            Self::Payment => f.write_str("the account cannot pay for it"),
            Self::Duplicate => f.write_str("it was sent before and waits"),
            Self::Replaces => f.write_str("another of the account waits with the same number"),
            Self::BadProof => f.write_str("its signature is not for this runtime and chain"),
            Self::Ancient => f.write_str("it was signed too long ago"),
            Self::Custom(code, name) => write!(f, "{name} (custom error {code})"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// A check that a call would not pass: the chain's, by its name, or ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A subnet has few mechanisms.
    #[error("MechanismDoesNotExist: the subnet has {0} mechanisms")]
    Mechanism(u8),
    /// The key is no neuron.
    #[error("HotKeyNotRegisteredInSubNet: the key is not registered")]
    Unregistered,
    /// Not enough stake.
    #[error("NotEnoughStakeToSetWeights: stake {stake} is below {needed} rao")]
    Stake {
        /// The key's stake weight, in rao.
        stake: u64,
        /// The least that sets weights.
        needed: u64,
    },
    /// A version key of before.
    #[error("IncorrectWeightVersionKey: {given} is below {needed}")]
    VersionKey {
        /// What is given.
        given: u64,
        /// The least that is taken.
        needed: u64,
    },
    /// Too soon.
    #[error("SettingWeightsTooFast: last at block {last}, next from block {next}")]
    TooFast {
        /// The block of the last weights.
        last: u64,
        /// From where on they are taken again.
        next: u64,
    },
    /// Only validators set weights.
    #[error("NeuronNoValidatorPermit: the key has no validator permit")]
    NoPermit,
    /// A uid that nobody has.
    #[error("UidVecContainInvalidOne: nobody has uid {0}")]
    NoSuchUid(Uid),
    /// Too few weights.
    #[error("WeightVecLengthIsLow: {given} weights, at least {needed}")]
    TooFew {
        /// How many there are.
        given: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A weight above what one may have of the whole.
    #[error("MaxWeightExceeded: uid {0} has more of the whole than one may have")]
    TooLarge(Uid),
    /// The subnet wants commitments.
    #[error("CommitRevealEnabled: the subnet takes commitments, not weights")]
    CommitReveal,
    /// The subnet wants weights.
    #[error("CommitRevealDisabled: the subnet takes weights, not commitments")]
    NoCommitReveal,
    /// The chain reads another form of timelocked commitments.
    #[error("IncorrectCommitRevealVersion: the chain wants {0}")]
    CommitVersion(u16),
    /// Nobody may register.
    #[error("SubNetRegistrationDisabled: nobody may register")]
    RegistrationClosed,
    /// The key is a neuron.
    #[error("HotKeyAlreadyRegisteredInSubNet: the key has uid {0}")]
    Registered(Uid),
    /// More than its owner would pay.
    #[error("registering costs {burn} rao, and {most} is the most that may be paid")]
    Costs {
        /// What it costs, in rao.
        burn: u64,
        /// The most that may be paid, in rao.
        most: u64,
    },
    /// An address that others cannot reach.
    #[error("InvalidIpAddress: nobody else can reach {0}")]
    Address(SocketAddr),
}

fn list(tried: &[(Endpoint, Fault)]) -> String {
    let tried: Vec<_> = tried.iter().map(|(at, fault)| format!("{at}: {fault}")).collect();
    tried.join("; ")
}

fn lines(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

fn list_of(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn explained(docs: &str) -> String {
    if docs.is_empty() { String::new() } else { format!(" ({docs})") }
}
