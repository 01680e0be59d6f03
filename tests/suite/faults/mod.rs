//! Faults with names: what a dishonest prover may do, the cheapest audit that finds it, and what
//! that audit says.

mod prover;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dataforge_core::dataset::RawSubmission;
use dataforge_core::proof::{End, ProofFile, ScoreProof};
use dataforge_core::units::Micro;
use dataforge_tests::{Answer, Short, proof_in};
use prover::Prover;

use crate::bisecting::{Server, bisect};

/// What somebody did, and how it comes out.
struct Fault {
    name: &'static str,
    /// The forged proof; states that it commits to go into the folder.
    forge: fn(&Scene, &Path) -> ProofFile,
    /// The cheapest audit that finds it.
    audit: &'static [&'static str],
    /// What that says.
    says: &'static str,
    /// Where a bisection against an honest proof ends: the place, and the tensor at fault.
    place: Option<&'static str>,
}

const VERIFY: &[&str] = &["proof", "verify"];

const FAULTS: &[Fault] = &[
    Fault {
        name: "a wrong learning rate at one step",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            conduct.around = 41;
            conduct.step = Box::new(|step| match step.number {
                41 => step.take_by(|recipe| recipe.learning_rate_micro = Micro(2_000)),
                _ => step.take(),
            });
            scene.prover.prove(conduct, states).into()
        },
        audit: &["audit", "step", "--step", "41"],
        says: "step 41, state: the proof says",
        place: Some("step 41, embedding"),
    },
    Fault {
        name: "a skipped batch",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            conduct.around = 20;
            conduct.step = Box::new(|step| {
                let before = step.save();
                let loss = step.take();
                if step.number == 20 {
                    step.restore(&before);
                }
                loss
            });
            scene.prover.prove(conduct, states).into()
        },
        audit: &["audit", "step", "--step", "20"],
        says: "step 21, loss in micro-nats: the proof says",
        place: Some("step 21"),
    },
    Fault {
        name: "one bit flipped in one parameter",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            conduct.around = 31;
            conduct.step = Box::new(|step| {
                let loss = step.take();
                if step.number == 31 {
                    let mut tensors = step.save();
                    tensors[FLIPPED].elements[100] ^= 1;
                    step.restore(&tensors);
                }
                loss
            });
            scene.prover.prove(conduct, states).into()
        },
        audit: &["audit", "step", "--step", "31"],
        says: "step 31, state: the proof says",
        place: Some("step 31, layer.1.attention_norm"),
    },
    Fault {
        name: "training on the benchmark",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            let answered = scene.prover.answered();
            conduct.rows.splice(..answered.len(), answered);
            scene.prover.prove(conduct, states).into()
        },
        audit: &["audit", "step", "--step", "0"],
        says: "token plan: the proof says",
        place: Some("plan"),
    },
    Fault {
        name: "another model",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            for (_, values) in &mut conduct.initial {
                values[0] += 0.5;
            }
            scene.prover.prove(conduct, states).into()
        },
        audit: &["audit", "step", "--step", "0"],
        says: "initial state: the proof says",
        place: Some("initial state"),
    },
    Fault {
        name: "a fast-profile run sold as exact",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            conduct.fast = true;
            scene.prover.prove(conduct, states).into()
        },
        audit: &["audit", "step", "--step", "0"],
        says: "the proof says",
        place: Some("step "),
    },
    Fault {
        name: "a swapped benchmark row",
        forge: |scene, states| {
            let mut conduct = scene.prover.conduct();
            conduct.around = scene.steps() - 1;
            let mut proof = scene.prover.prove(conduct, states);
            let training = proof.training.as_mut().unwrap();
            let End::Measured(measured) = &mut training.model.end else { panic!("it diverged") };
            measured.rows.swap(2, 7);
            measured.metrics = scene.prover.metrics(&measured.rows);
            training.lift = scene.prover.lift(&measured.metrics);
            proof.into()
        },
        audit: &["audit", "rows", "--rows", "3"],
        says: "benchmark row 3: the proof says",
        place: Some("benchmark row 3"),
    },
    Fault {
        name: "a score changed after the fact",
        forge: |scene, _| {
            let mut proof = scene.honest.clone();
            proof.training.as_mut().unwrap().lift.0 += 1;
            proof.into()
        },
        audit: VERIFY,
        says: "lift: the metrics give",
        place: Some("lift"),
    },
    Fault {
        name: "a truncated run",
        forge: |scene, _| {
            let mut proof = scene.honest.clone();
            proof.training.as_mut().unwrap().model.steps.truncate(50);
            proof.into()
        },
        audit: VERIFY,
        says: "50 steps were taken of a plan of",
        place: Some("step 50"),
    },
    Fault {
        name: "a proof for another dataset",
        forge: |scene, _| {
            let mut proof = scene.honest.clone();
            proof.inputs.dataset = RawSubmission::split(b"{}").unwrap().digest();
            proof.into()
        },
        audit: &["audit", "step", "--step", "0"],
        says: "the proof is for dataset",
        place: None,
    },
    Fault {
        name: "replay of an old signature",
        forge: |scene, _| {
            let old = ProofFile::from_bytes(&Short::golden("signed.proof")).unwrap();
            ProofFile { proof: scene.honest.clone(), ..old }
        },
        audit: VERIFY,
        says: "signature",
        place: None,
    },
];

