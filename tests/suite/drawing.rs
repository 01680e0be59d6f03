//! A benchmark of which each epoch's seed draws the rows that its evaluations are measured on.

use std::fs;
use std::path::{Path, PathBuf};

use dataforge_core::benchmark::Benchmark;
use dataforge_core::proof::check::Fault;
use dataforge_core::proof::{End, Measurement, Metrics, ProofFile, ScoreProof};
use dataforge_core::score;
use dataforge_core::spec::PinnedSpec;
use dataforge_node::benchmarks;
use dataforge_node::specs::Specs;
use dataforge_tests::{Answer, SEED, Short, proof_in};

use crate::bisecting::bisect;

const OTHER_SEED: &str = "0606060606060606060606060606060606060606060606060606060606060606";

const SPEC: &str = "short/1/spec.toml";

/// `short@1` in format 3: a seed draws 5 of the 12 rows.
fn pooled() -> Short {
    let checks = "margin_micronats = 50_000\n\n[checks]\nshape = { kind = \"pair\" }\n\
                  fuel_per_row = 20_000_000\n";
    let short = Short::new()
        .replacing(SPEC, "format = 1", "format = 3")
        .replacing(SPEC, "schema-1.0.0", "schema-2.0.0")
        .replacing(SPEC, "tokenizer-1.0.0", "tokenizer-2.0.0")
        .replacing(SPEC, "rows = 12\n", "rows = 12\ndrawn = 5\n")
        .replacing(SPEC, "margin_micronats = 50_000\n", checks);
    locked(short)
}

fn locked(short: Short) -> Short {
    Answer::of(short.program().args(["spec", "lock", "short@1"])).expect(0, &["short@1"]);
    short
}

fn opened(short: &Short) -> (PinnedSpec, Benchmark) {
    let pinned = Specs::at(short.scratch().path("specs")).load("short@1").unwrap();
    let benchmark = Short::golden_path("benchmark.jsonl");
    let benchmark = benchmarks::read(pinned.spec(), &benchmark).unwrap();
    (pinned, benchmark)
}

fn measured(proof: &mut ScoreProof) -> &mut Measurement {
    let training = proof.training.as_mut().unwrap();
    let End::Measured(measured) = &mut training.model.end else { panic!("it diverged") };
    measured
}

fn audit(short: &Short, proof: &Path, rows: &str) -> Answer {
    let mut command = short.program();
    command.args(["audit", "rows"]).arg(proof).args(["--rows", rows, "--dataset"]);
    command.arg(Short::golden_path("dataset.jsonl"));
    command.arg("--benchmark").arg(Short::golden_path("benchmark.jsonl"));
    Answer::of(command.arg("--states").arg(short.scratch().path("states")))
}

fn written(short: &Short, name: &str, proof: &ScoreProof) -> PathBuf {
    short.scratch().file(name, ProofFile::from(proof.clone()).to_bytes())
}

/// The second epoch's evaluation, what it says, and its proof.
fn second(short: &Short, earlier: &[&str]) -> (serde_json::Value, ScoreProof) {
    let path = short.scratch().path("second.proof");
    let mut command = short.program();
    command.arg("--json").arg("evaluate").arg(Short::golden_path("dataset.jsonl"));
    command.args(["--spec", "short@1", "--seed", OTHER_SEED, "--out"]).arg(&path);
    command.arg("--benchmark").arg(Short::golden_path("benchmark.jsonl"));
    command.arg("--states").arg(short.scratch().path("states"));
    for seed in earlier {
        command.args(["--earlier-seed", seed]);
    }
    let json = Answer::of(&mut command).expect(0, &[]).json();
    (json, proof_in(&fs::read(path).unwrap()))
}

#[test]
fn each_seed_measures_its_own_rows_and_every_audit_knows_which() {
    let short = pooled();
    Answer::of(short.program().args(["spec", "show", "short@1"]))
        .expect(0, &["12 rows of 4 candidates, of which each seed draws 5, root"]);
    let first = proof_in(&short.prove(short.program()));
    let path = short.scratch().path("short.proof");
    let (json, mut other) = second(&short, &[SEED]);

    let (spec, benchmark) = opened(&short);
    let [places, other_places] = [&first, &other].map(|proof| benchmark.places(&proof.inputs.seed));
    assert_eq!(places, [5, 7, 8, 9, 10], "as another implementation has it");
    assert_eq!(other_places, [1, 3, 6, 10, 11]);
    for proof in [&first, &other] {
        assert_eq!(proof.inputs.benchmark, spec.spec().benchmark.root, "of all rows");
        assert_eq!(proof.check_against(&spec), Ok(()));
        assert_eq!(proof.check_metrics(&benchmark), Ok(()));
    }
    Answer::of(Short::replay(&mut short.program(), &path, &Short::golden_path("dataset.jsonl")))
        .expect(0, &["holds"]);
    audit(&short, &path, "1,5").expect(0, &["holds     2 of 5 benchmark rows"]);
    audit(&short, &path, "6").expect(2, &["no benchmark row 6: there are 5"]);

    // Both seeds draw place 10; the others of the second were hidden until then. So few steps teach
    // nothing, and these rows less: no gate decides.
    let rows = measured(&mut other).rows.clone();
    let loss = |at: usize| {
        let right = benchmark.rows()[other_places[at]].answer as usize;
        score::choice_loss(&rows[at].log_probabilities, right)
    };
    let lift = score::unit(&spec.spec().score, 4).0 - score::mean([0, 1, 2, 4].map(loss)).0;
    let said = |name: &str| (json[name].as_f64().unwrap() * 1e6).round() as i64;
    assert!(lift < said("lift"), "{json}");
    assert_eq!((said("hidden"), &json["hidden_rows"]), (lift, &4.into()));
}

