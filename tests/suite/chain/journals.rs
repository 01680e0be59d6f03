//! `dataforge chain journal`: made once, carried by documents, and told from an older copy.

use dataforge_tests::{Answer, Scratch, dataforge};

const KEY: &str = "5C7LYpP2ZH3tpKbvVvwiVe54AapxErdPBbvkYhe6y9ZBkqWt";

fn journal(scratch: &Scratch, arguments: &[&str]) -> Answer {
    let mut command = dataforge();
    command.env("DATAFORGE_HOME", scratch.path("home")).args(["chain", "journal"]);
    Answer::of(command.args(arguments))
}

/// A document of what was signed for these epochs.
fn document(epochs: &[u64]) -> String {
    let genesis = "01".repeat(32);
    let row = |epoch: &u64| {
        format!(
            "{{\"genesis\":\"0x{genesis}\",\"netuid\":7,\"mechanism\":0,\"hotkey\":\"{KEY}\",\
             \"epoch\":{epoch},\"weights\":[[1,65535]],\"version_key\":5,\
             \"salt\":[1,2,3,4,5,6,7,8]}}"
        )
    };
    let rows = epochs.iter().map(row).collect::<Vec<_>>().join(",\n");
    format!("{{\"format\":\"dataforge-journal\",\"version\":1,\"signed\":[\n{rows}\n]}}\n")
}

#[test]
fn a_journal_is_made_once_and_takes_documents() {
    let scratch = Scratch::new();
    journal(&scratch, &["show"]).expect(2, &["there is no journal"]);
    journal(&scratch, &["init"]).expect(0, &["made"]);
    journal(&scratch, &["init"]).expect(2, &["journal.db"]);
    let given = scratch.file("given", document(&[3, 4]));
    let import = ["import", given.to_str().unwrap()];
    journal(&scratch, &import).expect(0, &["2 rows; 0 were known"]);
    journal(&scratch, &import).expect(0, &["0 rows; 2 were known"]);
    let exported = scratch.path("exported");
    journal(&scratch, &["export", exported.to_str().unwrap()]).expect(0, &["2 rows"]);
    assert_eq!(std::fs::read_to_string(exported).unwrap(), document(&[3, 4]));
    let other = scratch.file("other", document(&[4]).replace("65535", "1"));
    journal(&scratch, &["import", other.to_str().unwrap()]).expect(2, &["row 1, of epoch 4"]);
}

#[test]
fn a_copy_that_was_put_back_is_refused() {
    let scratch = Scratch::new();
    journal(&scratch, &["init"]).expect(0, &["made"]);
    let import = |epochs: &[u64]| {
        let given = scratch.file("given", document(epochs));
        journal(&scratch, &["import", given.to_str().unwrap()]).expect(0, &["imported"]);
    };
    import(&[3]);
    let file = scratch.path("home/journal.db");
    let copy = std::fs::read(&file).unwrap();
    import(&[4]);
    let shown = journal(&scratch, &["show"]);
    let noted = shown.expect(0, &["last row  2:"]).out.lines().next().unwrap();
    let noted = noted.strip_prefix("last row  ").unwrap();
    import(&[5]);
    journal(&scratch, &["show", "--since", noted]).expect(0, &["last row  3:"]);
    std::fs::write(&file, copy).unwrap();
    let refused = ["does not continue the journal of 2 rows", "it has 1", "sign nothing with it"];
    journal(&scratch, &["show", "--since", noted]).expect(1, &refused);
    journal(&scratch, &["show", "--since", "2"]).expect(2, &["write ROWS:DIGEST"]);
}
