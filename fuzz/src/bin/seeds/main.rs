//! Writes what fuzzing starts from: `seeds FOLDER` fills `FOLDER/TARGET/`.
//!
//! Real files of the repository where there are some; else the smallest file that gets all the way
//! through its decoder, which is checked here, so that no seed goes stale unseen.

mod gguf;
mod npz;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use dataforge_chain::ids::{AccountId, Genesis, Uid};
use dataforge_chain::journal::Journal;
use dataforge_chain::timelock::{WeightsPayload, decrypt, encrypt};
use dataforge_chain::wallet::Keypair;
use dataforge_core::bisect::{Answer, List, Question};
use dataforge_core::codec;
use dataforge_core::proof::{ProofFile, ScoreProof, SignedOutline, Whose, row_tree};
use dataforge_core::state::{Checkpoint, SavedTensor, state_root};
use dataforge_evaluate::read_weights;
use dataforge_fuzz::beacon;
use dataforge_fuzz::small_model::{parameters, safetensors};
use dataforge_node::artifacts::{ArtifactLock, Derivation};
use dataforge_node::public_sets::{date_rows, icd_chapter_rows};
use dataforge_node::rows::Rows;
use dataforge_sandbox::CommandFault;
use libfuzzer_sys as _;

/// A target's name, a seed's name, its bytes.
type Seed = (&'static str, String, Vec<u8>);

fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).expect("seeds FOLDER");
    let seeds = [
        files(),
        messages(),
        checkpoints(),
        keys(),
        time_locked(),
        signed(),
        weights(),
        artifacts(),
        small(),
        trees(),
    ];
    for (target, name, bytes) in seeds.concat() {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(folder.join(name), bytes).expect("a file can be written");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of the repository: in which folder, with which ending, for which target.
const FILES: &[(&str, &str, &str)] = &[
    ("", "artifacts.lock", "locks"),
    ("eval-specs", "spec.lock", "locks"),
    ("eval-specs", "spec.toml", "spec"),
    ("eval-specs/kernels", "weekday-1.0.0.wasm", "guest"),
    ("runtime/graph/fixtures", ".onnx", "onnx"),
    ("runtime/node/fixtures", ".jsonl", "datasets"),
    ("runtime/node/fixtures", ".parquet", "datasets"),
    ("runtime/node/fixtures", ".zst", "datasets"),
    ("tests/golden/epochs/0", "events.jsonl", "events"),
    ("tests/golden/short", ".jsonl", "rows"),
    ("tests/golden", ".proof", "proof"),
    ("tests/golden", ".shown", "proof"),
    ("tests/golden", "spec.lock", "locks"),
    ("tests/golden", "spec.toml", "spec"),
];

fn files() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (folder, ending, target) in FILES {
        let mut found = Vec::new();
        let depth = if folder.is_empty() { 0 } else { 2 };
        below(&root().join(folder), depth, &mut found);
        found.retain(|path| path.to_string_lossy().ends_with(ending));
        assert!(!found.is_empty(), "{folder} has no {ending}");
        for path in found {
            let place = path.strip_prefix(root()).expect("below the root").to_string_lossy();
            let bytes = fs::read(&path).expect("a file of the repository");
            seeds.push((*target, place.replace(['/', '\\'], "-"), bytes));
        }
    }
    seeds
}

fn below(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            found.push(path);
        } else if depth > 0 {
            below(&path, depth - 1, found);
        }
    }
}

fn golden() -> ProofFile {
    let bytes = include_bytes!("../../../../tests/golden/short/signed.proof");
    ProofFile::from_bytes(bytes).expect("the golden proof")
}

/// Every kind of question about the golden proof, and what its maker answers.
fn messages() -> Vec<Seed> {
    let ProofFile { proof, signature } = golden();
    let run = &proof.training.as_ref().expect("it was trained").model;
    let rows = &run.measured().expect("it was measured").rows;
    let (tree, whose) = (row_tree(rows), Whose::Model);
    let half = rows.len().next_power_of_two() as u32 / 2;
    let children = [0..half, half..tree.leaves()].map(|half| tree.node(&half).expect("a node"));
    let questions = [
        Question::Outline,
        Question::Children { whose, list: List::Rows, leaves: 0..tree.leaves() },
        Question::Step { whose, step: 1 },
        Question::Row { whose, row: 2 },
        Question::State { whose: Whose::Control, taken: 4 },
    ];
    let outline = proof.outline();
    let answers = [
        Answer::Outline(Box::new(SignedOutline { outline, signature })),
        Answer::Children(children),
        Answer::Step(run.steps[1]),
        Answer::Row(rows[2].clone()),
        Answer::State(vec![[1; 32], [2; 32]]),
        Answer::Missing,
    ];
    let rejected = ScoreProof { training: None, ..proof };
    let questions = (0..).zip(&questions).map(|(n, q)| (format!("question-{n}"), codec::encode(q)));
    let answers = (0..).zip(&answers).map(|(n, a)| (format!("answer-{n}"), codec::encode(a)));
    let messages = questions.chain(answers).map(|(name, bytes)| ("bisect", name, bytes));
    let rejected = ("proof", "rejected".to_owned(), ProofFile::from(rejected).to_bytes());
    messages.chain([rejected]).collect()
}

