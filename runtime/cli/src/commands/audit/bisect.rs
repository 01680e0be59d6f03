//! `dataforge audit bisect` and `audit serve`: who is wrong when two proofs differ.

use crate::arguments::{Bisect, Serve};
use crate::commands::evaluate::read_dataset;
use crate::commands::proof::{find_spec, read_file};
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_core::bisect::{self, Party, Question, Witness};
use dataforge_core::hash::ValidatorKey;
use dataforge_core::units::Bytes;
use dataforge_evaluate::audit::{self, DisputeError, Judgement, Prover};
use dataforge_node::peer::{self, PeerError, RemoteParty};
use dataforge_node::states::StateStore;
use serde_json::json;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// A party to a dispute.
enum Side<'s> {
    Here(Box<Prover<'s>>),
    Remote(RemoteParty),
}

impl Party for Side<'_> {
    type Error = PeerError;

    fn ask(&mut self, question: &Question) -> Result<bisect::Answer, PeerError> {
        match self {
            Self::Here(prover) => Ok(prover.ask(question)?),
            Self::Remote(remote) => remote.ask(question),
        }
    }
}

fn witness<'s>(name: &str, states: &'s StateStore) -> anyhow::Result<Witness<Side<'s>>> {
    let path = Path::new(name);
    let side = if path.exists() || !name.contains(':') {
        Side::Here(Box::new(prover(path, states)?))
    } else {
        Side::Remote(RemoteParty::connect(name)?)
    };
    Witness::new(side).with_context(|| name.to_owned())
}

fn prover<'s>(path: &Path, states: &'s StateStore) -> anyhow::Result<Prover<'s>> {
    Ok(Prover::new(read_file(path)?, |run, taken| states.manifest(run, taken)))
}

fn store(context: &Context, folder: Option<&Path>) -> StateStore {
    StateStore::new(context.states(folder), Bytes(0), Duration::MAX)
}

pub(super) fn judge(context: &Context, arguments: &Bisect) -> anyhow::Result<Answer> {
    let names = [&arguments.first, &arguments.second];
    let states = store(context, arguments.states.as_deref());
    let [mut a, mut b] = [witness(names[0], &states)?, witness(names[1], &states)?];
    let bytes = read_dataset(&arguments.dataset)?;
    let specs = context.specs()?;
    let pinned = find_spec(&specs, a.outline().inputs.spec)?;
    let benchmark = context.provision_for_known(pinned.spec(), arguments.benchmark.as_deref())?;
    let stage = Stage::new("bisection");
    let own = store(context, arguments.states.as_deref());
    let world = context.world(&specs, &pinned, &stage).with_states(own);
    let judgement = audit::judge(&world, pinned, &bytes, benchmark.as_ref(), &mut a, &mut b);
    let judgement = judgement.map_err(|error| match error {
        DisputeError::Evaluate(error) => error.into(),
        other => anyhow::Error::from(other),
    })?;
    stage.finish();
    let parties = [of(names[0], &a), of(names[1], &b)];
    report(context, &parties, judgement.as_ref())?;
    Ok(judgement.is_none().into())
}

/// Who gave an account of a proof.
struct Account<'n> {
    name: &'n str,
    signer: Option<ValidatorKey>,
    questions: u32,
}

fn of<'n, P: Party>(name: &'n str, witness: &Witness<P>) -> Account<'n> {
    Account { name, signer: witness.signer(), questions: witness.questions() }
}

fn report(
    context: &Context,
    parties: &[Account<'_>; 2],
    judgement: Option<&Judgement>,
) -> anyhow::Result<()> {
    let questions = parties.each_ref().map(|party| party.questions);
    let Some(judgement) = judgement else {
        return if context.json {
            output::json(&json!({ "same": true, "questions": questions }))
        } else {
            output::line("the proofs are the same")
        };
    };
    let Judgement { place, said, found, tensors, taken } = judgement;
    let fault = judgement.at_fault();
    if context.json {
        let party = |i: usize| {
            let Account { name, signer, .. } = &parties[i];
            json!({ "party": name, "signer": signer, "says": said[i], "at_fault": fault[i],
                    "first_false_tensor": tensors[i] })
        };
        return output::json(&json!({
            "same": false,
            "place": place,
            "found": found,
            "parties": [party(0), party(1)],
            "steps_taken": taken,
            "questions": questions,
        }));
    }
    output::line(&format!("they part  {place}"))?;
    for i in [0, 1] {
        let verdict = if fault[i] { "AT FAULT" } else { "right" };
        output::line(&format!("{verdict:<9}  {}: {}", parties[i].name, said[i]))?;
        let signer = parties[i].signer.map_or("nobody".to_owned(), |key| key.to_string());
        output::line(&format!("           signed by {signer}"))?;
        if let Some(tensor) = &tensors[i] {
            output::line(&format!("           first false tensor: {tensor}"))?;
        }
    }
    output::line(&format!("here       {found}"))?;
    output::line(&format!(
        "taken      {taken} training steps, {} and {} questions",
        questions[0], questions[1]
    ))
}

pub(super) fn serve(context: &Context, arguments: &Serve) -> anyhow::Result<Answer> {
    let states = store(context, arguments.states.as_deref());
    let mut prover = prover(&arguments.proof, &states)?;
    let listener = TcpListener::bind(&arguments.listen);
    let listener = listener.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;
    if context.json {
        output::json(&json!({ "listening": address.to_string() }))?;
    } else {
        output::line(&format!("listening on {address}; Ctrl-C ends it"))?;
    }
    peer::serve(&listener, &mut prover, context.stop(), |peer, questions, end| match end {
        None => tracing::info!("{peer} asked {questions} questions"),
        Some(error) => tracing::warn!("cut off after {questions} questions: {error}"),
    })?;
    Ok(Answer::Yes)
}
