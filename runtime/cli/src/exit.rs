//! Exit codes: every error belongs to the one who can do something about it.

use crate::commands::chain::Stopped;
use crate::commands::wallet::password::Interrupted;
use anyhow::Error;
use dataforge_chain::error::ChainError;
use dataforge_chain::journal::JournalError;
use dataforge_chain::wallet::WalletError;
use dataforge_core::benchmark::BenchmarkError;
use dataforge_core::bisect::WitnessError;
use dataforge_core::proof::check::Fault;
use dataforge_core::proof::{DisclosureError, ProofFileError, SignatureError};
use dataforge_evaluate::audit::{DisputeError, Refusal};
use dataforge_evaluate::{EngineError, EvaluateError, SandboxError};
use dataforge_node::NodeError;
use dataforge_node::artifacts::ArtifactError;
use dataforge_node::benchmarks::BenchmarkFileError;
use dataforge_node::epochs::EpochsError;
use dataforge_node::peer::PeerError;
use std::process::ExitCode;

/// How a command that ran to its end ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::from(NO),
        }
    }
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

const NO: u8 = 1;
const BAD_INPUT: u8 = 2;
const ENVIRONMENT: u8 = 3;
const STOPPED: u8 = 130;

/// Prints an error to stderr and gives its exit code.
pub(crate) fn report(error: &Error) -> ExitCode {
    let code = code(error);
    let label = match code {
        NO => "refused",
        STOPPED => "stopped",
        _ => "error",
    };
    print_line(&format!("{label}: {}", words(error)));
    if let Some(hint) = hint(error) {
        print_line(&format!("  help: {hint}"));
    }
    ExitCode::from(code)
}

/// The error and what caused it; most of our errors say their cause themselves.
fn words(error: &Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.ends_with(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

#[expect(clippy::print_stderr, reason = "the last word of a failing command")]
fn print_line(line: &str) {
    eprintln!("{line}");
}

/// The code of the innermost error that has one.
fn code(error: &Error) -> u8 {
    error.chain().filter_map(code_of).last().unwrap_or(BAD_INPUT)
}

/// Whether a proof, a part of one, or what a party says of its own does not hold.
pub(crate) fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    use WitnessError::{Contradiction, Signature};
    let contradiction = matches!(
        error.downcast_ref::<DisputeError<PeerError>>(),
        Some(
            DisputeError::First(Contradiction(_) | Signature(_))
                | DisputeError::Second(Contradiction(_) | Signature(_))
        )
    );
    contradiction
        || error.is::<Refusal>()
        || error.is::<Fault>()
        || error.is::<SignatureError>()
        || error.is::<DisclosureError>()
        || error.downcast_ref::<EpochsError>().is_some_and(EpochsError::is_refusal)
}

fn code_of(error: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(error) = error.downcast_ref::<EvaluateError>() {
        return evaluate_code(error);
    }
    if is_refusal(error) {
        return Some(NO);
    }
    if error.is::<EngineError>() {
        return Some(ENVIRONMENT);
    }
    if let Some(error) = error.downcast_ref::<ProofFileError>() {
        return Some(if *error == ProofFileError::Damaged { NO } else { BAD_INPUT });
    }
    if let Some(error) = error.downcast_ref::<BenchmarkFileError>() {
        return Some(match error {
            BenchmarkFileError::Benchmark(BenchmarkError::WrongRoot { .. }) => NO,
            _ => BAD_INPUT,
        });
    }
    if let Some(error) = error.downcast_ref::<ArtifactError>() {
        return Some(match error {
            ArtifactError::Unknown { .. } => BAD_INPUT,
            ArtifactError::Cancelled { .. } => STOPPED,
            _ => ENVIRONMENT,
        });
    }
    if let Some(error) = error.downcast_ref::<ChainError>() {
        return Some(chain_code(error));
    }
    if let Some(error) = error.downcast_ref::<WalletError>() {
        return Some(wallet_code(error));
    }
    if let Some(error) = error.downcast_ref::<JournalError>() {
        return Some(if error.is_refusal() { NO } else { BAD_INPUT });
    }
    if error.is::<Stopped>() || error.is::<Interrupted>() {
        return Some(STOPPED);
    }
    match error.downcast_ref::<NodeError>() {
        Some(NodeError::NoHome) => Some(ENVIRONMENT),
        // Transparent: the inner errors are not in the chain themselves.
        Some(NodeError::Artifact(error)) => code_of(error),
        Some(NodeError::Benchmark(error)) => code_of(error),
        _ => None,
    }
}

fn chain_code(error: &ChainError) -> u8 {
    match error {
        // The chain's answer is no.
        ChainError::Refused(_)
        | ChainError::Invalid { .. }
        | ChainError::Failed { .. }
        | ChainError::Expired { .. } => NO,
        ChainError::NoSubnet(_)
        | ChainError::NoMechanism(..)
        | ChainError::OtherKey
        | ChainError::OtherChain { .. } => BAD_INPUT,
        // A node that does not serve, serves another chain, or one that is not known here.
        _ => ENVIRONMENT,
    }
}

fn wallet_code(error: &WalletError) -> u8 {
    match error {
        WalletError::NoHome | WalletError::Random(_) | WalletError::Memory(_) => ENVIRONMENT,
        _ => BAD_INPUT,
    }
}

fn evaluate_code(error: &EvaluateError) -> Option<u8> {
    match error {
        EvaluateError::Tampered { .. } => Some(NO),
        EvaluateError::Cancelled => Some(STOPPED),
        EvaluateError::Engine(_)
        | EvaluateError::Kernel { source: SandboxError::Internal(_), .. } => Some(ENVIRONMENT),
        EvaluateError::World(source) => code_of(source.as_ref()),
        _ => Some(BAD_INPUT),
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    let engine = error.chain().find_map(|e| {
        e.downcast_ref::<EngineError>().or_else(|| match e.downcast_ref::<EvaluateError>() {
            Some(EvaluateError::Engine(error)) => Some(error),
            _ => None,
        })
    });
    match engine {
        Some(EngineError::Load { .. } | EngineError::KnownAnswer { .. }) => Some(
            "unset ORT_DYLIB_PATH to use the pinned library; \
             `dataforge artifacts fetch onnxruntime` fetches it, `dataforge doctor` tests it",
        ),
        Some(EngineError::Provider { .. }) => Some(
            "`--provider cpu` runs everywhere; cuda needs an NVIDIA GPU with its driver, CUDA 13 \
             and cuDNN 9, and a library built for it",
        ),
        Some(_) => Some("`dataforge doctor` tests the engine"),
        None => None,
    }
}
