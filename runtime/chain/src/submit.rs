//! From a call to a block: signed once, handed over, and looked for until it is final or void, or
//! until the chain stands still.
//!
//! A signed transaction is the same bytes whichever node gets it, so it may be handed to another
//! node when one breaks. It is never signed again here: what was signed is valid for 64 blocks, and
//! this module looks through each of them. Whoever wants another attempt makes it after the answer
//! that the first one is void.

use std::fmt::Display;

use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::dynamic::{self, Value};
use subxt::error::DispatchError;
use subxt::events::Phase;
use subxt::transactions::{Signer, TransactionInvalid, ValidationResult};
use subxt::utils::{AccountId32, H256, MultiSignature};

use crate::client::{Client, Config, Tried, View};
use crate::error::{ChainError, Invalidity};
use crate::wallet::Keypair;

/// For how many blocks a signature counts: 13 minutes.
const MORTAL_BLOCKS: u64 = 64;

/// The context under which the chain's own keys sign.
const SIGNING_CONTEXT: &[u8] = b"substrate";

/// A call with its arguments by name.
pub(crate) struct Call {
    pallet: &'static str,
    name: &'static str,
    arguments: Vec<(&'static str, Value)>,
}

impl Call {
    pub(crate) fn subtensor(name: &'static str, arguments: Vec<(&'static str, Value)>) -> Self {
        Self { pallet: "SubtensorModule", name, arguments }
    }

    pub(crate) fn commitments(name: &'static str, arguments: Vec<(&'static str, Value)>) -> Self {
        Self { pallet: "Commitments", name, arguments }
    }
}

/// How long to wait for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is in a block, which may yet be replaced by another.
    Included,
    /// Until that block is final.
    Final,
}

/// A transaction that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// The call.
    pub call: String,
    /// The transaction's hash, in hexadecimal.
    pub hash: String,
    /// The block that has it.
    pub block: u32,
    /// That block's hash, in hexadecimal.
    pub block_hash: String,
    /// Whether the block is final.
    pub finalized: bool,
}

/// A transaction that may be in any block of some.
struct Sent {
    call: String,
    bytes: Vec<u8>,
    hash: H256,
    spec_version: u32,
    /// The first block that may have it.
    first: u32,
    /// The last.
    last: u32,
}

/// Where a transaction was found.
struct Found {
    block: u32,
    block_hash: H256,
    outcome: Result<(), (String, String)>,
}

struct Signing<'a>(&'a Keypair);

impl Signer<Config> for Signing<'_> {
    fn account_id(&self) -> AccountId32 {
        AccountId32(self.0.public().0)
    }

    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(self.0.sign(SIGNING_CONTEXT, payload))
    }
}

impl Client {
    /// Signs a call once, and sees it into a block.
    pub(crate) async fn send(
        &mut self,
        call: Call,
        key: &Keypair,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let sent = self.sign(call, key).await?;
        self.hand_over(&sent).await?;
        tracing::info!(call = sent.call, hash = ?sent.hash, "sent");
        self.see_through(&sent, until).await
    }

    async fn sign(&mut self, call: Call, key: &Keypair) -> Result<Sent, ChainError> {
        // What breaks here is no harm: nothing has left this machine.
        let mut tried = Tried::default();
        loop {
            let view = self.view_to_sign().await?;
            let link = self.link().await?;
            match self.signed_at(&view, &call, key).await {
                Err(error) => match link.transport.take_fault() {
                    Some(fault) => self.give_up(&mut tried, fault).await?,
                    None => return Err(error),
                },
                signed => return signed,
            }
        }
    }

