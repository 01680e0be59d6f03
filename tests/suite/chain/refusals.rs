//! What is not signed, what the chain does not take, and nodes that change on the way: each is
//! named, with its exit code.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use dataforge_chain::ids::AccountId;
use dataforge_tests::{Tamper, tampered_node};
use serde_json::{Value, json};

use super::subnet::{AN_EPOCH, Subnet};

/// A subnet with a validator and two miners, and an epoch that pays them.
pub(super) struct Case {
    pub(super) subnet: Subnet,
    miners: [AccountId; 2],
    epoch: String,
}

impl Case {
    pub(super) fn new() -> Self {
        let mut subnet = Subnet::start();
        subnet.neuron("v", 8091, true);
        let miners = [subnet.neuron("m0", 9000, false), subnet.neuron("m1", 9000, false)];
        subnet.chain.blocks(AN_EPOCH);
        let epoch = subnet.settled(3, &[(miners[0], 65535), (miners[1], 1000)]);
        Self { subnet, miners, epoch: epoch.to_str().unwrap().to_owned() }
    }

    pub(super) fn weights<'a>(&'a self, wallet: &'a str) -> Vec<&'a str> {
        vec!["chain", "weights", &self.epoch, "--netuid", "1", "--wallet", wallet]
    }

    /// Weights of the validator, on a node between which and the chain something comes.
    #[track_caller]
    fn through(&self, tamper: Box<Tamper>, code: i32, mentions: &[&str]) {
        let node = tampered_node(self.subnet.chain.url(), tamper);
        self.subnet.run_on(&node, &self.weights("v")).expect(code, mentions);
    }

