//! `dataforge artifacts`: the cache of pinned files.

use crate::arguments::ArtifactsAction;
use crate::context::Context;
use crate::exit::Answer;
use crate::output;
use dataforge_node::artifacts::{ArtifactState, Platform};
use serde_json::json;

pub(crate) fn run(context: &Context, action: &ArtifactsAction) -> anyhow::Result<Answer> {
    match action {
        ArtifactsAction::Fetch { names } => fetch(context, names),
        ArtifactsAction::Verify => verify(context),
        ArtifactsAction::Path { name } => {
            let path = context.artifacts.path(name)?;
            if context.json {
                output::json(&json!({ "name": name, "path": path }))?;
            } else {
                output::line(&path.display().to_string())?;
            }
            Ok(Answer::Yes)
        }
    }
}

fn fetch(context: &Context, names: &[String]) -> anyhow::Result<Answer> {
    let all = context.artifacts.lock().all();
    let all: Vec<&str> = all
        .filter(|artifact| artifact.fits(Platform::current()) && !artifact.optional)
        .map(|artifact| artifact.name.as_str())
        .collect();
    let wanted = if names.is_empty() { all } else { names.iter().map(String::as_str).collect() };
    let paths = context.provision(&wanted)?;
    if context.json {
        let fetched =
            wanted.iter().zip(&paths).map(|(name, path)| json!({ "name": name, "path": path }));
        output::json(&json!({ "artifacts": fetched.collect::<Vec<_>>() }))?;
    } else {
        for (name, path) in wanted.iter().zip(paths) {
            output::line(&format!("{name}  {}", path.display()))?;
        }
    }
    Ok(Answer::Yes)
}

fn verify(context: &Context) -> anyhow::Result<Answer> {
    let status = context.artifacts.status();
    let word = |state: ArtifactState| match state {
        ArtifactState::Present => "present",
        ArtifactState::Missing => "missing",
        ArtifactState::Corrupt => "corrupt",
        ArtifactState::Overridden => "overridden by ORT_DYLIB_PATH, not verified",
        _ => "for another platform",
    };
    if context.json {
        let rows = status.iter().map(|a| {
            json!({ "name": a.name, "sha256": a.digest, "bytes": a.size, "state": word(a.state) })
        });
        output::json(&json!({ "artifacts": rows.collect::<Vec<_>>() }))?;
    } else {
        let rows: Vec<Vec<String>> = status
            .iter()
            .map(|a| {
                vec![
                    a.name.clone(),
                    a.size.0.to_string(),
                    a.digest.to_string(),
                    word(a.state).into(),
                ]
            })
            .collect();
        output::line(&output::table(&["artifact", "bytes", "sha256", "state"], &rows))?;
    }
    Ok(status.iter().all(|artifact| artifact.state != ArtifactState::Corrupt).into())
}
