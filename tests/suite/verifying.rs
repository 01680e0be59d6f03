//! What can be said of a proof without an engine: by `proof verify`, and by the verifier in Python.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataforge_core::codec;
use dataforge_core::hash::{EpochSeed, file_digest};
use dataforge_core::proof::{Disclosure, ProofFile, ScoreProof};
use dataforge_core::random::SeedStream;
use dataforge_tests::{Answer, Short, proof_in, root};

/// The key of the seed of 32 bytes 01, in a wallet's file.
pub(crate) const SIGNER: &str = "189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056";
const SECRET: &str = "0bdd6dbf4edf8925e8c128bc2ddd9ed555e36240ca30ca7633d80e18d177de0d\
                      b17a2a2cf3d4a41a8e4e18cc45c8656d558eceddb0adb46bfa088a5f53bed252";

fn hotkey(short: &Short) -> PathBuf {
    let json = format!(r#"{{"publicKey":"0x{SIGNER}","privateKey":"0x{SECRET}","cryptoType":1}}"#);
    let path = short.scratch().file("hotkey", json);
    only_the_owner(&path);
    path
}

#[cfg(unix)]
pub(crate) fn only_the_owner(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn only_the_owner(_: &Path) {}

/// A proof, signed by [`SIGNER`].
pub(crate) fn signed(short: &Short, proof: &Path) -> PathBuf {
    let path = short.scratch().path("signed.proof");
    let mut command = short.program();
    command.args(["proof", "sign"]).arg(proof);
    command.arg("--hotkey").arg(hotkey(short)).arg("--out").arg(&path);
    Answer::of(&mut command).expect(0, &["signed"]);
    path
}

fn golden_signed(short: &Short) -> PathBuf {
    signed(short, &Short::golden_path("short.proof"))
}

fn verify(short: &Short, proof: &Path, arguments: &[&str]) -> Answer {
    Answer::of(short.program().args(["proof", "verify"]).arg(proof).args(arguments))
}

#[test]
fn a_signed_proof_is_verified_and_replayed() {
    let short = Short::new();
    let proof = golden_signed(&short);
    let digest = String::from_utf8(Short::golden("short.digest")).unwrap();
    let mentions = [digest.trim(), SIGNER, "short@1", "not checked"];
    verify(&short, &proof, &["--signer", SIGNER]).expect(0, &mentions);
    let benchmark = Short::golden_path("benchmark.jsonl");
    let answer = verify(&short, &proof, &["--json", "--benchmark", benchmark.to_str().unwrap()]);
    let json = answer.expect(0, &[]).json();
    assert_eq!((&json["holds"], &json["metrics_checked"]), (&true.into(), &true.into()));
    assert_eq!(json["signer"], SIGNER);
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut short.program(), &proof, &dataset)).expect(0, &["holds"]);
    Answer::of(short.program().args(["proof", "show"]).arg(&proof)).expect(0, &[SIGNER]);
}

#[test]
fn an_evaluation_signs_its_proof() {
    let short = Short::new();
    let path = short.scratch().path("own.proof");
    let mut program = short.program();
    let command = Short::evaluate(&mut program, &Short::golden_path("dataset.jsonl"), &path);
    Answer::of(command.arg("--hotkey").arg(hotkey(&short))).expect(0, &["scored"]);
    verify(&short, &path, &["--signer", SIGNER]).expect(0, &["holds"]);
    // The same proof, whoever signs.
    assert_eq!(proof_in(&fs::read(path).unwrap()), proof_in(&Short::golden("short.proof")));
}

#[test]
fn a_proof_without_the_signature_asked_for_is_refused() {
    let short = Short::new();
    let golden = Short::golden_path("short.proof");
    verify(&short, &golden, &[]).expect(0, &["signed by nobody"]);
    verify(&short, &golden, &["--signer", SIGNER]).expect(1, &["short.proof", "is not signed"]);
    let other = SIGNER.replace("18", "19");
    verify(&short, &golden_signed(&short), &["--signer", &other]).expect(1, &["signed, not 19"]);
}