    async fn signed_at(
        &mut self,
        view: &View,
        call: &Call,
        key: &Keypair,
    ) -> Result<Sent, ChainError> {
        let link = self.link().await?;
        let account = AccountId32(key.public().0);
        let next = link.methods.system_account_next_index(&account).await;
        let nonce = next.map_err(view.nonsense("the account's next number"))?;
        let fields = call.arguments.iter().cloned();
        let payload = dynamic::tx(call.pallet, call.name, Value::named_composite(fields));
        let params = DefaultExtrinsicParamsBuilder::<Config>::new().nonce(nonce);
        let params = params.mortal(MORTAL_BLOCKS).build();
        let tx = view.at.tx();
        let mut signable = tx
            .create_signable(&payload, &account, params)
            .await
            .map_err(|error| ChainError::Internal(format!("{}: {error}", call.name)))?;
        let signed = signable.sign(&Signing(key));
        let signed = signed.map_err(|error| ChainError::Internal(error.to_string()))?;
        let name = format!("{}.{}", call.pallet, call.name);
        let validity =
            signed.validate().await.map_err(view.nonsense("a transaction's validity"))?;
        if let Some(reason) = invalidity(&validity) {
            return Err(ChainError::Invalid { call: name, reason });
        }
        let first = view.block().saturating_add(1);
        let last = view.block().saturating_add(u32::try_from(MORTAL_BLOCKS).unwrap_or(u32::MAX));
        Ok(Sent {
            call: name,
            hash: signed.hash(),
            bytes: signed.into_encoded(),
            spec_version: view.spec_version(),
            first,
            last,
        })
    }

    /// Hands a transaction to a node; to the next one, where one breaks before it says anything.
    async fn hand_over(&mut self, sent: &Sent) -> Result<(), ChainError> {
        let (mut tried, mut broke) = (Tried::default(), false);
        loop {
            let link = match self.link().await {
                Ok(link) => link,
                // It may have reached the node that broke.
                Err(error) => return Err(sent.unknown(&error)),
            };
            let Err(error) = link.methods.author_submit_extrinsic(&sent.bytes).await else {
                return Ok(());
            };
            match link.transport.take_fault() {
                Some(fault) => {
                    broke = true;
                    let given_up = self.give_up(&mut tried, fault).await;
                    given_up.map_err(|error| sent.unknown(&error))?;
                }
                None => match refusal(&error) {
                    Invalidity::Duplicate => return Ok(()),
                    // The node that broke may have passed it on, so that it waits or is in a block
                    // already. Whether it is, the blocks say.
                    _ if broke => return Ok(()),
                    reason => {
                        return Err(ChainError::Invalid { call: sent.call.clone(), reason });
                    }
                },
            }
        }
    }

    /// Looks for a transaction until it is where it should be, or void.
    async fn see_through(&mut self, sent: &Sent, until: Until) -> Result<Receipt, ChainError> {
        let mut looked = sent.first;
        let mut found: Option<Found> = None;
        let mut tried = Tried::default();
        loop {
            let step = self.look(sent, &mut looked, &mut found).await;
            let broke = self.link().await.ok().and_then(|link| link.transport.take_fault());
            let fault = match (step, broke) {
                (Err(_), Some(fault)) => Some(fault),
                (Err(error), None) => return Err(sent.unknown(&error)),
                (Ok((view, time_ms)), _) => {
                    if let Some(found) = &found {
                        let finalized = found.block <= view.block();
                        if finalized || until == Until::Included {
                            return sent.receipt(found, finalized);
                        }
                    } else if view.block() >= sent.last {
                        return Err(self.void(sent).await);
                    }
                    // Where no block is made any more, there is nothing to wait for.
                    self.patience.behind(&view, time_ms, self.now_ms())
                }
            };
            match fault {
                Some(fault) => {
                    let given_up = self.give_up(&mut tried, fault).await;
                    given_up.map_err(|error| sent.unknown(&error))?;
                }
                None => tokio::time::sleep(self.patience.poll).await,
            }
        }
    }

