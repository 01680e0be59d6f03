//! Any text as an epoch's events: each line that is one writes itself back, and whatever they come
//! to adds up to what was emitted.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use dataforge_node::epochs::read_rules;
use dataforge_settle::{Event, Ledger, Rules, settle};
use libfuzzer_sys::fuzz_target;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/epochs/rules.toml");
    read_rules(&file).expect("the golden rules")
});

fuzz_target!(|text: &str| {
    let mut events = Vec::new();
    for line in text.lines() {
        let Ok(event) = serde_json::from_str::<Event>(line) else { continue };
        let written = serde_json::to_string(&event).expect("an event has a JSON form");
        assert_eq!(serde_json::from_str::<Event>(&written).ok(), Some(event));
        events.push(event);
    }
    let ledger = Ledger::default();
    let Ok(settled) = settle(&RULES, &ledger, &events) else { return };
    settled.ledger.check().expect("nothing is lost or made");
    assert_eq!(settled.report.before, ledger.digest());
    assert_eq!(settled.report.after, settled.ledger.digest());
});
