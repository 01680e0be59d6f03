//! Two epochs with a party of every kind, and a folder of epochs for a test to change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dataforge_core::hash::{
    DatasetDigest, Digest, EpochSeed, Hasher, HotkeyId, ProofDigest, file_digest,
};
use dataforge_core::units::MicroNats;
use dataforge_node::epochs::read_rules;
use dataforge_settle::{
    Comparison, Event, Ledger, Lift, Outcome, Rao, Rules, Salt, Score, Script, Shared, What, settle,
};
use dataforge_tests::{Answer, Scratch, dataforge, root};

/// The golden epochs folder.
pub(super) fn golden() -> PathBuf {
    root().join("tests/golden/epochs")
}

/// A digest or key that stands for a name.
pub(super) fn named<D: Digest>(name: &str) -> D {
    let mut hasher = Hasher::new("dataforge/test/name/v1");
    hasher.update(name);
    hasher.finish()
}

/// Stakes in tokens.
const VALIDATORS: &[(&str, u64)] =
    &[("north", 5_000), ("east", 3_000), ("south", 2_000), ("west", 1_000), ("idle", 500)];

/// What a submission is, beside its lift in micro-nats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Honest,
    /// Two fifths of its rows are the first miner's.
    Padded,
    /// The first miner's dataset.
    Copy,
    /// Its lift could be chance.
    Chance,
    Rejected,
    Diverged,
    Hidden,
    /// What it reveals is not what it committed to.
    Swapped,
    /// One validator tells another score.
    Disputed,
    /// One validator tells two scores.
    Equivocal,
    /// One validator tells nothing.
    Unanswered,
}

const FIRST: &[(&str, Kind, i64)] = &[
    ("ada", Kind::Honest, 1_301_774),
    ("bob", Kind::Honest, 1_187_020),
    ("cyd", Kind::Unanswered, 1_154_309),
    ("dee", Kind::Disputed, 981_440),
    ("eve", Kind::Equivocal, 1_012_203),
    ("fay", Kind::Honest, 640_118),
    ("gil", Kind::Honest, 702_950),
    ("hal", Kind::Padded, 1_240_661),
    ("ivy", Kind::Copy, 1_301_774),
    ("jon", Kind::Honest, 31_007),
    ("kim", Kind::Chance, 88_410),
    ("leo", Kind::Honest, -240_393),
    ("mia", Kind::Rejected, 0),
    ("ned", Kind::Diverged, 0),
    ("oda", Kind::Hidden, 0),
    ("pia", Kind::Swapped, 0),
];

const SECOND: &[(&str, Kind, i64)] = &[
    ("ada", Kind::Honest, 1_322_018),
    ("bob", Kind::Honest, 1_205_663),
    ("quy", Kind::Honest, 870_551),
    ("dee", Kind::Honest, 1_110_092),
];

/// What an honest validator tells.
fn truth(epoch: u64, name: &str, kind: Kind, lift: i64) -> Score {
    let all = MicroNats(lift);
    let bound = if kind == Kind::Chance { MicroNats(-1_204) } else { MicroNats(lift - 20_000) };
    let outcome = match kind {
        Kind::Rejected => Outcome::Rejected,
        Kind::Diverged => Outcome::Diverged,
        _ => Outcome::Scored(Lift { all, hidden: MicroNats(lift - 4_000), bound }),
    };
    Score { proof: named(&format!("proof {epoch} {name}")), outcome }
}

/// Another score, that nobody computes who evaluates.
fn falsehood(epoch: u64, name: &str) -> Score {
    let all = MicroNats(1_499_999);
    let proof: ProofDigest = named(&format!("false proof {epoch} {name}"));
    Score { proof, outcome: Outcome::Scored(Lift { all, hidden: all, bound: all }) }
}

fn dataset(epoch: u64, name: &str) -> DatasetDigest {
    named(&format!("dataset {epoch} {name}"))
}

struct Stage<'a> {
    script: Script<'a>,
    epoch: u64,
}

impl Stage<'_> {
    fn submit(&mut self, name: &str, kind: Kind, after: u32) {
        let miner: HotkeyId = named(name);
        let own = dataset(self.epoch, name);
        let first = dataset(self.epoch, "ada");
        match kind {
            Kind::Copy => self.script.submit(miner, first, after),
            Kind::Hidden => {
                let at = self.script.times().start;
                self.script.push(at, What::Committed { miner, commitment: named("nothing") });
            }
            Kind::Swapped => {
                let at = self.script.times().start;
                self.script.push(at, What::Committed { miner, commitment: named("another") });
                self.script.submit(miner, own, after);
            }
            _ => self.script.submit(miner, own, after),
        }
        if kind == Kind::Padded {
            let most = Some(Shared { with: first, rows: 200 });
            self.script.compare(Comparison { dataset: own, rows: 500, own: 300, most });
        }
    }

    fn score(&mut self, name: &str, kind: Kind, lift: i64) {
        let (epoch, miner) = (self.epoch, named(name));
        let lottery = self.script.lottery().unwrap();
        let asked = self.script.asked(&lottery, miner);
        for (validators, audit) in asked.iter().zip([false, true]) {
            for (place, validator) in validators.iter().enumerate() {
                let first = place == 0 && !audit;
                let score = match kind {
                    Kind::Unanswered if first => continue,
                    Kind::Disputed if first => falsehood(epoch, name),
                    _ => truth(epoch, name, kind, lift),
                };
                // The later ones of a draw are late, more or less.
                let after = if audit { 10 } else { 400 * place as u32 };
                self.script.score(*validator, miner, Some(score), audit, after);
                if kind == Kind::Equivocal && first {
                    let (score, salt) = (Some(falsehood(epoch, name)), Salt(named("salt")));
                    let at = self.script.times().audited;
                    let validator = *validator;
                    self.script.push(at, What::ScoreRevealed { validator, miner, score, salt });
                }
            }
        }
    }
}