    fn signed(&self) -> usize {
        let journal = self.subnet.json(&["chain", "journal", "show"]);
        journal["signed"].as_array().unwrap().len()
    }
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn what_the_chain_would_refuse_is_not_signed() {
    let mut case = Case::new();
    let stranger = case.subnet.wallet("stranger");
    let refused = |case: &Case, wallet: &str, more: &[&str], mention: &str| {
        let arguments = [case.weights(wallet), more.to_vec()].concat();
        case.subnet.run(&arguments).expect(1, &[mention]);
        let dry = [arguments, vec!["--dry-run"]].concat();
        case.subnet.run(&dry).expect(1, &[mention]);
    };
    refused(&case, "stranger", &[], "HotKeyNotRegisteredInSubNet");
    refused(&case, "m0", &[], "NotEnoughStakeToSetWeights");
    refused(&case, "v", &["--method", "timelocked"], "CommitRevealDisabled");
    let other = [case.weights("v"), vec!["--mechanism", "9"]].concat();
    case.subnet.run(&other).expect(2, &["has no mechanism 9"]);
    let staked = json!([[[case.miners[0].to_string(), 1], 40_000_000_000_000_u64]]);
    case.subnet.chain.write(json!({ "SubtensorModule": { "TotalHotkeyAlpha": staked } }));
    refused(&case, "m0", &[], "NeuronNoValidatorPermit");
    case.subnet.rules(&[("WeightsVersionKey", json!(9)), ("MinAllowedWeights", json!(3))]);
    refused(&case, "v", &["--version-key", "8"], "IncorrectWeightVersionKey: 8 is below 9");
    refused(&case, "v", &[], "WeightVecLengthIsLow: 2 weights, at least 3");
    assert_eq!(case.signed(), 0);
    case.subnet.rules(&[("MinAllowedWeights", json!(1))]);
    case.subnet.run(&case.weights("v")).expect(0, &["set_weights"]);
    case.subnet.rules(&[("WeightsSetRateLimit", json!(100))]);
    refused(&case, "v", &[], "SettingWeightsTooFast");
    let keys = ["--netuid", "1", "--wallet", "stranger"];
    let register = [&["chain", "register"][..], &keys].concat();
    let dear = [&register[..], &["--max-burn", "1"]].concat();
    case.subnet.run(&dear).expect(1, &["registering costs 1000000000 rao, and 1 is the most"]);
    case.subnet.run(&register).expect(0, &[]);
    case.subnet.run(&register).expect(1, &["HotKeyAlreadyRegisteredInSubNet"]);
    let serve = [&["chain", "serve", "--address", "127.0.0.1:80"][..], &keys].concat();
    case.subnet.run(&serve).expect(1, &["InvalidIpAddress"]);
    case.subnet.run(&["chain", "metagraph", "--netuid", "7"]).expect(2, &["no subnet 7"]);
    assert_eq!(stranger.to_string().len(), 48);
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn an_epoch_is_signed_for_once() {
    let case = Case::new();
    case.subnet.run(&case.weights("v")).expect(0, &[]);
    // The same again is no second vector.
    case.subnet.run(&case.weights("v")).expect(0, &[]);
    let other = [(case.miners[0], 1), (case.miners[1], 65535)];
    case.subnet.settled(3, &other);
    case.subnet.run(&case.weights("v")).expect(1, &["other weights were signed"]);
    case.subnet.run(&[case.weights("v"), vec!["--recorded"]].concat()).expect(0, &[]);
    let before = case.subnet.settled(2, &other);
    let earlier = ["chain", "weights", before.to_str().unwrap(), "--netuid", "1", "--wallet", "v"];
    case.subnet.run(&earlier).expect(1, &["epoch 2 is over"]);
    assert_eq!(case.signed(), 1);
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn what_the_chain_does_not_take_is_named() {
    let mut case = Case::new();
    let poor = case.subnet.wallet("poor");
    // The coldkey has nothing any more.
    let coldkey = case.subnet.coldkey("poor");
    assert_ne!(coldkey, poor.to_string());
    case.subnet.chain.write(json!({ "System": { "Account": [[[coldkey], null]] } }));
    let register = ["chain", "register", "--netuid", "1", "--wallet", "poor"];
    case.subnet.run(&register).expect(1, &["the account cannot pay for it"]);
    // A number that was used.
    let stale = |request: &mut Value, answer: Option<&mut Value>| {
        if let Some(answer) = answer.filter(|_| request["method"] == "system_accountNextIndex") {
            answer["result"] = json!(0);
        }
    };
    case.through(Box::new(stale), 1, &["it is stale"]);
    // Refused by the node's pool, in its words.
    let refuses = |request: &mut Value, answer: Option<&mut Value>| match answer {
        None => {
            swallow(request);
        }
        Some(answer) if request["swallowed"] == true => {
            let data = "Custom error: 6";
            let error = json!({ "code": 1010, "message": "Invalid Transaction", "data": data });
            *answer = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
        }
        Some(_) => {}
    };
    case.through(Box::new(refuses), 1, &["RateLimitExceeded (custom error 6)"]);
    // Sent twice: the second time it is there, and that is as good.
    let twice = |request: &mut Value, answer: Option<&mut Value>| {
        if let Some(answer) = answer.filter(|_| request["method"] == "author_submitExtrinsic") {
            let error = json!({ "code": 1013, "message": "Transaction Already Imported" });
            *answer = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
        }
    };
    case.through(Box::new(twice), 0, &["set_weights"]);
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn a_node_that_is_not_the_right_one_is_refused() {
    let mut case = Case::new();
    let url = case.subnet.chain.url().to_owned();
    let status = ["chain", "status", "--genesis", &"11".repeat(32)];
    case.subnet.run(&status).expect(3, &[&url, "serves another chain: its first block is 0x4545"]);
    let slows = |request: &mut Value, answer: Option<&mut Value>| {
        if answer.is_some() && request["method"] == "chain_getFinalizedHead" {
            thread::sleep(Duration::from_secs(15));
        }
    };
    let node = tampered_node(&url, Box::new(slows));
    let status = ["chain", "status", "--timeout", "5"];
    let slow = "no answer to chain_getFinalizedHead within 5000 ms";
    case.subnet.run_on(&node, &status).expect(3, &[&node, slow]);
    let behind = [case.weights("v"), vec!["--max-age", "300"]].concat();
    case.subnet.run(&behind).expect(3, &["is behind: its last final block"]);
    assert_eq!(case.signed(), 0, "what an older block says is not even recorded");
    // Where another node has caught up, that one is asked.
    let first = case.subnet.chain.ask("chain_getBlockHash", json!([1]));
    let lags = move |request: &mut Value, answer: Option<&mut Value>| {
        if let Some(answer) = answer.filter(|_| request["method"] == "chain_getFinalizedHead") {
            answer["result"] = first.clone();
        }
    };
    let node = tampered_node(&url, Box::new(lags));
    let max_age = (case.subnet.chain.age() + 60).to_string();
    let more = ["--endpoint", &node, "--max-age", &max_age];
    let answer = case.subnet.run(&[case.weights("v"), more.to_vec()].concat());
    answer.expect(0, &[&node, "is behind: its last final block, 1,", "set_weights"]);
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn a_runtime_that_differs_is_refused_by_what_differs() {
    let case = Case::new();
    // `dests`, in the metadata's bytes.
    let renamed = |request: &mut Value, answer: Option<&mut Value>| {
        let Some(answer) = answer else { return };
        let metadata =
            request["params"][0].as_str().is_some_and(|name| name.starts_with("Metadata_"));
        if let Some(bytes) = answer["result"].as_str().filter(|_| metadata) {
            answer["result"] = json!(bytes.replace("6465737473", "6465737430"));
        }
    };
    case.through(Box::new(renamed), 3, &["expected `call SubtensorModule.set_weights(", "dest0"]);
    assert_eq!(case.signed(), 0);
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn an_upgrade_on_the_way_leaves_nothing_done() {
    let case = Case::new();
    // The transaction is lost, and the runtime is another from then on; the chain goes on.
    let sent = Arc::new(AtomicBool::new(false));
    let blocks = Arc::new(Mutex::new(0_u64));
    let upgrades = move |request: &mut Value, answer: Option<&mut Value>| match answer {
        None if swallow(request) => sent.store(true, Ordering::SeqCst),
        None if sent.load(Ordering::SeqCst) && request["method"] == "chain_getFinalizedHead" => {
            *blocks.lock().unwrap() += 1;
            request["asked"] = json!("dev_newBlock");
            request["method"] = json!("dev_newBlock");
            request["params"] = json!([{ "count": 16 }]);
        }
        Some(answer) if request["swallowed"] == true => answer["result"] = json!(hash()),
        Some(answer) if sent.load(Ordering::SeqCst) && request["params"][0] == "Core_version" => {
            let version = answer["result"].as_str().unwrap();
            // 424 and 425, the least significant byte first.
            answer["result"] = json!(version.replacen("a8010000", "a9010000", 1));
        }
        _ => {}
    };
    case.through(Box::new(upgrades), 3, &["changed its runtime from 424 to 425"]);
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn a_chain_that_stands_still_is_not_waited_for() {
    let mut case = Case::new();
    // The transaction is lost, and nobody else sends one.
    let lost = |request: &mut Value, answer: Option<&mut Value>| match answer {
        None => {
            swallow(request);
        }
        Some(answer) if request["swallowed"] == true => answer["result"] = json!(hash()),
        Some(_) => {}
    };
    let node = tampered_node(case.subnet.chain.url(), Box::new(lost));
    let max_age = (case.subnet.chain.age() + 20).to_string();
    let weights = [case.weights("v"), vec!["--max-age", &max_age]].concat();
    let said = ["set_weights", "was sent, and then: no node serves", "is behind: its last final"];
    case.subnet.run_on(&node, &weights).expect(3, &said);
}

/// Keeps a transaction from the node, which is asked its name instead; whether this is one.
fn swallow(request: &mut Value) -> bool {
    let transaction = request["method"] == "author_submitExtrinsic";
    if transaction {
        request["swallowed"] = json!(true);
        request["method"] = json!("system_chain");
        request["params"] = json!([]);
    }
    transaction
}

/// A transaction's hash, as a node answers it.
fn hash() -> String {
    format!("0x{}", "ab".repeat(32))
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn a_node_that_goes_is_followed_by_another() {
    let case = Case::new();
    // It goes when it has been handed the transaction, before it can say so.
    let goes = |request: &mut Value, answer: Option<&mut Value>| {
        if let Some(answer) = answer.filter(|_| request["method"] == "author_submitExtrinsic") {
            *answer = Value::Null;
        }
    };
    // The other one has it in a block by then, and calls it stale.
    let stale = |request: &mut Value, answer: Option<&mut Value>| {
        if let Some(answer) = answer.filter(|_| request["method"] == "author_submitExtrinsic") {
            let data = "Transaction is outdated";
            let error = json!({ "code": 1010, "message": "Invalid Transaction", "data": data });
            *answer = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
        }
    };
    let node = tampered_node(case.subnet.chain.url(), Box::new(goes));
    let other = tampered_node(case.subnet.chain.url(), Box::new(stale));
    // The node that goes is the first of the two.
    let arguments = [case.weights("v"), vec!["--endpoint", &node]].concat();
    let answer = case.subnet.run_on(&other, &arguments);
    answer.expect(0, &["set_weights", "a node does not serve"]);
    assert_eq!(case.signed(), 1);
}
