//! A subnet on the development chain, with keys of our own.

use std::path::PathBuf;
use std::process::Command;

use dataforge_chain::ids::AccountId;
use dataforge_core::hash::HotkeyId;
use dataforge_settle::{Epoch, Report};
use dataforge_tests::{Answer, Devchain, Scratch, dataforge, root};
use serde_json::{Value, json};

/// What an account has that can pay.
const BALANCE: u64 = 1_000_000_000_000;

/// What a validator has staked.
const STAKE: u64 = 40_000_000_000_000;

/// Seconds without a block after which the program gives up.
const STANDSTILL: u64 = 300;

/// Blocks from one epoch to the next, and one more.
pub(super) const AN_EPOCH: u32 = 11;

pub(super) struct Subnet {
    pub(super) chain: Devchain,
    pub(super) scratch: Scratch,
    /// The chain's clock begins with its first block. Where it stands still, no test waits long.
    max_age: String,
}

impl Subnet {
    pub(super) fn start() -> Self {
        let mut chain = Devchain::start();
        let max_age = (chain.age() + STANDSTILL).to_string();
        let subnet = Self { chain, scratch: Scratch::new(), max_age };
        subnet.run(&["chain", "journal", "init"]).expect(0, &["made"]);
        subnet
    }

    /// A run of the program on this chain, with wallets and state of its own.
    pub(super) fn run(&self, arguments: &[&str]) -> Answer {
        self.run_on(self.chain.url(), arguments)
    }

    /// As [`Self::run`], through another node.
    pub(super) fn run_on(&self, endpoint: &str, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command(endpoint, arguments))
    }

    /// What [`Self::run_on`] runs.
    pub(super) fn command(&self, endpoint: &str, arguments: &[&str]) -> Command {
        let mut command = dataforge();
        command.env("DATAFORGE_HOME", self.scratch.path("home"));
        command.env("HOME", self.scratch.path("user")).args(arguments);
        if arguments[0] == "chain" {
            command.args(["--network", "local", "--endpoint", endpoint, "--tries", "1"]);
            if !arguments.contains(&"--max-age") {
                command.args(["--max-age", &self.max_age]);
            }
        }
        command
    }

    /// The same, as one JSON object.
    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).expect(0, &[]).json()
    }

    /// Makes a wallet whose coldkey can pay.
    pub(super) fn wallet(&mut self, name: &str) -> AccountId {
        let made = self.json(&["wallet", "new", "--wallet", name, "--unencrypted-coldkey"]);
        let address = |kind: &str| made[kind]["address"].as_str().unwrap().to_owned();
        let account =
            json!([[address("coldkey")], { "providers": 1, "data": { "free": BALANCE } }]);
        self.chain.write(json!({ "System": { "Account": [account] } }));
        address("hotkey").parse().unwrap()
    }

    /// The address of a wallet's coldkey.
    pub(super) fn coldkey(&self, wallet: &str) -> String {
        let file = self.scratch.path(&format!("user/.bittensor/wallets/{wallet}/coldkeypub.txt"));
        let public: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        public["ss58Address"].as_str().unwrap().to_owned()
    }

    /// A wallet whose hotkey is registered and served; with stake, if it is a validator's.
    pub(super) fn neuron(&mut self, name: &str, port: u16, validator: bool) -> AccountId {
        let hotkey = self.wallet(name);
        let keys = ["--netuid", "1", "--wallet", name];
        self.run(&[&["chain", "register"][..], &keys].concat()).expect(0, &["burned_register"]);
        let address = format!("8.8.8.8:{port}");
        let serve = [&["chain", "serve", "--address", &address][..], &keys].concat();
        self.run(&serve).expect(0, &["serve_axon", "final"]);
        if validator {
            self.chain.write(json!({
                "SubtensorModule": { "TotalHotkeyAlpha": [[[hotkey.to_string(), 1], STAKE]] }
            }));
        }
        hotkey
    }

    /// The folder of a settled epoch, which has come to these weights.
    pub(super) fn settled(&self, epoch: u64, weights: &[(AccountId, u16)]) -> PathBuf {
        let golden = std::fs::read(root().join("tests/golden/epochs/0/report.json")).unwrap();
        let golden: Value = serde_json::from_slice(&golden).unwrap();
        let mut report: Report = serde_json::from_value(golden["report"].clone()).unwrap();
        report.epoch = Epoch(epoch);
        report.weights = weights.iter().map(|(key, weight)| (HotkeyId(key.0), *weight)).collect();
        let document = json!({ "digest": report.digest(), "report": report });
        let file = self.scratch.file(&format!("epochs/{epoch}/report.json"), document.to_string());
        file.parent().unwrap().to_owned()
    }

    pub(super) fn metagraph(&self) -> Value {
        self.json(&["chain", "metagraph", "--netuid", "1"])
    }

    /// Of each key, its part of what miners earn.
    pub(super) fn incentives(&self, keys: &[AccountId]) -> Vec<u64> {
        let metagraph = self.metagraph();
        let neurons = metagraph["neurons"].as_array().unwrap();
        let incentive = |key: &AccountId| {
            let neuron = neurons.iter().find(|neuron| neuron["hotkey"] == key.to_string());
            neuron.unwrap()["incentive"].as_u64().unwrap()
        };
        keys.iter().map(incentive).collect()
    }

    /// Makes blocks until an epoch has just begun.
    pub(super) fn begin_epoch(&mut self) {
        let metagraph = self.metagraph();
        let next = metagraph["schedule"]["next_epoch_block"].as_u64().unwrap();
        let left = next - metagraph["block"].as_u64().unwrap();
        self.chain.blocks(u32::try_from(left).unwrap() + 1);
    }

    /// Writes hyper-parameters of the subnet.
    pub(super) fn rules(&mut self, values: &[(&str, Value)]) {
        let entries =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!([[[1], value]])));
        let entries: serde_json::Map<_, _> = entries.collect();
        self.chain.write(json!({ "SubtensorModule": entries }));
    }
}

/// Of 65535, the parts that these weights are of their sum.
pub(super) fn parts(weights: &[u16]) -> Vec<u64> {
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    weights.iter().map(|weight| u64::from(*weight) * 65535 / total).collect()
}

/// Whether numbers are equal but for what rounding does.
#[track_caller]
pub(super) fn about(found: &[u64], expect: &[u64]) {
    let near = found.iter().zip(expect).all(|(found, expect)| found.abs_diff(*expect) <= 8);
    assert!(near && found.len() == expect.len(), "{found:?} is not about {expect:?}");
}
