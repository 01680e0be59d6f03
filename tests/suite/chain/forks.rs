//! A block that another one takes the place of.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use dataforge_tests::{Answer, tampered_node};
use serde_json::{Value, json};

use super::refusals::Case;

/// More than the program takes to see a block.
const LONG: Duration = Duration::from_secs(120);

/// What is known between the node, which watches, and the test, which makes the fork.
#[derive(Default)]
struct Fork {
    /// The block that stays the last final one; none where finality goes on.
    held: Option<Value>,
    /// The transaction, once it was sent.
    sent: Option<Value>,
    /// Whether the program has read a block that has it.
    seen: bool,
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn a_transaction_in_a_block_that_was_replaced_is_looked_for_again() {
    let mut case = Case::new();
    let parent = case.subnet.chain.ask("chain_getBlockHash", json!([]));
    let fork = Fork { held: Some(parent.clone()), ..Fork::default() };
    let fork = Arc::new((Mutex::new(fork), Condvar::new()));
    let watched = fork.clone();
    let watches = move |request: &mut Value, answer: Option<&mut Value>| {
        let (mut fork, changed) = (watched.0.lock().unwrap(), &watched.1);
        let method = request["method"].as_str().unwrap();
        match answer {
            None if method == "author_submitExtrinsic" => {
                fork.sent = Some(request["params"][0].clone());
            }
            Some(answer) if method == "chain_getFinalizedHead" => {
                if let Some(held) = &fork.held {
                    answer["result"] = held.clone();
                }
            }
            Some(answer) if method == "chain_getBlock" => {
                let block = &answer["result"]["block"]["extrinsics"];
                let has = |sent: &Value| block.as_array().is_some_and(|all| all.contains(sent));
                fork.seen |= fork.sent.as_ref().is_some_and(has);
                changed.notify_all();
            }
            _ => {}
        }
    };
    let node = tampered_node(case.subnet.chain.url(), Box::new(watches));
    let weights = [case.weights("v"), vec!["--json"]].concat();
    let mut command = case.subnet.command(&node, &weights);
    let program = thread::spawn(move || Answer::of(&mut command));

    let seen = fork.1.wait_timeout_while(fork.0.lock().unwrap(), LONG, |fork| !fork.seen);
    let sent = seen.map(|(fork, _)| fork).unwrap().sent.clone().expect("it was sent");
    // Its block goes, another comes in its place, and the transaction is in the one after that.
    case.subnet.chain.ask("dev_setHead", json!([parent]));
    case.subnet.chain.blocks(1);
    case.subnet.chain.ask("author_submitExtrinsic", json!([sent]));
    fork.0.lock().unwrap().held = None;

    let answer = program.join().unwrap();
    answer.expect(0, &["a block was replaced"]);
    let receipt = &answer.json()["receipt"];
    let parent = case.subnet.chain.ask("chain_getHeader", json!([parent]));
    let parent = u64::from_str_radix(&parent["number"].as_str().unwrap()[2..], 16).unwrap();
    assert_eq!(receipt["block"], parent + 2);
    assert_eq!(receipt["finalized"], true);
}
