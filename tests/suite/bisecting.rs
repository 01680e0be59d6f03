//! Two proofs of the same inputs differ: who is wrong is found between two processes, by few
//! questions and few steps.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use dataforge_core::hash::StateRoot;
use dataforge_core::proof::{ProofFile, Run, ScoreProof};
use dataforge_core::units::MicroNats;
use dataforge_tests::{Answer, Short, proof_in};

use crate::auditing::proven;
use crate::verifying::{SIGNER, signed};

/// From one step on, all is as if something else had happened there.
fn forged(short: &Short, honest: &Path, from: usize) -> PathBuf {
    let mut proof: ScoreProof = proof_in(&std::fs::read(honest).unwrap());
    let run: &mut Run = &mut proof.training.as_mut().unwrap().model;
    for record in &mut run.steps[from..] {
        record.loss = MicroNats(record.loss.0 + 1);
        record.state = record.state.map(|_| StateRoot([record.step.0 as u8; 32]));
    }
    let state = run.steps.last().unwrap().state.unwrap();
    let dataforge_core::proof::End::Measured(measurement) = &mut run.end else { panic!() };
    measurement.final_state = state;
    short.scratch().file("forged.proof", ProofFile::from(proof).to_bytes())
}

/// A process that answers for a proof, and where.
pub(crate) struct Server(Child, pub(crate) String);

impl Server {
    pub(crate) fn of(short: &Short, proof: &Path, states: &Path) -> Self {
        let mut command = short.program();
        command.args(["audit", "serve"]).arg(proof);
        command.arg("--states").arg(states);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split([' ', ';']).find(|word| word.contains(':')).unwrap().to_owned();
        Self(child, address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn bisect(short: &Short, first: &str, second: &str, states: &Path) -> Answer {
    let mut command = short.program();
    command.args(["audit", "bisect", first, second, "--json", "--dataset"]);
    command.arg(Short::golden_path("dataset.jsonl"));
    command.arg("--benchmark").arg(Short::golden_path("benchmark.jsonl"));
    Answer::of(command.arg("--states").arg(states))
}

#[test]
fn the_party_at_fault_is_convicted_between_two_processes() {
    let short = Short::of_epochs(12);
    let (honest, states) = (proven(&short), short.scratch().path("states"));
    let forged = signed(&short, &forged(&short, &honest, 41));
    let [right, wrong] = [&honest, &forged].map(|proof| Server::of(&short, proof, &states));
    for swap in [false, true] {
        let [first, second] = if swap { [&wrong.1, &right.1] } else { [&right.1, &wrong.1] };
        let json = bisect(&short, first, second, &states).expect(1, &[]).json();
        assert_eq!(json["place"], "step 41", "{json}");
        let fault = |party: usize| json["parties"][party]["at_fault"].as_bool().unwrap();
        assert_eq!((fault(0), fault(1)), (swap, !swap), "{json}");
        let [honest, liar] = if swap { [1, 0] } else { [0, 1] };
        assert!(json["parties"][honest]["signer"].is_null(), "{json}");
        assert_eq!(json["parties"][liar]["signer"], SIGNER);
        assert!(json["steps_taken"].as_u64().unwrap() <= 2, "{json}");
        for questions in json["questions"].as_array().unwrap() {
            assert!(questions.as_u64().unwrap() <= 2 + 2 * 6 + 6, "{json}");
        }
    }
    // A file and a process, and nothing in dispute.
    let json = bisect(&short, honest.to_str().unwrap(), &right.1, &states).expect(0, &[]).json();
    assert_eq!(json["same"], true);
}

#[test]
fn proofs_of_other_inputs_are_not_in_dispute() {
    let short = Short::new();
    let golden = Short::golden_path("short.proof");
    let mut proof = proof_in(&Short::golden("short.proof"));
    proof.inputs.seed = dataforge_core::hash::EpochSeed([9; 32]);
    let other = short.scratch().file("other.proof", ProofFile::from(proof).to_bytes());
    let [golden, other] = [&golden, &other].map(|path| path.to_str().unwrap());
    let states = short.scratch().path("states");
    let answer = bisect(&short, golden, other, &states);
    answer.expect(2, &["not of the same spec"]);
    bisect(&short, golden, "127.0.0.1:1", &states).expect(2, &["127.0.0.1:1"]);
}