/// A manifest of two tensors after the golden proof's steps.
fn checkpoints() -> Vec<Seed> {
    let tensor =
        |name: &str| SavedTensor { name: name.to_owned(), dims: vec![2, 1], elements: vec![0; 8] };
    let tensors = vec![tensor("embedding"), tensor("embedding.first")];
    let hashes: Vec<_> = tensors.iter().map(SavedTensor::hash).collect();
    let mut steps = golden().proof.training.expect("it was trained").model.steps;
    steps.last_mut().expect("a step").state = Some(state_root(&hashes));
    let manifest = Checkpoint { steps, tensors }.manifest();
    assert!(manifest.holds());
    vec![("checkpoint", "manifest".to_owned(), codec::encode(&manifest))]
}

/// The key of the seed of 32 bytes 01, which signed the golden proof.
fn keys() -> Vec<Seed> {
    let public = golden().signature.expect("it is signed").validator;
    let private = concat!(
        "0bdd6dbf4edf8925e8c128bc2ddd9ed555e36240ca30ca7633d80e18d177de0d",
        "b17a2a2cf3d4a41a8e4e18cc45c8656d558eceddb0adb46bfa088a5f53bed252"
    );
    let keys = format!(r#""publicKey":"0x{public}","privateKey":"0x{private}""#);
    let address = AccountId::from(public);
    let others = r#""secretPhrase":null,"secretSeed":"0x"#.to_owned() + &"01".repeat(32);
    let file = format!(r#"{{{keys},{others}","ss58Address":"{address}","cryptoType":1}}"#);
    assert!(Keypair::parse(Path::new("seed"), file.as_bytes()).is_ok());
    vec![("hotkey", "key".to_owned(), file.into_bytes())]
}

/// A commit of weights, the weights, and the signature that opens it.
fn time_locked() -> Vec<Seed> {
    let weights = WeightsPayload {
        hotkey: AccountId([1; 32]),
        uids: vec![Uid(0), Uid(3)],
        values: vec![65535, 21845],
        version_key: 0,
    };
    let weights = weights.to_bytes();
    let mut ones = |bytes: &mut [u8]| {
        bytes.fill(1);
        Ok(())
    };
    let commit = encrypt(&weights, beacon::ROUND, &mut ones).expect("it is short");
    assert_eq!(decrypt(&commit, &beacon::signature()).as_ref(), Ok(&weights));
    let commit = commit.as_bytes().to_vec();
    let seeds =
        [("commit", commit), ("weights", weights), ("signature", beacon::SIGNATURE.to_vec())];
    seeds.map(|(name, bytes)| ("timelock", name.to_owned(), bytes)).to_vec()
}

/// A document of two rows.
fn signed() -> Vec<Seed> {
    let row = |epoch: u64| {
        format!(
            "{{\"genesis\":\"{}\",\"netuid\":1,\"mechanism\":0,\"hotkey\":\"{}\",\"epoch\":{epoch},\
             \"weights\":[[0,65535],[3,21845]],\"version_key\":0,\"salt\":[1,2,3,4,5,6,7,8]}}",
            Genesis([1; 32]),
            AccountId([1; 32]),
        )
    };
    let rows = [row(7), row(8)].join(",\n");
    let text =
        format!("{{\"format\":\"dataforge-journal\",\"version\":1,\"signed\":[\n{rows}\n]}}\n");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [file, journal] = ["document", "journal.db"].map(|name| folder.path().join(name));
    fs::write(&file, &text).expect("a file can be written");
    let mut journal = Journal::create(&journal).expect("a journal can be made");
    assert_eq!(journal.import(&file).expect("the document is taken").added, 2);
    vec![("journal", "two-rows".to_owned(), text.into_bytes())]
}

fn weights() -> Vec<Seed> {
    let halves = |count: usize| vec![0.5; count];
    let plain = safetensors(|parameter| halves(parameter.shape.iter().product()));
    let files = [("safetensors", plain), ("f32.npz", npz::f32()), ("f16.npz", npz::f16())];
    let seed = |(name, bytes): (&str, Vec<u8>)| {
        let read = read_weights(&bytes, parameters());
        assert!(read.is_ok(), "{name}: {read:?}");
        ("weights", name.to_owned(), bytes)
    };
    files.into_iter().map(seed).collect()
}

const GLASSLLM: &str = r#"{"version": 1, "alphabet": ["a", "\n"], "merges": [["a", "a"]]}"#;

const MINILM: &str = concat!(
    r#"{"version":"1.0","truncation":{"max_length":128},"padding":{"pad_id":0},"added_tokens":[],"#,
    r#""normalizer":null,"pre_tokenizer":{},"post_processor":1,"decoder":2,"#,
    r#""model":{"vocab":{"b":0,"a":1}}}"#
);

const DATES: &str = concat!(
    r#"{"input": [{"role": "system", "content": "s"}, "#,
    r#"{"role": "user", "content": "1945-07-12"}], "ideal": "Thursday, July 12, 1945."}"#
);

const DIAGNOSES: &str = concat!(
    r#"<?xml version="1.0"?><ICD10CM.tabular><chapter><name>1</name><section id="A00">"#,
    "<diag><name>A00</name><desc>Cholera</desc><diag><name>A00.0</name><desc>Cholera due to\n ",
    "biovar &amp; &#65; <![CDATA[<x>]]></desc></diag></diag></section></chapter></ICD10CM.tabular>"
);

fn artifacts() -> Vec<Seed> {
    use Derivation as D;
    let derived = [
        ("glassllm.json", D::GlassllmTokenizerV1, GLASSLLM.as_bytes().to_vec()),
        ("minilm.json", D::MinilmTokenizerV1, MINILM.as_bytes().to_vec()),
        ("minilm.safetensors", D::MinilmSafetensorsV1, gguf::minilm()),
        ("model.gguf", D::GgufSafetensorsV1, gguf::model()),
        ("tokenizer.gguf", D::GgufTokenizerV1, gguf::tokenizer()),
    ];
    let seed = |(name, by, bytes): (&str, D, Vec<u8>)| {
        let result = by.apply(&bytes);
        assert!(result.is_ok(), "{name}: {result:?}");
        ("artifacts", name.to_owned(), bytes)
    };
    assert_eq!(date_rows(DATES.as_bytes()).map(|rows| rows.len()), Ok(1));
    assert_eq!(icd_chapter_rows(DIAGNOSES.as_bytes()).map(|rows| rows.len()), Ok(1));
    let sets = [("dates.jsonl", DATES), ("diagnoses.xml", DIAGNOSES)];
    let sets = sets.map(|(name, text)| ("artifacts", name.to_owned(), text.as_bytes().to_vec()));
    derived.into_iter().map(seed).chain(sets).collect()
}

/// A wheel with one member, and what is derived from it.
const LOCK: &str = r#"version = 1
[[wheel]]
package = "some-package"
version = "1.0"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
bytes = 10
licence = "MIT"
member = [{ name = "thing", path = "a/thing", bytes = 20, sha256 =
"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" }]
[[derived]]
name = "made"
from = "thing"
by = "glassllm-tokenizer-v1"
sha256 = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
bytes = 1
"#;

/// An array of two rows.
const ROWS: &[u8] = br#"[{"input": "a\"", "output": ["b"]},
{}]"#;

/// The same, compressed.
const ROWS_GZIP: &[u8] = b"\
    \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x8b\xaeV\xca\xcc+(-Q\xb2RPJ\x8cQR\xd2QP\xca/-\
    \x81\x08D+%)\xc5\xd6\xeapU\xd7\xc6\x02\x00\x12\xcf\x12\xbd'\x00\x00\x00";

/// A lock, two numbers for a spec, and two small datasets.
fn small() -> Vec<Seed> {
    assert_eq!(ArtifactLock::parse(LOCK).map(|lock| lock.all().count()), Ok(2));
    let lock = ("locks", "small".to_owned(), LOCK.as_bytes().to_vec());
    let datasets = [("array", ROWS), ("array-gzip", ROWS_GZIP)].map(|(name, bytes)| {
        let rows = Rows::from_reader(Path::new(name), Cursor::new(bytes)).expect("an array");
        assert_eq!(rows.filter(Result::is_ok).count(), 2);
        ("datasets", name.to_owned(), bytes.to_vec())
    });
    let numbers = ("spec", "numbers".to_owned(), vec![1; 10]);
    let faults = b"null\n{\"pointer\": \"/output\", \"reason\": \"not a Thursday\"}\n";
    assert!(CommandFault::read_lines(faults, 2).is_ok());
    let faults = ("checker", "faults".to_owned(), faults.to_vec());
    [vec![lock, numbers, faults], datasets.to_vec()].concat()
}

/// Sizes of trees, and which leaf is shown.
fn trees() -> Vec<Seed> {
    let sizes = [[0, 0], [1, 0], [11, 5], [200, 77]];
    let seed = |size: [u8; 2]| ("merkle", format!("{}-{}", size[0], size[1]), size.to_vec());
    sizes.into_iter().map(seed).collect()
}