/// Results of rows that the seed does not draw, which a prover may like better.
#[test]
fn results_of_other_rows_are_refused() {
    let short = pooled();
    let honest = proof_in(&short.prove(short.program()));
    let path = short.scratch().path("short.proof");
    let (json, mut other) = second(&short, &[]);
    assert!(json.get("hidden").is_none(), "nothing was revealed");
    let (spec, benchmark) = opened(&short);

    // Those of another seed.
    let mut forged = honest.clone();
    *measured(&mut forged) = Measurement {
        final_state: measured(&mut honest.clone()).final_state,
        ..measured(&mut other).clone()
    };
    let training = forged.training.as_mut().unwrap();
    training.lift = training.lift_due(spec.spec());
    assert_eq!(forged.check_against(&spec), Ok(()), "as many, and as they sum up");
    assert!(matches!(forged.check_metrics(&benchmark), Err(Fault::Metrics { .. })));
    let swapped = written(&short, "swapped.proof", &forged);
    audit(&short, &swapped, "1").expect(1, &["metrics: they do not follow from the results"]);

    // Too many: as if all were measured.
    let mut forged = honest.clone();
    let rows = &mut measured(&mut forged).rows;
    rows.extend_from_within(..);
    assert!(matches!(
        forged.check_against(&spec),
        Err(Fault::RowCount { found: 10, committed: 5, .. })
    ));

    // One that is not drawn in the place of one that is, with the metrics that it gives.
    let mut forged = honest.clone();
    let answers: Vec<u32> =
        benchmark.measured(&honest.inputs.seed).iter().map(|row| row.answer).collect();
    let result = measured(&mut forged);
    result.rows[2] = measured(&mut other).rows[2].clone();
    let token_nll = result.metrics.token_nll;
    result.metrics = Metrics { token_nll, ..score::metrics(&result.rows, &answers, 1) };
    let training = forged.training.as_mut().unwrap();
    training.lift = training.lift_due(spec.spec());
    assert_eq!((forged.check_against(&spec), forged.check_metrics(&benchmark)), (Ok(()), Ok(())));
    let replaced = written(&short, "replaced.proof", &forged);
    audit(&short, &replaced, "2").expect(0, &["holds"]);
    audit(&short, &replaced, "3").expect(1, &["benchmark row 3: the proof says"]);

    // Who is right about a row, a sum of rows, or the reference's, is told from the drawn ones.
    let mut summed = honest.clone();
    measured(&mut summed).metrics.token_nll.0 -= 1;
    let mut reference = honest.clone();
    reference.training.as_mut().unwrap().baseline.token_nll.0 += 1;
    for (forged, place) in
        [(&forged, "benchmark row 3"), (&summed, "metrics"), (&reference, "baseline")]
    {
        let forged = written(&short, "forged.proof", forged);
        let [right, wrong] = [&path, &forged].map(|path| path.to_str().unwrap());
        let states = short.scratch().path("states");
        let json = bisect(&short, right, wrong, &states).expect(1, &[]).json();
        assert_eq!(json["place"], place, "{json}");
        let fault = |party: usize| json["parties"][party]["at_fault"].as_bool().unwrap();
        assert_eq!((fault(0), fault(1)), (false, true), "{json}");
    }
}

/// What the frozen blocks made of the whole benchmark serves each drawn row; the audit computes it
/// for that row alone.
#[test]
fn drawn_rows_score_alike_over_a_trunk() {
    let last = "{ kind = \"last-layers\", layers = 1 }";
    let short = locked(pooled().replacing(SPEC, "{ kind = \"full\" }", last));
    let proof = proof_in(&short.prove(short.program()));
    let (spec, benchmark) = opened(&short);
    assert_eq!(proof.check_against(&spec), Ok(()));
    assert_eq!(proof.check_metrics(&benchmark), Ok(()));
    audit(&short, &short.scratch().path("short.proof"), "5,1,3").expect(0, &["holds     3 of 5"]);
}
