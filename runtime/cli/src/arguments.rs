//! The command line, as clap types.

mod chain;
mod settle;
mod simulate;
mod wallet;

use clap::{Args, Parser, Subcommand};
use dataforge_core::hash::{EpochSeed, ValidatorKey};
use dataforge_evaluate::{Lowering, Provider, UnknownLowering};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

pub(crate) use chain::{
    Chain, ChainAction, Commit, Connection, JournalAction, JournalFile, Mechanism, Method,
    Register, Reveal, Wait, WalletKeys, Weights,
};
pub(crate) use settle::{CompareDatasets, Explain, GivenRules, Settle, SettleAction};
pub(crate) use simulate::Simulate;
pub(crate) use wallet::{NewWallet, ShowWallets, WalletAction, WalletCommand};

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    the answer is no: a proof or pin that does not hold, a submission that is rejected
  2    bad usage or bad input; the message names file, row and reason
  3    the environment: a missing artifact, no network, an engine that is not exact
  130  stopped by Ctrl-C";

/// Evaluates synthetic datasets so that anyone can recompute the score bit for bit.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Threads that one operator may use; any number gives the same bits. Default: all processors.
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// How exact sums are computed: `stock`, `slices` or `fused`; each gives the same bits.
    /// Default: the fastest here, by a short measurement before evaluating.
    #[arg(long, global = true, value_parser = exact_lowering)]
    pub(crate) lowering: Option<Lowering>,

    /// Where graphs run: `cpu`, or `cuda` on an NVIDIA GPU; each gives the same bits.
    #[arg(long, global = true, default_value_t)]
    pub(crate) provider: Provider,

    /// Folder with eval specs. Default: DATAFORGE_SPECS, else eval-specs here or above.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) specs: Option<PathBuf>,

    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

