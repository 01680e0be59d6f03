//! Bisection against a party that answers anything: the search ends after few questions, with the
//! first difference or with the liar's name, and never blames the honest party.
//!
//! The same bytes are read as messages too.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use dataforge_core::bisect::{Answer, List, Question, Witness, first_difference};
use dataforge_core::codec;
use dataforge_core::proof::Whose;
use dataforge_fuzz::many_rows::{ManyRows, ManyRowsParty};
use libfuzzer_sys::fuzz_target;

/// Levels of the deepest tree.
const LEVELS: u32 = u32::BITS;

#[derive(Debug, Arbitrary)]
struct Input {
    honest: ManyRows,
    hostile: ManyRowsParty,
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(question) = codec::decode::<Question>(bytes) {
        assert_eq!(codec::encode(&question), bytes);
    }
    if let Ok(answer) = codec::decode::<Answer>(bytes) {
        assert_eq!(codec::encode(&answer), bytes);
        recorded(answer);
    }
    if let Ok(input) = Input::arbitrary(&mut Unstructured::new(bytes)) {
        search(input);
    }
});

fn search(Input { honest, hostile }: Input) {
    let (due, rows) = (honest.first_difference(&hostile.rows), hostile.rows.clone());
    let truthful = hostile.lies.is_empty();
    let honest_party = ManyRowsParty { rows: honest.clone(), lies: vec![] };
    let mut honest_witness = Witness::new(honest_party).expect("an outline");
    let mut witness = Witness::new(hostile).expect("an outline");
    let found = first_difference(&mut honest_witness, &mut witness, Whose::Model, List::Rows);
    match found {
        Ok(found) => assert_eq!(found, due, "lies were believed"),
        Err(Ok(wronged)) => panic!("the honest party is blamed: {wronged}"),
        Err(Err(_)) => assert!(!truthful, "the truth is not believed"),
    }
    // To the leaves that both lists have, and down to one of them.
    let most = 1 + 2 * LEVELS;
    assert!(honest_witness.questions() <= most && witness.questions() <= most);
    if let Some(row) = due.filter(|row| *row < honest.count.min(rows.count)) {
        assert_eq!(honest_witness.row(Whose::Model, row), Ok(honest.row(row)));
        if let Ok(claimed) = witness.row(Whose::Model, row) {
            assert_eq!(claimed, rows.row(row), "a lie was believed");
        }
    }
}

/// Says the same, whatever it is asked.
struct Recorded(Answer);

impl dataforge_core::bisect::Party for Recorded {
    type Error = std::convert::Infallible;

    fn ask(&mut self, _: &Question) -> Result<Answer, Self::Error> {
        Ok(self.0.clone())
    }
}

fn recorded(answer: Answer) {
    let rows = ManyRows { count: 1000, odd: 7 };
    let honest = ManyRowsParty { rows, lies: vec![] };
    let mut honest = Witness::new(honest).expect("an outline");
    let Ok(mut witness) = Witness::new(Recorded(answer)) else { return };
    for list in [List::Steps, List::Rows] {
        let found = first_difference(&mut honest, &mut witness, Whose::Model, list);
        assert!(!matches!(found, Err(Ok(_))), "the honest party is blamed");
    }
    // One answer cannot be to two questions, so nothing below a root is believed.
    assert!(witness.questions() <= 1 + 2);
    let _ = (witness.step(Whose::Model, 0), witness.row(Whose::Control, 0));
}
