//! Any text as `spec.lock` and as `artifacts.lock`: the first writes itself back, and nothing that
//! the second lets through can mislead pip, a zip or the cache.
#![no_main]

use std::collections::BTreeSet;

use dataforge_core::spec::SpecLock;
use dataforge_node::artifacts::{ARTIFACT_BYTES_MAX, ArtifactLock, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(lock) = SpecLock::parse(text) {
        let written = lock.to_toml().expect("TOML has tables of strings");
        assert_eq!(SpecLock::parse(&written), Ok(lock));
    }
    let Ok(lock) = ArtifactLock::parse(text) else { return };
    let mut seen = BTreeSet::new();
    for artifact in lock.all() {
        let (name, platform) = (&artifact.name, artifact.platform);
        assert!(seen.insert((name, platform.map(|p| p.to_string()))), "{name} is there twice");
        assert!(artifact.size <= ARTIFACT_BYTES_MAX);
        assert!(lock.get_for(name, platform).is_some());
        match &artifact.source {
            Source::Member { wheel, path } => {
                one_word(&wheel.requirement);
                one_word(wheel.pip_platform.as_deref().unwrap_or("any"));
                assert!(path.split('/').all(|part| !part.is_empty() && part != ".."));
            }
            Source::Derived { from, .. } => {
                let from = lock.get_for(from, None).expect("what is derived has a source");
                assert!(matches!(from.source, Source::Member { .. }));
            }
            _ => {}
        }
    }
});

/// What pip takes for one word and no option.
fn one_word(text: &str) {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(plain && !text.starts_with('-'), "{text:?} is more than one word to pip");
}