    /// One look at the blocks up to the best one. Answers the last final block and its time, and
    /// forgets what was found in a block that is not the chain's any more.
    async fn look(
        &mut self,
        sent: &Sent,
        looked: &mut u32,
        found: &mut Option<Found>,
    ) -> Result<(View, u64), ChainError> {
        let view = self.view().await?;
        let time_ms = view.time_ms().await?;
        let link = self.link().await?;
        let nonsense = |reason: &dyn Display| link.nonsense("a block", reason);
        let hash_of = async |block: u32| {
            let hash = link.methods.chain_get_block_hash(Some(block.into())).await;
            hash.map_err(|error| nonsense(&error))
        };
        if let Some(was) = found.as_ref()
            && hash_of(was.block).await? != Some(was.block_hash)
        {
            tracing::warn!(block = was.block, call = sent.call, "a block was replaced");
            *looked = sent.first;
            *found = None;
        }
        while found.is_none() && *looked <= sent.last {
            let Some(hash) = hash_of(*looked).await? else { break };
            let block = link.methods.chain_get_block(Some(hash)).await;
            let Some(block) = block.map_err(|error| nonsense(&error))? else { break };
            let position = block.block.extrinsics.iter().position(|there| there.0 == sent.bytes);
            if let Some(position) = position {
                let outcome = self.outcome(hash, position).await?;
                *found = Some(Found { block: *looked, block_hash: hash, outcome });
            }
            *looked += 1;
        }
        // What is looked through and is not final may be replaced.
        if found.is_none() {
            *looked = (*looked).min(view.block().saturating_add(1)).max(sent.first);
        }
        Ok((view, time_ms))
    }

    /// Whether a transaction in a block succeeded; else the chain's name and words for why not.
    async fn outcome(
        &mut self,
        block: H256,
        position: usize,
    ) -> Result<Result<(), (String, String)>, ChainError> {
        let link = self.link().await?;
        let nonsense = |reason: &dyn Display| link.nonsense("a block's events", reason);
        let at = link.online.at_block(block).await.map_err(|error| nonsense(&error))?;
        let events = at.events().fetch().await.map_err(|error| nonsense(&error))?;
        for event in events.iter() {
            let event = event.map_err(|error| nonsense(&error))?;
            let ours =
                matches!(event.phase(), Phase::ApplyExtrinsic(at) if at as usize == position);
            if !ours || event.pallet_name() != "System" {
                continue;
            }
            match event.event_name() {
                "ExtrinsicSuccess" => return Ok(Ok(())),
                "ExtrinsicFailed" => {
                    let error = DispatchError::decode_from(event.field_bytes(), at.metadata());
                    return Ok(Err(words(&error.map_err(|error| nonsense(&error))?)));
                }
                _ => {}
            }
        }
        Err(nonsense(&"they do not say what became of the transaction"))
    }

    async fn void(&mut self, sent: &Sent) -> ChainError {
        match self.view().await {
            Ok(view) if view.spec_version() != sent.spec_version => {
                ChainError::Upgraded { from: sent.spec_version, to: view.spec_version() }
            }
            _ => ChainError::Expired { call: sent.call.clone(), last: sent.last },
        }
    }
}

impl Sent {
    fn unknown(&self, fault: &ChainError) -> ChainError {
        let hash = format!("{:?}", self.hash);
        ChainError::Unknown { call: self.call.clone(), hash, fault: fault.to_string() }
    }

    fn receipt(&self, found: &Found, finalized: bool) -> Result<Receipt, ChainError> {
        match &found.outcome {
            Ok(()) => Ok(Receipt {
                call: self.call.clone(),
                hash: format!("{:?}", self.hash),
                block: found.block,
                block_hash: format!("{:?}", found.block_hash),
                finalized,
            }),
            Err((error, docs)) => Err(ChainError::Failed {
                call: self.call.clone(),
                block: found.block,
                error: error.clone(),
                docs: docs.clone(),
            }),
        }
    }
}

/// The name of a failure, and what the chain's metadata says of it.
fn words(error: &DispatchError) -> (String, String) {
    let DispatchError::Module(module) = error else { return (error.to_string(), String::new()) };
    match module.details() {
        Ok(details) => (details.variant.name.clone(), details.variant.docs.join(" ")),
        Err(_) => (module.details_string(), String::new()),
    }
}