/// An old signature under a proof that was changed afterwards.
#[test]
fn a_signature_of_another_proof_is_refused_by_every_command() {
    let short = Short::new();
    let mut file = ProofFile::from_bytes(&fs::read(golden_signed(&short)).unwrap()).unwrap();
    file.proof.inputs.seed = EpochSeed([3; 32]);
    let path = short.scratch().file("replayed.proof", file.to_bytes());
    let mention = ["replayed.proof", "signature: it is not validator"];
    verify(&short, &path, &[]).expect(1, &mention);
    Answer::of(short.program().args(["proof", "show"]).arg(&path)).expect(1, &mention);
    let dataset = Short::golden_path("dataset.jsonl");
    Answer::of(Short::replay(&mut short.program(), &path, &dataset)).expect(1, &mention);
    let json = verify(&short, &path, &["--json"]).expect(1, &[]).json();
    assert_eq!(json["holds"], false);
}

#[test]
fn a_lift_changed_after_the_fact_needs_no_replay() {
    let short = Short::new();
    let mut proof = proof_in(&Short::golden("short.proof"));
    proof.training.as_mut().unwrap().lift.0 += 1;
    let path = short.scratch().file("raised.proof", ProofFile::from(proof).to_bytes());
    verify(&short, &path, &[]).expect(1, &["raised.proof", "lift: the metrics give"]);
}

#[test]
fn a_key_that_others_may_read_signs_nothing() {
    let short = Short::new();
    let open = short.scratch().file("open", fs::read(hotkey(&short)).unwrap());
    let sign = |key: &Path| {
        let mut command = short.program();
        command.args(["proof", "sign"]).arg(Short::golden_path("short.proof"));
        Answer::of(command.arg("--hotkey").arg(key).arg("--out").arg(short.scratch().path("none")))
    };
    sign(&open).expect(2, &["open", "may be read by others"]);
    let garbage = short.scratch().file("garbage", "{}");
    only_the_owner(&garbage);
    sign(&garbage).expect(2, &["garbage is not a key"]);
    assert!(fs::metadata(short.scratch().path("none")).is_err());
}

/// What the program's own code makes of a file: the digest, if it holds, and which part is shown.
fn ours(file: &[u8]) -> Option<String> {
    if Disclosure::is_one(file) {
        let part = Disclosure::from_bytes(file).ok()?;
        part.verify().ok()?;
        return Some(format!("{} {}", part.signed.outline.digest(), part.shown));
    }
    let file = ProofFile::from_bytes(file).ok()?;
    file.proof.check().ok()?;
    file.signer().ok()?;
    Some(file.proof.digest().to_string())
}

/// What the verifier in Python makes of files, in order.
fn in_python(files: &[Vec<u8>]) -> Vec<Option<String>> {
    let script = root().join("tools/verifier/dataforge_proof.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("--batch").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<String> = files.iter().map(hex::encode).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.join("\n").as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = |line: &str| (!line.starts_with("refused: ")).then(|| line.to_owned());
    text.lines().map(answer).collect()
}

/// The header of a golden file over a body that was changed.
fn sealed(golden: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u64).to_le_bytes();
    [&golden[..10], &length, &file_digest(body).0, body].concat()
}

/// One to three bytes changed, removed or put in, where the stream says.
fn mutated(body: &[u8], random: &mut SeedStream) -> Vec<u8> {
    let mut body = body.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(body.len() as u64) as usize;
        let byte = random.below(256) as u8;
        match random.below(4) {
            0 => body[at] ^= 1 << random.below(8),
            1 => body[at] = byte,
            2 => drop(body.remove(at)),
            _ => body.insert(at, byte),
        }
    }
    body
}

#[test]
fn two_verifiers_agree_on_ten_thousand_mutated_proofs() {
    let whole = Short::golden("short.proof");
    let body = &whole[50..];
    let mut random = SeedStream::new(&EpochSeed([7; 32]), "mutated proofs");
    let mut files = vec![whole.clone(), sealed(&whole, body)];
    files.extend((0..9_000).map(|_| sealed(&whole, &mutated(body, &mut random))));
    files.extend((0..1_000).map(|_| mutated(&whole, &mut random)));
    let ours: Vec<_> = files.iter().map(|file| ours(file)).collect();
    assert_eq!(
        ours[0].as_deref(),
        String::from_utf8(Short::golden("short.digest")).unwrap().lines().next()
    );
    for ((file, ours), theirs) in files.iter().zip(&ours).zip(in_python(&files)) {
        assert_eq!(*ours, theirs, "{}", hex::encode(file));
    }
    // Neither side may owe its agreement to refusing everything.
    let accepted = ours.iter().flatten().count();
    assert!((1_000..9_000).contains(&accepted), "{accepted}");
}

