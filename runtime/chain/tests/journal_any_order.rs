//! Whatever two programs do to one journal, in any order: no epoch ever has two permitted vectors,
//! and each outcome is the one that a list of what was signed gives.
#![allow(clippy::unwrap_used, reason = "a test stops where a step of it fails")]

mod journal_steps;

use std::collections::BTreeMap;

use dataforge_chain::journal::Salt;
use journal_steps::{Outcome, Scratch, Step, Two, intent, salted, slot};
use proptest::prelude::*;

/// The rules, in the plainest way: what has been signed, or was imported.
#[derive(Default)]
struct Model {
    signed: BTreeMap<u64, u16>,
    /// What was given with a permit.
    salts: BTreeMap<u64, Salt>,
}

impl Model {
    fn sign(&mut self, epoch: u64, weight: u16) -> Outcome {
        let newest = self.signed.last_key_value().map(|(epoch, _)| *epoch);
        match (self.signed.get(&epoch), newest) {
            (Some(known), _) if *known == weight => Outcome::Signed,
            (Some(_), _) => Outcome::Conflict,
            (None, Some(newest)) if epoch < newest => Outcome::Behind,
            _ => {
                self.signed.insert(epoch, weight);
                Outcome::Signed
            }
        }
    }

    /// Another machine's row of an epoch has another salt, so that it contradicts one that is here.
    fn import(&mut self, rows: &[(u64, u16)]) -> bool {
        let taken = rows.iter().all(|(epoch, _)| !self.signed.contains_key(epoch));
        if taken {
            self.signed.extend(rows.iter().copied());
        }
        taken
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let rows = proptest::collection::btree_map(0_u64..12, 0_u16..3, 0..3);
    let step = prop_oneof![
        8 => (0_u64..12, 0_u16..3).prop_map(|(epoch, weight)| Step::Sign(epoch, weight)),
        2 => Just(Step::Restart),
        2 => rows.prop_map(|rows| Step::Import(rows.into_iter().collect())),
        1 => Just(Step::ImportOwn),
        1 => Just(Step::Move),
    ];
    proptest::collection::vec((0_usize..2, step), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(150)
    })]

    #[test]
    fn no_epoch_has_two_vectors(steps in steps()) {
        let (mut two, mut model) = (Two::new(Scratch::fast()), Model::default());
        let mut permitted = BTreeMap::new();
        for (who, step) in steps {
            match step {
                Step::Sign(epoch, weight) => {
                    let (got, salt) = salted(&mut two.journals[who], &intent(slot(epoch), weight));
                    prop_assert_eq!(got, model.sign(epoch, weight));
                    if let Some(salt) = salt {
                        prop_assert_eq!(*permitted.entry(epoch).or_insert(weight), weight);
                        prop_assert_eq!(*model.salts.entry(epoch).or_insert(salt), salt);
                    }
                }
                Step::Restart => two.restart(who),
                Step::Import(rows) => {
                    prop_assert_eq!(two.import(who, &rows), model.import(&rows));
                }
                Step::ImportOwn => two.import_own(who),
                Step::Move => two.go_elsewhere(),
            }
        }
        let [first, second] = &two.journals;
        prop_assert_eq!(first.head().unwrap(), second.head().unwrap());
        prop_assert_eq!(first.head().unwrap().tip.rows, model.signed.len() as u64);
    }
}