/// The events of both epochs, under these rules.
pub(super) fn events(rules: &Rules) -> Vec<Vec<Event>> {
    let mut ledger = Ledger::default();
    let mut all = Vec::new();
    for (epoch, miners) in (0..).zip([FIRST, SECOND]) {
        let seeds: [EpochSeed; 2] =
            ["seed", "audits"].map(|name| named(&format!("{name} {epoch}")));
        let script = Script::new(rules, &ledger, seeds[0], seeds[1]).unwrap();
        let mut stage = Stage { script, epoch };
        for (name, tokens) in VALIDATORS {
            stage.script.list(named(name), Rao(tokens * 1_000_000_000));
        }
        for (name, ..) in miners {
            stage.script.list(named(name), Rao(0));
        }
        for (after, (name, kind, _)) in (1..).zip(miners) {
            stage.submit(name, *kind, after);
        }
        for (name, kind, lift) in miners {
            let scored = !matches!(kind, Kind::Copy | Kind::Hidden | Kind::Swapped);
            if scored {
                stage.score(name, *kind, *lift);
            }
        }
        if epoch == 1 {
            let (name, kind, lift) = FIRST[3];
            let score = truth(0, name, kind, lift);
            stage.script.judge(dataforge_settle::Epoch(0), named(name), score);
        }
        let events = stage.script.finish();
        ledger = settle(rules, &ledger, &events).unwrap().ledger;
        all.push(events);
    }
    all
}

pub(super) fn golden_rules() -> Rules {
    read_rules(&golden().join("rules.toml")).unwrap()
}

/// A folder of epochs that a test may change: rules and events, nothing settled.
pub(super) struct Market(Scratch);

impl Market {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        for name in ["rules.toml", "0/events.jsonl", "1/events.jsonl"] {
            let bytes = fs::read(golden().join(name)).unwrap();
            let _ = scratch.file(&format!("epochs/{name}"), bytes);
        }
        Self(scratch)
    }

    /// With the first so many epochs settled.
    pub(super) fn settled(epochs: u64) -> Self {
        let market = Self::new();
        for epoch in 0..epochs {
            market.run(&format!("settle epochs/{epoch}")).expect(0, &["settlement"]);
        }
        market
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path("epochs").join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Changes a file.
    #[track_caller]
    pub(super) fn with(self, name: &str, change: impl FnOnce(String) -> String) -> Self {
        let before = self.read(name);
        let after = change(before.clone());
        assert!(before != after, "{name} was to be changed");
        fs::write(self.path(name), after).unwrap();
        self
    }

    /// Runs `dataforge` with these arguments beside the epochs folder.
    pub(super) fn run(&self, arguments: &str) -> Answer {
        let mut command = dataforge();
        command.args(arguments.split_whitespace()).current_dir(self.0.path(""));
        Answer::of(&mut command)
    }

    /// Fails unless `arguments` end so, and leave every file as it was.
    #[track_caller]
    pub(super) fn refuses(&self, arguments: &str, code: i32, mentions: &[&str]) {
        let before = self.files();
        self.run(arguments).expect(code, mentions);
        assert!(self.files() == before, "`{arguments}` was refused and wrote something");
    }

    /// The digest of every file.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let digest = file_digest(&fs::read(&path).unwrap());
                        files.insert(path, digest.to_string());
                    }
                }
            }
        }
        files
    }
}

/// Writes the golden epochs afresh: events, and all that settling makes of them.
pub(super) fn update() {
    for (epoch, events) in events(&golden_rules()).iter().enumerate() {
        let lines = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n");
        let folder = golden().join(epoch.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("events.jsonl"), lines.collect::<String>()).unwrap();
    }
    let market = Market::settled(2);
    for epoch in ["0", "1"] {
        for name in FILES {
            let name = format!("{epoch}/{name}");
            copy(&market.path(&name), &golden().join(&name));
        }
        let table = market.run(&format!("settle report epochs/{epoch}")).out;
        fs::write(golden().join(format!("{epoch}.txt")), table).unwrap();
    }
}

/// What settling writes.
pub(super) const FILES: &[&str] = &["weights.json", "report.html", "report.json", "ledger.json"];

fn copy(from: &Path, to: &Path) {
    fs::write(to, fs::read(from).unwrap()).unwrap();
}
