//! Digests of settlements that must never change: a market of three epochs with everything in it.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod market;

use std::path::Path;

use dataforge_core::units::Ppm;
use dataforge_settle::{Comparison, Epoch, Ledger, Outcome, Salt, Shared, What, settle};
use market::{SEED, all_tell, dataset, miner, rules, score, scored, scored_as, script, validator};

#[test]
fn golden_digests_of_three_epochs() {
    let mut rules = rules();
    rules.draw.audited = Ppm(500_000);
    rules.draw.auditors = 2;
    let stakes = [1_000_000, 250_000, 70_000, 3_333, 900_000, 1];
    let mut ledger = Ledger::default();
    let mut digests = vec![rules.id().to_string()];
    for epoch in 0..3u64 {
        let mut script = script(&rules, &ledger, &stakes, 9);
        let set = |number| dataset(100 * epoch + number);
        for number in 0..8 {
            script.submit(miner(number), set(number % 7), (number % 3) as u32);
            let lift = 40_000 * (number as i64 + 1);
            let found = match number {
                5 => score(Outcome::Rejected),
                6 => score(Outcome::Diverged),
                _ => scored_as(lift, lift - 7_000, lift - 90_000),
            };
            all_tell(&mut script, miner(number), found);
        }
        let most = Some(Shared { with: set(0), rows: 30 });
        script.compare(Comparison { dataset: set(3), rows: 100, own: 61, most });
        script.judge(Epoch(epoch), miner(4), scored(1));
        let reveal = What::ScoreRevealed {
            validator: validator(1),
            miner: miner(2),
            score: Some(scored(2)),
            salt: Salt(SEED),
        };
        script.push(script.times().audited, reveal);
        let settled = settle(&rules, &ledger, &script.finish()).unwrap();
        settled.ledger.check().unwrap();
        digests.push(settled.report.digest().to_string());
        digests.push(settled.ledger.digest().to_string());
        ledger = settled.ledger;
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    let found = digests.join("\n") + "\n";
    if std::env::var_os("DATAFORGE_REFRESH").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    // In the order: rules, then report and ledger of each epoch.
    assert_eq!(found, std::fs::read_to_string(&golden).unwrap());
}