fn invalidity(validity: &ValidationResult) -> Option<Invalidity> {
    let ValidationResult::Invalid(invalid) = validity else { return None };
    Some(match invalid {
        // Others of the account wait before it, or it would be the next.
        TransactionInvalid::Future => return None,
        TransactionInvalid::Stale => Invalidity::Stale,
        TransactionInvalid::Payment => Invalidity::Payment,
        TransactionInvalid::BadProof => Invalidity::BadProof,
        TransactionInvalid::AncientBirthBlock => Invalidity::Ancient,
        TransactionInvalid::Custom(code) => custom(*code),
        other => Invalidity::Other(format!("{other:?}")),
    })
}

/// The names of the chain's own checks, by the code that its nodes give.
fn custom(code: u8) -> Invalidity {
    let name = match code {
        0 => "ColdkeyInSwapSchedule",
        1 => "StakeAmountTooLow",
        2 => "BalanceTooLow",
        3 => "SubnetNotExists",
        4 => "HotkeyAccountDoesntExist",
        6 => "RateLimitExceeded",
        10 => "HotKeyNotRegisteredInNetwork",
        11 => "InvalidIpAddress",
        12 => "ServingRateLimitExceeded",
        13 => "InvalidPort",
        15 => "InvalidRevealRound",
        16 => "CommitNotFound",
        17 => "CommitBlockNotInRevealRange",
        18 => "InputLengthsUnequal",
        19 => "UidNotFound",
        25 => "NonAssociatedColdKey",
        255 => "BadRequest",
        _ => "a check without a name here",
    };
    Invalidity::Custom(code, name)
}

/// Why a node's pool does not take a transaction, by what it says.
fn refusal(error: &subxt::rpcs::Error) -> Invalidity {
    let said = error.to_string();
    let data = match error {
        subxt::rpcs::Error::User(user) => user.data.as_ref().map(|data| data.get().to_owned()),
        _ => None,
    };
    let all = format!("{said} {}", data.unwrap_or_default());
    let says = |words: &str| all.to_lowercase().contains(words);
    if let Some(code) = custom_code(&all) {
        return custom(code);
    }
    match () {
        () if says("already imported") || says("1013") => Invalidity::Duplicate,
        () if says("priority is too low") || says("1014") => Invalidity::Replaces,
        () if says("outdated") || says("stale") => Invalidity::Stale,
        () if says("inability to pay") || says("payment") => Invalidity::Payment,
        () if says("bad signature") || says("badproof") => Invalidity::BadProof,
        () if says("ancient birth") => Invalidity::Ancient,
        () => Invalidity::Other(all.trim().to_owned()),
    }
}

/// The number in `Custom error: 6`, or in `{"custom":6}`.
fn custom_code(text: &str) -> Option<u8> {
    let text = text.to_lowercase();
    let behind = &text[text.find("custom")?..];
    let digits = behind.find(|c: char| c.is_ascii_digit())?;
    let number: String = behind[digits..].chars().take_while(char::is_ascii_digit).collect();
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, expect: Invalidity) {
        let user =
            serde_json::json!({ "code": 1010, "message": "Invalid Transaction", "data": said });
        let error = subxt::rpcs::Error::User(serde_json::from_value(user).unwrap());
        assert_eq!(refusal(&error), expect, "{said}");
    }

    #[test]
    fn a_nodes_words_become_reasons() {
        check("Transaction is outdated", Invalidity::Stale);
        check("Inability to pay some fees (e.g. account balance too low)", Invalidity::Payment);
        check("Transaction has a bad signature", Invalidity::BadProof);
        check("Custom error: 6", Invalidity::Custom(6, "RateLimitExceeded"));
        check("Transaction Already Imported", Invalidity::Duplicate);
    }
}