/// Of the tensors of a state, in order: the one in which a bit is flipped.
const FLIPPED: usize = 30;

/// An honest run, and who cheats beside it.
struct Scene {
    short: Short,
    path: PathBuf,
    honest: ScoreProof,
    prover: Prover,
}

/// What finding a fault took.
struct Found {
    steps: u64,
    took: Duration,
}

impl Scene {
    /// `short@1` with five steps an epoch, of which every second is committed to.
    fn of_epochs(epochs: u32) -> Self {
        let short = Short::of_epochs(epochs);
        let honest = proof_in(&short.prove(short.program()));
        let path = short.scratch().path("short.proof");
        let prover = Prover::new(&short, honest.clone());
        Self { short, path, honest, prover }
    }

    fn steps(&self) -> u32 {
        self.honest.training.as_ref().unwrap().model.plan.batches.count
    }

    /// An audit's answer, and how long it took.
    fn audit(&self, audit: &[&str], proof: &Path, states: &Path) -> (Answer, Duration) {
        let mut command = self.short.program();
        command.args(&audit[..2]).arg(proof).args(&audit[2..]).arg("--json");
        if audit[0] == "audit" {
            command.arg("--dataset").arg(Short::golden_path("dataset.jsonl"));
        }
        if audit[0] == "audit" && audit[1] != "replay" {
            command.arg("--states").arg(states);
        }
        if ["replay", "rows"].contains(&audit[1]) {
            command.arg("--benchmark").arg(Short::golden_path("benchmark.jsonl"));
        }
        let begun = Instant::now();
        (Answer::of(&mut command), begun.elapsed())
    }

    /// The fault is found and named by its audit, and its party convicted by a bisection.
    fn check(&self, fault: &Fault) -> Found {
        let folder = self.short.scratch().path("forged");
        let states = folder.join("states");
        let forged = (fault.forge)(self, &states);
        let proof = self.short.scratch().file("forged/forged.proof", forged.to_bytes());
        let (answer, took) = self.audit(fault.audit, &proof, &states);
        let json = answer.expect(1, &[]).json();
        let reason = json["reason"].as_str().unwrap();
        assert!(reason.contains(fault.says), "{}: {reason}", fault.name);
        if let Some(place) = fault.place {
            self.convict(place, &proof, &states);
        }
        fs::remove_dir_all(folder).unwrap();
        Found { steps: json["steps_taken"].as_u64().unwrap_or(0), took }
    }

    /// A bisection between two processes ends at `place`, with the forger at fault.
    fn convict(&self, place: &str, proof: &Path, states: &Path) {
        let honest = Server::of(&self.short, &self.path, states);
        let forger = Server::of(&self.short, proof, states);
        let json = bisect(&self.short, &honest.1, &forger.1, states).expect(1, &[]).json();
        let tensor = json["parties"][1]["first_false_tensor"].as_str().unwrap_or("none");
        let found = format!("{}, {tensor}", json["place"].as_str().unwrap());
        assert!(found.starts_with(place), "{json}");
        let fault = |party: usize| json["parties"][party]["at_fault"].as_bool().unwrap();
        assert_eq!((fault(0), fault(1)), (false, true), "{json}");
        // One question a level of the tree, and some at either end.
        let questions = json["questions"][1].as_u64().unwrap();
        assert!(questions <= 6 + 2 * u64::from(self.steps().ilog2() + 1), "{json}");
    }
}

#[test]
fn every_fault_is_found_by_its_audit_and_named() {
    let scene = Scene::of_epochs(12);
    let states = scene.short.scratch().path("states");
    let conduct = scene.prover.conduct();
    assert_eq!(scene.prover.prove(conduct, &states), scene.honest, "it could be honest");
    for fault in FAULTS {
        scene.check(fault);
    }
}

/// What each audit costs beside a replay, for a run of 300 steps: meant to be read.
#[test]
#[ignore = "takes minutes"]
fn the_table_of_faults() {
    let scene = Scene::of_epochs(60);
    let (answer, replay) = scene.audit(&["audit", "replay"], &scene.path, &scene.path);
    answer.expect(0, &[]);
    let total = scene.steps();
    println!(
        "| fault | found by | steps of {total} | time | of a replay's |\n|---|---|---|---|---|"
    );
    for fault in FAULTS {
        let Found { steps, took } = scene.check(fault);
        let share = 100.0 * took.as_secs_f64() / replay.as_secs_f64();
        let audit = fault.audit.join(" ");
        println!(
            "| {} | `{audit}` | {steps} | {:.2} s | {share:.0} % |",
            fault.name,
            took.as_secs_f64()
        );
    }
    println!(
        "replay: {:.2} s; proof: {} bytes",
        replay.as_secs_f64(),
        fs::metadata(&scene.path).unwrap().len()
    );
}