const PARTS: [&str; 4] = ["step.shown", "result.shown", "dataset-row.shown", "benchmark-row.shown"];

#[test]
fn two_verifiers_agree_on_mutated_parts() {
    let mut random = SeedStream::new(&EpochSeed([8; 32]), "mutated parts");
    let mut files = vec![];
    for part in PARTS {
        let whole = Short::golden(part);
        files.push(whole.clone());
        files.extend((0..500).map(|_| sealed(&whole, &mutated(&whole[50..], &mut random))));
    }
    let ours: Vec<_> = files.iter().map(|file| ours(file)).collect();
    for ((file, ours), theirs) in files.iter().zip(&ours).zip(in_python(&files)) {
        assert_eq!(*ours, theirs, "{}", hex::encode(file));
    }
    assert!(ours.iter().step_by(501).all(Option::is_some));
}

#[test]
fn a_part_is_disclosed_and_verified() {
    let short = Short::new();
    let out = short.scratch().path("part");
    let disclose = |arguments: &[&str]| {
        let mut command = short.program();
        command.args(["proof", "disclose"]).arg(Short::golden_path("short.proof"));
        Answer::of(command.args(arguments).arg("--out").arg(&out))
    };
    let [dataset, benchmark] = ["dataset.jsonl", "benchmark.jsonl"].map(Short::golden_path);
    let [dataset, benchmark] = [&dataset, &benchmark].map(|path| path.to_str().unwrap());
    let kinds: [(&[&str], &str); 4] = [
        (&["--step", "3"], "step 3: {"),
        (&["--result", "12"], "result of benchmark row 12: {"),
        (&["--dataset-row", "7", "--dataset", dataset], "dataset row 7: "),
        (&["--benchmark-row", "5", "--benchmark", benchmark], "benchmark row 5: {"),
    ];
    let digest = String::from_utf8(Short::golden("short.digest")).unwrap();
    for ((arguments, shows), golden) in kinds.into_iter().zip(PARTS) {
        disclose(arguments).expect(0, &["bytes in"]);
        verify(&short, &out, &[]).expect(0, &[digest.trim(), "signed by nobody", shows]);
        verify(&short, &out, &["--signer", SIGNER]).expect(1, &["is not signed"]);
        assert_eq!(fs::read(&out).unwrap(), Short::golden(golden), "{golden}");
        fs::remove_file(&out).unwrap();
    }
    disclose(&["--step", "99"]).expect(2, &["short.proof", "there is no such part"]);
    disclose(&["--step", "1", "--control"]).expect(2, &["there is no such part"]);
    let other = ["--dataset-row", "7", "--dataset", benchmark];
    disclose(&other).expect(1, &["dataset row 7 is not what the proof commits to"]);
    assert!(!out.exists());
    let mut part = Short::golden(PARTS[0]);
    part[60] ^= 1;
    let part = short.scratch().file("damaged.shown", part);
    verify(&short, &part, &[]).expect(1, &["damaged.shown", "damaged: "]);
}

/// Numbers at the edges of their types, which mutations seldom meet.
#[test]
fn two_verifiers_agree_on_the_largest_numbers() {
    let proof = proof_in(&Short::golden("short.proof"));
    let changed = |change: &dyn Fn(&mut ScoreProof)| {
        let mut proof = proof.clone();
        change(&mut proof);
        sealed(&Short::golden("short.proof"), &codec::encode(&ProofFile::from(proof)))
    };
    let mut files = vec![];
    for number in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
        files.push(changed(&|proof| proof.training.as_mut().unwrap().lift.0 = number));
    }
    for number in [0, 127, 128, u32::MAX] {
        files.push(changed(&|proof| {
            proof.training.as_mut().unwrap().baseline.accuracy.0 = number;
        }));
    }
    let ours: Vec<_> = files.iter().map(|file| ours(file)).collect();
    assert!(ours.iter().all(Option::is_some));
    assert_eq!(in_python(&files), ours);
}
