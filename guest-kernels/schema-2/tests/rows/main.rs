//! The kernel from the outside: rules and lines in, outcomes out. Each case is one line.

mod lines;
mod rules;
mod schemas;
mod scripts;
mod shapes;

use dataforge_kernel_schema_2::{Guest, Kernel, RowOutcome, Rules, Shape};

/// Rules for pairs that accept any object.
fn rules() -> Rules {
    Rules {
        schema_json: "{}".to_owned(),
        shape: Shape::Pair,
        input: "input".to_owned(),
        output: "output".to_owned(),
        text_bytes_max: 100,
        scripts: vec![],
        script_ppm_min: 0,
    }
}

fn outcomes(rules: Rules, lines: &[&[u8]]) -> Vec<RowOutcome> {
    let lines = lines.iter().map(|line| line.to_vec()).collect();
    Kernel::check(rules, lines).expect("the rules are usable")
}

/// The outcome of one line as text: the two texts with ` => ` between, or ` ! ` between the pointer
/// and the reason of a fault.
fn outcome(rules: Rules, line: &str) -> String {
    match outcomes(rules, &[line.as_bytes()]).remove(0) {
        RowOutcome::Ok(row) => format!("{} => {}", row.input, row.output),
        RowOutcome::Fault(fault) => format!("{} ! {}", fault.pointer, fault.reason),
    }
}

/// Why the rules themselves are refused.
fn refusal(rules: Rules) -> String {
    Kernel::check(rules, vec![]).expect_err("the rules are unusable")
}
