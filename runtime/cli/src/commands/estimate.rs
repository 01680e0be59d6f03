//! `dataforge estimate`: about what `dataforge evaluate` would say, sooner and without a proof.

use crate::arguments::Estimate as Arguments;
use crate::commands::check::{print_report, report_json};
use crate::commands::evaluate::{read_dataset, timing_line, timings_json};
use crate::context::Context;
use crate::exit::Answer;
use crate::output::{self, nats};
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_evaluate::{Ending, Estimate, estimate};
use serde_json::json;

/// Said with every estimate.
const LABEL: &str = "fast: not canonical, proves nothing";

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    let bytes = read_dataset(&arguments.dataset)?;
    let benchmark = context.provision_for(pinned.spec(), arguments.benchmark.as_deref())?;
    let name = arguments.dataset.display().to_string();
    let stage = Stage::new(&name);
    let world = context.world(&specs, &pinned, &stage);
    let found = estimate(&world, pinned, benchmark, &bytes, &arguments.seed).context(name)?;
    stage.finish();
    if context.json {
        output::json(&as_json(&found))?;
    } else {
        print(arguments, &found)?;
    }
    Ok((found.ending != Ending::Rejected).into())
}

fn print(arguments: &Arguments, found: &Estimate) -> anyhow::Result<()> {
    output::line(LABEL)?;
    match found.ending {
        Ending::Rejected => print_report(&arguments.dataset, &found.report)?,
        Ending::Diverged(at) => output::line(&format!("diverged  at step {}; lift 0", at.0))?,
        Ending::Scored { baseline, trained, lift } => {
            output::line(&format!("baseline  choice loss {}", baseline.choice_loss.display()))?;
            output::line(&format!("trained   choice loss {}", trained.choice_loss.display()))?;
            let accuracy = f64::from(trained.accuracy.0) / 1e4;
            output::line(&format!("accuracy  {accuracy:.1} % (reported, not paid)"))?;
            output::line(&format!("lift      about {} nats", lift.display()))?;
        }
    }
    output::line(&format!("engine    {}", found.engine))?;
    output::line(&format!("time      {}", timing_line(&found.timings)))
}

fn as_json(found: &Estimate) -> serde_json::Value {
    let mut value = json!({
        "canonical": false,
        "note": LABEL,
        "check": report_json(&found.report),
        "engine": found.engine,
        "timings": timings_json(&found.timings),
    });
    match found.ending {
        Ending::Rejected => value["verdict"] = json!("rejected"),
        Ending::Diverged(at) => {
            value["verdict"] = json!("diverged");
            value["at"] = json!(at.0);
        }
        Ending::Scored { baseline, trained, lift } => {
            value["verdict"] = json!("scored");
            value["baseline"] = json!(nats(baseline.choice_loss));
            value["trained"] = json!(nats(trained.choice_loss));
            value["accuracy"] = json!(f64::from(trained.accuracy.0) / 1e6);
            value["lift"] = json!(nats(lift));
        }
    }
    value
}
