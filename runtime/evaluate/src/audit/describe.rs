//! What is disputed, in words: equal words for equal things, and for no others.

use dataforge_core::blind::ListRoot;
use dataforge_core::proof::{Metrics, PlanRoots, RowResult, StepRecord};

pub(super) fn plan(plan: PlanRoots) -> String {
    let list = |list: ListRoot| format!("{} with root {}", list.count, list.root);
    format!("{} rows, {} batches", list(plan.rows), list(plan.batches))
}

/// None where the run diverged, or had ended.
pub(super) fn step(record: Option<StepRecord>) -> String {
    let Some(StepRecord { loss, state, .. }) = record else { return "divergence".into() };
    let state = state.map_or("none".into(), |root| root.to_string());
    format!("loss {} micro-nats, state {state}", loss.0)
}

pub(super) fn end(measured: bool) -> String {
    if measured { "measured" } else { "divergence" }.into()
}

/// None where there is no such row.
pub(super) fn row(result: Option<&RowResult>) -> String {
    let Some(RowResult { log_probabilities }) = result else { return "no such row".into() };
    let scores: Vec<_> = log_probabilities.iter().map(|lp| lp.0.to_string()).collect();
    format!("{} micro-nats", scores.join(", "))
}

pub(super) fn metrics(metrics: Metrics) -> String {
    let Metrics { choice_loss, accuracy, answer_nll, token_nll } = metrics;
    format!(
        "choice loss {}, accuracy {} ppm, answer NLL {}, {} per token, all in micro-nats",
        choice_loss.0, accuracy.0, answer_nll.0, token_nll.0
    )
}
