//! `dataforge simulate`: what attacks on the market earn more than honest work.
//!
//! What a scenario comes to is said by `dataforge_settle::simulate`. Here it is asked for and
//! shown.

mod page;

use crate::arguments::Simulate;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::{Counting, Stage};
use dataforge_core::units::Ppm;
use dataforge_evaluate::EvaluateError;
use dataforge_node::fs::write_atomic;
use dataforge_node::rehearsal::{Rehearsal, RehearsalError};
use dataforge_node::scenarios::{self, Loaded};
use dataforge_settle::simulate::{AttackLine, Done, SimulateError, Simulation, Training, simulate};
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// What the program prints.
#[derive(Serialize)]
struct Shown<'a> {
    attacks: Vec<&'a AttackLine>,
    scenarios: Vec<ShownScenario<'a>>,
}

#[derive(Serialize)]
struct ShownScenario<'a> {
    file: &'a str,
    #[serde(flatten)]
    simulation: &'a Simulation,
}

pub(crate) fn run(context: &Context, arguments: &Simulate) -> anyhow::Result<Answer> {
    let mut loaded = Vec::new();
    for path in &arguments.scenarios {
        loaded.extend(scenarios::load(path)?);
    }
    let mut done = Vec::with_capacity(loaded.len());
    for of in &loaded {
        done.push((of.path.display().to_string(), simulated(context, of)?));
    }
    if let Some(path) = &arguments.html {
        write_atomic(path, page::of(&done).as_bytes())?;
    }
    if context.json {
        let attacks = done.iter().flat_map(|(_, simulation)| &simulation.lines).collect();
        let scenarios =
            done.iter().map(|(file, simulation)| ShownScenario { file, simulation }).collect();
        output::json(&Shown { attacks, scenarios })?;
    } else {
        output::line(&table(&done))?;
        for (file, simulation) in &done {
            output::line(&format!("\n{}: {}", simulation.name, simulation.about))?;
            output::line(&format!("  {}", pays(simulation)))?;
            output::line(&format!("  {}  {file}", simulation.runs))?;
        }
    }
    Ok(Answer::Yes)
}

fn simulated(context: &Context, of: &Loaded) -> anyhow::Result<Simulation> {
    let counting = Counting::new("pairs");
    let mut step = |done: Done| {
        counting.show(done.pairs, done.of, &of.scenario.name);
        match context.stop().load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let simulation = match &of.scenario.training {
        None => simulate(&of.scenario, &of.rules, None, &mut step),
        Some(training) => return trained(context, of, training, &mut step),
    };
    match simulation {
        Err(SimulateError::Stopped) => Err(EvaluateError::Cancelled.into()),
        simulation => Ok(simulation?),
    }
}

/// Plays a scenario whose datasets are written and trained on.
fn trained(
    context: &Context,
    of: &Loaded,
    training: &Training,
    step: &mut dyn FnMut(Done) -> ControlFlow<()>,
) -> anyhow::Result<Simulation> {
    let specs = context.specs()?;
    let pinned = specs.load(&training.spec)?;
    let benchmark = context.provision_for(pinned.spec(), None)?;
    let stage = Stage::new(&of.scenario.name);
    let world = context.world(&specs, &pinned, &stage);
    let named: Vec<_> = of.rules.domains.iter().flat_map(|domain| domain.specs.clone()).collect();
    let mut rehearsal =
        Rehearsal::new(&world, pinned, benchmark, training, &named).map_err(innermost)?;
    let simulation = simulate(&of.scenario, &of.rules, Some(&mut rehearsal), step);
    stage.finish();
    match (simulation, rehearsal.into_failure()) {
        (Err(SimulateError::Trainer), Some(failure)) => Err(innermost(failure)),
        (Err(SimulateError::Stopped), _) => Err(EvaluateError::Cancelled.into()),
        (simulation, _) => Ok(simulation?),
    }
}

/// The error that says who can do something about it.
fn innermost(error: RehearsalError) -> anyhow::Error {
    match error {
        RehearsalError::Evaluate(error) => error.into(),
        error => error.into(),
    }
}

fn table(done: &[(String, Simulation)]) -> String {
    let row = |line: &AttackLine| {
        let tokens = |amount: i64| format!("{:+.2}", amount as f64 / 1e9);
        vec![
            line.name.clone(),
            share(line.stake),
            percent(line.profit_over_honest),
            percent(line.low),
            percent(line.high),
            tokens(line.honest),
            tokens(line.attack),
            tokens(line.slashed),
        ]
    };
    let header = ["attack", "stake", "over honest", "low", "high", "honest", "attack", "slashed"];
    let rows: Vec<_> = done.iter().flat_map(|(_, of)| of.lines.iter().map(row)).collect();
    output::table(&header, &rows)
}

fn share(share: Ppm) -> String {
    format!("{:.0} %", f64::from(share.0) / 1e4)
}

fn percent(ppm: i64) -> String {
    format!("{:+.2} %", ppm as f64 / 1e4)
}

/// Where an attack starts to pay.
fn pays(simulation: &Simulation) -> String {
    let stakes = simulation.lines.iter().map(|line| line.stake);
    match (simulation.pays_from, stakes.max()) {
        (Some(Ppm(0)), _) => "pays, without any stake".to_owned(),
        (Some(stake), _) => format!("pays from {} of the stake on", share(stake)),
        (None, Some(Ppm(0)) | None) => "does not pay".to_owned(),
        (None, Some(most)) => format!("never pays, with up to {} of the stake", share(most)),
    }
}