fn exact_lowering(name: &str) -> Result<Lowering, String> {
    let lowering: Lowering = name.parse().map_err(|error: UnknownLowering| error.to_string())?;
    let exact = lowering.is_exact().then_some(lowering);
    exact.ok_or_else(|| format!("{lowering} is not exact: see `dataforge estimate`"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything once on real data: check, train, score, prove, settle, replay, and refuse
    /// tampering.
    Demo(Demo),
    /// Say whether this machine can evaluate: library, provider, known-answer test.
    Doctor,
    /// Fetch and verify what evaluations need: ONNX Runtime, models, public data.
    Artifacts {
        #[command(subcommand)]
        action: ArtifactsAction,
    },
    /// List, show, verify and lock eval specs.
    Spec {
        #[command(subcommand)]
        action: SpecAction,
    },
    /// Check a dataset against a spec's rules, without training: what a validator's kernels would
    /// say, and beside it near-duplicates, text of known documents, and variety.
    Check(Check),
    /// Make an index of known documents, for `check --known` and for specs.
    Index(Index),
    /// Evaluate a dataset under a spec and write its score proof.
    Evaluate(Evaluate),
    /// Say about what a dataset would earn, in plain f32: sooner, not canonical, without a proof.
    Estimate(Estimate),
    /// Write kernels.
    Kernel {
        #[command(subcommand)]
        action: KernelAction,
    },
    /// Look at models in ONNX files.
    Model {
        #[command(subcommand)]
        action: ModelAction,
    },
    /// Look at score proofs, check them without running anything, and sign them.
    Proof {
        #[command(subcommand)]
        action: ProofAction,
    },
    /// Check score proofs by running evaluations again.
    Audit {
        #[command(subcommand)]
        action: AuditAction,
    },
    /// Settle an epoch: from what happened to who is paid, who is slashed, and why.
    Settle(Settle),
    /// Play attacks on the market, and say what each earns more than honest work.
    Simulate(Simulate),
    /// Read a subnet from its chain; register, announce, and pay miners by weights.
    Chain(Chain),
    /// Make keys in the files of a Bittensor wallet, and look at them.
    Wallet(WalletCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Spec to demonstrate; it must draw on a public set.
    #[arg(long, default_value = "date@1")]
    pub(crate) spec: String,

    /// Epoch seed: 64 hexadecimal digits of public randomness.
    #[arg(long, default_value = DEMO_SEED)]
    pub(crate) seed: EpochSeed,

    /// Folder for the datasets and proofs. Default: demo/SPEC in DataForge's own folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Write the datasets and stop.
    #[arg(long)]
    pub(crate) prepare_only: bool,
}

const DEMO_SEED: &str = "0101010101010101010101010101010101010101010101010101010101010101";

#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactsAction {
    /// Fetch what is missing; all of this machine's artifacts when none is named.
    Fetch { names: Vec<String> },
    /// Hash what is in the cache and compare it with artifacts.lock.
    Verify,
    /// Print the path of one artifact.
    Path { name: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpecAction {
    /// List the specs there are.
    List,
    /// Show one spec and its id.
    Show { spec: String },
    /// Compare everything that the spec's lock pins with what is there.
    Verify { spec: String },
    /// Write the lock afresh. For authors: a published spec's lock never changes.
    Lock { spec: String },
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// JSON Lines, a JSON array or Parquet, plain or (the first two) within gzip or zstd. What is
    /// submitted is JSON Lines.
    pub(crate) dataset: PathBuf,

    /// Eval spec, as name@version.
    #[arg(long)]
    pub(crate) spec: String,

    /// An earlier dataset of the same spec, in any of these formats, of which rows should not be
    /// copied. May be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,

    /// Say how far apart the rows lie in meaning: vectors of a sample by all-MiniLM-L6-v2, which is
    /// fetched, in half a minute.
    #[arg(long)]
    pub(crate) embed: bool,

    /// An index of known documents, as `dataforge index` makes it: rows with parts of them are
    /// named.
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Option<PathBuf>,

    /// Name at most so many rows in each list. Default: 100, and 10 for people where rows are
    /// merely alike or known.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) list: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Index {
    /// Text files in UTF-8, each one document.
    #[arg(required = true)]
    pub(crate) documents: Vec<PathBuf>,

    /// The files are datasets, as `check` takes them: each row is a document.
    #[arg(long)]
    pub(crate) rows: bool,

    /// Words that must stand in a row as they stand in a document: 2 to 64.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = words())]
    pub(crate) words: u32,

    /// Where the index is written.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

fn words() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(2..=64)
}

#[derive(Debug, Subcommand)]
pub(crate) enum KernelAction {
    /// Write the folder of a new kernel: a Rust crate that checks rows, builds and passes its test,
    /// for you to change.
    New {
        /// Folder to make. Its last part is the kernel's name: lower-case letters, digits and
        /// dashes.
        folder: PathBuf,

        /// The kernel SDK. Default: guest-kernels/sdk beside the folder with eval specs.
        #[arg(long, value_name = "DIR")]
        sdk: Option<PathBuf>,
    },
    /// Turn a module that cargo built into a kernel that specs can name, if it is one.
    Pack {
        /// What cargo built: target/wasm32-unknown-unknown/release/NAME.wasm.
        module: PathBuf,

        /// Where the kernel is written, such as eval-specs/kernels/NAME-1.0.0.wasm.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// JSON Lines file.
    pub(crate) dataset: PathBuf,

    /// Eval spec, as name@version.
    #[arg(long)]
    pub(crate) spec: String,

    /// Epoch seed: 64 hexadecimal digits.
    #[arg(long)]
    pub(crate) seed: EpochSeed,

    /// Where the score proof is written.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    /// Sign the proof with this hotkey: its file in a wallet. The password of an encrypted one is
    /// asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) hotkey: Option<PathBuf>,

    /// The hidden benchmark rows. Not needed for specs that draw on a public set.
    #[arg(long, value_name = "FILE")]
    pub(crate) benchmark: Option<PathBuf>,

    /// The seed of an earlier epoch with this benchmark. Also report the lift over those rows that
    /// no such seed drew: what it drew was revealed since, and miners may know it. May be given
    /// more than once. The proof is the same.
    #[arg(long = "earlier-seed", value_name = "HEX")]
    pub(crate) earlier_seeds: Vec<EpochSeed>,

    /// Also let the trained model answer this many benchmark rows in words, the first that the seed
    /// draws, and report how near it comes. The proof is the same.
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub(crate) answers: u32,

    #[command(flatten)]
    pub(crate) states: KeepStates,
}

/// What an evaluation keeps of its training runs.
#[derive(Debug, Args)]
pub(crate) struct KeepStates {
    /// Disk that checkpoints of training runs may take, in MiB; the oldest go first, and 0 keeps
    /// none. An evaluation that was interrupted goes on from its last one, to the same proof;
    /// audits of single steps start from them.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub(crate) checkpoint_mib: u64,

    /// Least seconds between two checkpoints of a run. There is always one at its end.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) checkpoint_seconds: u64,

    /// Where checkpoints are. Default: states in DataForge's own folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) states: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Estimate {
    /// JSON Lines file.
    pub(crate) dataset: PathBuf,

    /// Eval spec, as name@version.
    #[arg(long)]
    pub(crate) spec: String,

    /// Epoch seed: 64 hexadecimal digits.
    #[arg(long, default_value = DEMO_SEED)]
    pub(crate) seed: EpochSeed,

    /// The hidden benchmark rows. Not needed for specs that draw on a public set.
    #[arg(long, value_name = "FILE")]
    pub(crate) benchmark: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelAction {
    /// Say what an ONNX inference graph holds, and what of it cannot be imported, and why.
    Inspect {
        model: PathBuf,
        /// Size of a named dimension of the inputs, as NAME=SIZE. Default: 8 for each.
        #[arg(long = "size", value_name = "NAME=SIZE", value_parser = named_size)]
        sizes: Vec<(String, usize)>,
    },
}

fn named_size(text: &str) -> Result<(String, usize), String> {
    let parsed = text.split_once('=').and_then(|(name, size)| Some((name, size.parse().ok()?)));
    match parsed {
        Some((name, size)) if size > 0 => Ok((name.to_owned(), size)),
        _ => Err("not NAME=SIZE with a size of 1 or more".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProofAction {
    /// Show what a proof says.
    Show {
        proof: PathBuf,
        /// Show every training step.
        #[arg(long)]
        steps: bool,
    },
    /// Check all that needs no engine: signature, structure, what the spec asks for, and with the
    /// revealed benchmark that the metrics follow from the rows. Whether the numbers were computed
    /// is for `audit` to say. Of a part that `proof disclose` wrote: that the proof commits to it.
    Verify {
        /// A proof, or a part of one.
        proof: PathBuf,
        /// Who must have signed: 64 hexadecimal digits. Without it, any signature that is there
        /// must be good.
        #[arg(long, value_name = "KEY")]
        signer: Option<ValidatorKey>,
        /// The hidden benchmark rows, once revealed.
        #[arg(long, value_name = "FILE")]
        benchmark: Option<PathBuf>,
    },
    /// Show one part of a proof: a small file that anyone can verify, and that tells nothing else
    /// of the dataset or the benchmark.
    Disclose(Disclose),
    /// Sign a proof with a validator's hotkey. Replaces an earlier signature.
    Sign {
        proof: PathBuf,
        /// The hotkey's file in a wallet.
        #[arg(long, value_name = "FILE")]
        hotkey: PathBuf,
        /// Where the signed proof is written. Default: in place.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Disclose {
    pub(crate) proof: PathBuf,

    #[command(flatten)]
    pub(crate) part: DisclosedPart,

    /// Of the control's run, for --step and --result.
    #[arg(long)]
    pub(crate) control: bool,

    /// The submission, for --dataset-row.
    #[arg(long, value_name = "FILE")]
    pub(crate) dataset: Option<PathBuf>,

    /// The benchmark rows, for --benchmark-row. Not needed for specs that draw on a public set.
    #[arg(long, value_name = "FILE")]
    pub(crate) benchmark: Option<PathBuf>,

    /// Where it is written.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct DisclosedPart {
    /// A training step, from 0: its loss, and the state after it if that was committed to.
    #[arg(long, value_name = "K")]
    pub(crate) step: Option<u32>,

    /// What the trained model made of a benchmark row, not the row itself; from 1, among the rows
    /// that the seed draws where the spec has it draw some.
    #[arg(long, value_name = "N")]
    pub(crate) result: Option<NonZeroU32>,

    /// A row of the submission, from 1.
    #[arg(long, value_name = "N", requires = "dataset")]
    pub(crate) dataset_row: Option<NonZeroU32>,

    /// A row of the benchmark, from 1 among all, drawn or not: question, candidates and answer.
    #[arg(long, value_name = "N")]
    pub(crate) benchmark_row: Option<NonZeroU32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Run the whole evaluation again and compare; names the first thing that differs.
    Replay(Replay),
    /// Take one training step again, from the last committed state before it to the next one, and
    /// compare.
    Step(AuditStep),
    /// Take some steps again, chosen by randomness that nobody knew when the proof was made, and
    /// say how likely a false one would have been found.
    Spot(AuditSpot),
    /// Score some benchmark rows again, from the state that training ended with, and compare. Rows
    /// are numbered as the proof has their results: where the spec has the seed draw some, among
    /// these.
    Rows(AuditRows),
    /// Find out who is wrong when two proofs of the same inputs differ: bisect to the first step or
    /// benchmark row in which they do, compute it again, and name the party at fault. Rows are
    /// numbered as in `audit rows`.
    Bisect(Bisect),
    /// Answer questions about a proof over the network, for someone else's `audit bisect`.
    Serve(Serve),
    /// Write one training step as an ONNX backend test: a folder that any ONNX engine can check by
    /// itself.
    ExportStep(ExportStep),
}

#[derive(Debug, Args)]
pub(crate) struct AuditRows {
    #[command(flatten)]
    pub(crate) proof: AuditedSteps,

    /// The rows, from 1 among those that the proof has results of.
    #[arg(long, value_name = "N", required = true, value_delimiter = ',')]
    pub(crate) rows: Vec<NonZeroUsize>,

    /// From the control's final state instead of the model's.
    #[arg(long)]
    pub(crate) control: bool,

    /// The hidden benchmark rows. Not needed for specs that draw on a public set.
    #[arg(long, value_name = "FILE")]
    pub(crate) benchmark: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Bisect {
    /// The first party: a proof's file, or HOST:PORT of its `audit serve`.
    pub(crate) first: String,

    /// The second party, likewise.
    pub(crate) second: String,

    /// The submission that both proofs are about.
    #[arg(long)]
    pub(crate) dataset: PathBuf,

    /// Where checkpoints are, of either party. Default: states in DataForge's own folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) states: Option<PathBuf>,

    /// The hidden benchmark rows, for disputes about scores. Not needed for specs that draw on a
    /// public set.
    #[arg(long, value_name = "FILE")]
    pub(crate) benchmark: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    pub(crate) proof: PathBuf,

    /// Address to listen on; port 0 takes a free one, and the first line of the output names it.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: String,

    /// Where the checkpoints of this proof's runs are. Default: states in DataForge's own folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) states: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportStep {
    #[command(flatten)]
    pub(crate) step: AuditStep,

    /// The folder, new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AuditStep {
    #[command(flatten)]
    pub(crate) proof: AuditedSteps,

    /// The step, from 0.
    #[arg(long, value_name = "K")]
    pub(crate) step: u32,

    /// Of the control's run instead of the model's.
    #[arg(long)]
    pub(crate) control: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditSpot {
    #[command(flatten)]
    pub(crate) proof: AuditedSteps,

    /// How many parts of the runs, each from one committed state to the next.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) samples: usize,

    /// 64 hexadecimal digits that became public after the proof, such as a later block's hash.
    #[arg(long, value_name = "HEX")]
    pub(crate) randomness: EpochSeed,
}

#[derive(Debug, Args)]
pub(crate) struct AuditedSteps {
    pub(crate) proof: PathBuf,

    /// The submission that the proof is about.
    #[arg(long)]
    pub(crate) dataset: PathBuf,

    /// The prover's state store. Default: this machine's own. A state counts if the proof commits
    /// to it; steps whose state is not there are reached from an earlier one.
    #[arg(long, value_name = "DIR")]
    pub(crate) states: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    pub(crate) proof: PathBuf,

    /// The submission that the proof is about.
    #[arg(long)]
    pub(crate) dataset: PathBuf,

    /// The hidden benchmark rows. Not needed for specs that draw on a public set.
    #[arg(long, value_name = "FILE")]
    pub(crate) benchmark: Option<PathBuf>,
}
