//! `dataforge settle compare`: how much of each dataset is in those before it.

use crate::arguments::CompareDatasets;
use crate::commands::evaluate::read_dataset;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use crate::progress::Stage;
use anyhow::Context as _;
use dataforge_evaluate::Likeness;
use dataforge_node::findings::compare_alike;
use serde_json::json;

pub(super) fn run(context: &Context, arguments: &CompareDatasets) -> anyhow::Result<Answer> {
    let specs = context.specs()?;
    let pinned = specs.load(&arguments.spec)?;
    context.provision(&[&pinned.spec().model.tokenizer])?;
    let stage = Stage::new(&arguments.spec);
    let world = context.world(&specs, &pinned, &stage);
    let mut likeness = Likeness::load(&world, &pinned)?;
    for path in &arguments.datasets {
        let name = path.display().to_string();
        stage.rename(&name);
        likeness.add(&world, &read_dataset(path)?).context(name)?;
    }
    stage.finish();
    let compared = compare_alike(&likeness.finish());
    if context.json {
        output::json(&json!({ "compared": compared }))?;
        return Ok(Answer::Yes);
    }
    let row = |(path, of): (&std::path::PathBuf, &dataforge_settle::Comparison)| {
        let most = of.most.and_then(|most| {
            let place = compared.iter().position(|earlier| earlier.dataset == most.with)?;
            Some(format!("{} in {}", most.rows, arguments.datasets.get(place)?.display()))
        });
        let [rows, own] = [of.rows, of.own].map(|count| count.to_string());
        vec![path.display().to_string(), rows, own, most.unwrap_or_default()]
    };
    let rows: Vec<_> = arguments.datasets.iter().zip(&compared).map(row).collect();
    output::line(&output::table(&["dataset", "rows", "its own", "most shared"], &rows))?;
    Ok(Answer::Yes)
}
