//! A market on the development chain, from nothing: three validators and five miners register and
//! are served; weights are set at once, by a time lock, and by hash and reveal; incentives follow.

use serde_json::{Value, json};

use super::subnet::{AN_EPOCH, Subnet, about, parts};

/// A round of the beacon that was signed long ago, and its signature.
const ROUND: u64 = 1000;
const SIGNATURE: &str = "0xb44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125\
                         e342b73a8dd2bacbe47e4b6b63ed5e39";

const VALIDATORS: [&str; 3] = ["v0", "v1", "v2"];
const MINERS: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn weights_reach_the_chain_and_incentives_follow() {
    let mut subnet = Subnet::start();
    let ports = 8091..;
    for (name, port) in VALIDATORS.iter().zip(ports) {
        subnet.neuron(name, port, true);
    }
    let miners: Vec<_> = MINERS.iter().map(|name| subnet.neuron(name, 9000, false)).collect();
    subnet.run(&["chain", "status"]).expect(0, &["runtime   424, with the expected shapes"]);
    let wallets = subnet.run(&["wallet", "show"]);
    assert!(VALIDATORS.iter().all(|name| wallets.out.contains(name)), "{wallets:?}");
    let metagraph = subnet.metagraph();
    assert_eq!(metagraph["neurons"].as_array().unwrap().len(), 8);
    assert_eq!(metagraph["neurons"][1]["axon"], "8.8.8.8:8092");
    // Permits are given by an epoch.
    subnet.chain.blocks(AN_EPOCH);

    // At once.
    let set = [65535, 40000, 20000, 10000, 5000];
    let weights: Vec<_> = miners.iter().copied().zip(set).collect();
    let epoch = subnet.settled(0, &weights);
    let dry = send(&subnet, epoch.to_str().unwrap(), "v0", &["--dry-run"]);
    assert_eq!(dry["method"], "set");
    assert_eq!(dry["weights"].as_array().unwrap().len(), 5);
    for name in VALIDATORS {
        let sent = send(&subnet, epoch.to_str().unwrap(), name, &[]);
        assert_eq!(sent["receipt"]["call"], "SubtensorModule.set_weights");
        assert_eq!(sent["receipt"]["finalized"], true);
    }
    subnet.chain.blocks(AN_EPOCH);
    about(&subnet.incentives(&miners), &parts(&set));

    // By a time lock, which the chain opens once it has the round's signature.
    subnet.rules(&[("CommitRevealWeightsEnabled", json!(true))]);
    let locked = [5000, 10000, 20000, 40000, 65535];
    let weights: Vec<_> = miners.iter().copied().zip(locked).collect();
    let epoch = subnet.settled(1, &weights);
    for name in VALIDATORS {
        let sent = send(&subnet, epoch.to_str().unwrap(), name, &["--reveal-round", "1000"]);
        assert_eq!(sent["receipt"]["call"], "SubtensorModule.commit_timelocked_weights");
        assert_eq!(sent["reveal_round"], ROUND);
    }
    about(&subnet.incentives(&miners), &parts(&set));
    let pulse = json!({ "round": ROUND, "randomness": "0x", "signature": SIGNATURE });
    subnet.chain.write(json!({ "Drand": { "Pulses": [[[ROUND], pulse]] } }));
    subnet.chain.blocks(3 * AN_EPOCH);
    about(&subnet.incentives(&miners), &parts(&locked));

    // By hash and reveal, as subnets did before.
    subnet.begin_epoch();
    let hashed = [30000, 30000, 65535, 30000, 30000];
    let weights: Vec<_> = miners.iter().copied().zip(hashed).collect();
    let epoch = subnet.settled(2, &weights);
    for name in VALIDATORS {
        let sent = send(&subnet, epoch.to_str().unwrap(), name, &["--method", "hashed"]);
        assert_eq!(sent["receipt"]["call"], "SubtensorModule.commit_weights");
        let reveal = ["chain", "reveal", "--epoch", "2", "--netuid", "1", "--wallet", name];
        subnet.run(&reveal).expect(1, &["CommitBlockNotInRevealRange"]);
    }
    subnet.begin_epoch();
    for name in VALIDATORS {
        let reveal = ["chain", "reveal", "--epoch", "2", "--netuid", "1", "--wallet", name];
        subnet.run(&reveal).expect(0, &["reveal_weights"]);
    }
    subnet.chain.blocks(AN_EPOCH);
    about(&subnet.incentives(&miners), &parts(&hashed));

    // The journal has all of it.
    let journal = subnet.json(&["chain", "journal", "show"]);
    assert_eq!(journal["signed"].as_array().unwrap().len(), 9);
    assert_eq!(journal["head"]["rows"], 9);
}

/// Pays an epoch as a validator; answers what the program says.
#[track_caller]
fn send(subnet: &Subnet, epoch: &str, wallet: &str, more: &[&str]) -> Value {
    let arguments = ["chain", "weights", epoch, "--netuid", "1", "--wallet", wallet];
    subnet.json(&[&arguments[..], more].concat())
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn mechanisms_have_weights_of_their_own() {
    let mut subnet = Subnet::start();
    subnet.rules(&[("MechanismCountCurrent", json!(2))]);
    subnet.neuron("v", 8091, true);
    let miners = [subnet.neuron("m0", 9000, false), subnet.neuron("m1", 9000, false)];
    subnet.chain.blocks(AN_EPOCH);
    let epoch = subnet.settled(0, &[(miners[0], 65535), (miners[1], 21845)]);
    let more = ["--mechanism", "1"];
    let sent = send(&subnet, epoch.to_str().unwrap(), "v", &more);
    assert_eq!(sent["receipt"]["call"], "SubtensorModule.set_mechanism_weights");
    subnet.chain.blocks(AN_EPOCH);
    assert_eq!(subnet.incentives(&miners), [0, 0]);
    let other = subnet.json(&["chain", "metagraph", "--netuid", "1", "--mechanism", "1"]);
    let found: Vec<_> =
        (1..3).map(|uid| other["neurons"][uid]["incentive"].as_u64().unwrap()).collect();
    about(&found, &parts(&[65535, 21845]));
}

#[test]
#[ignore = "needs Node.js and Debian's rustc-web"]
fn a_pledge_is_on_chain() {
    let mut subnet = Subnet::start();
    let key = subnet.neuron("v", 8091, true).to_string();
    let (spec, root) = ("11".repeat(32), "22".repeat(32));
    let commit = ["chain", "commit", "--netuid", "1", "--wallet", "v", "--spec", &spec];
    let commit = [&commit[..], &["--epoch", "7", "--proofs", &root]].concat();
    subnet.run(&commit).expect(0, &["set_commitment", "final"]);
    let pledge = subnet.json(&["chain", "pledge", "--netuid", "1", &key]);
    assert_eq!(pledge["pledge"]["epoch"], 7);
    assert_eq!(pledge["pledge"]["spec"], spec);
    assert_eq!(pledge["pledge"]["proofs"], root);
}
