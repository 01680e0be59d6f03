//! A spec that means nothing is refused with the key's name.
//!
//! Each case changes one line of a published spec.

use dataforge_core::spec::{Piece, PinnedSpec, Spec, SpecLock};

const SPEC: &str = include_str!("../../../eval-specs/date/1/spec.toml");
const LOCK: &str = include_str!("../../../eval-specs/date/1/spec.lock");

/// The published spec with the line that sets `key` replaced.
#[track_caller]
fn with(key: &str, line: &str) -> String {
    let is_key = |text: &&str| text.split(" =").next() == Some(key);
    assert_eq!(SPEC.lines().filter(is_key).count(), 1, "lines that set {key}");
    SPEC.lines().map(|text| if is_key(&text) { line } else { text }.to_owned() + "\n").collect()
}

#[track_caller]
fn refused(key: &str, line: &str, mention: &str) {
    let error = Spec::parse(&with(key, line)).expect_err("a bad spec").to_string();
    assert!(error.contains(mention), "{error}");
}

#[test]
fn the_published_spec_is_accepted() {
    let spec = Spec::parse(SPEC).unwrap();
    assert_eq!(Spec::parse(&with("title", r#"title = "x""#)).unwrap().reference(), "date@1");
    PinnedSpec::new(spec, SpecLock::parse(LOCK).unwrap()).unwrap();
}

#[test]
fn unknown_and_missing_keys_are_refused() {
    refused("title", "title = \"x\"\ncolour = 1", "colour");
    refused("domain", "", "domain");
    refused("field_bytes_max", "", "field_bytes_max");
    refused("domain", r#"domain = "weather""#, "weather");
    refused("profile", r#"profile = "fast""#, "fast");
    refused("method", r#"method = { kind = "luck" }"#, "luck");
    refused("rule", r#"rule = "luck""#, "luck");
}

#[test]
fn counts_are_not_zero() {
    for key in ["count_min", "batch_rows", "epochs", "layers", "state_root_every", "version"] {
        refused(key, &format!("{key} = 0"), "nonzero");
    }
    refused("count_min", "count_min = -1", "count_min");
    refused("count_min", "count_min = 4_294_967_296", "count_min");
}

#[test]
fn ranges_hold() {
    refused("format", "format = 4", "format: this program reads formats 1 to 3");
    refused("format", "format = 2", "checks: a table of format 2");
    refused("format", "format = 3", "checks: a table of format 2");
    refused("count_max", "count_max = 99", "rows.count_max");
    refused("memory_bytes_max", "memory_bytes_max = 1_073_741_825", "limits.memory_bytes_max");
    refused("fuel_per_call", "fuel_per_call = 200_000_000_001", "limits.fuel_per_call");
    refused("positions", "positions = 129", "training.positions");
    refused("operand_bits", "operand_bits = 7", "numerics.operand_bits");
    refused("operand_bits", "operand_bits = 23", "numerics.operand_bits");
    refused("output_tokens", "output_tokens = 41", "training.output_tokens");
    let last = r#"method = { kind = "last-layers", layers = 5 }"#;
    refused("method", last, "more layers than the model has");
    let lora = r#"method = { kind = "lora", layers = 4, rank = 129, scale_micro = 1 }"#;
    refused("method", lora, "a rank over the model's width");
    refused("epochs", "epochs = 4_001", "training.epochs");
    refused("batch_rows", "batch_rows = 26_215", "training.batch_rows");
    refused("vocabulary", "vocabulary = 4_194_305", "model.llama.width");
    refused("layers", "layers = 1_025", "model.llama.layers");
    refused("warmup_micro", "warmup_micro = 1_000_001", "training.warmup_micro");
    refused("beta1_micro", "beta1_micro = 1_000_000", "training.beta1_micro");
    refused("clip_norm_micro", "clip_norm_micro = 0", "training.clip_norm_micro");
    refused("candidates", "candidates = 1", "benchmark.candidates");
    refused("candidates", "candidates = 65", "benchmark.candidates");
    refused("margin_micronats", "margin_micronats = -1", "score.margin_micronats");
}

const CONTROL: &str = "rule = \"control\"\nmeasure = \"nll\"";

/// A warm-up on these rows.
fn warmed(measure: &str, rows: &str, epochs: u32) -> String {
    format!("rule = \"warmed\"\nmeasure = \"{measure}\"\nrows = \"{rows}\"\nepochs = {epochs}")
}

#[test]
fn score_rules_are_complete_and_within_limits() {
    let parse = |line: &str| Spec::parse(&with("rule", line));
    assert!(parse(CONTROL).unwrap().score.shuffles());
    assert!(!Spec::parse(SPEC).unwrap().score.shuffles());
    let spec = parse(&warmed("choice", "warm.jsonl", 2)).unwrap();
    assert_eq!(spec.files(), ["row.schema.json", "warm.jsonl"]);
    refused("rule", "rule = \"control\"", "measure");
    refused("rule", "rule = \"control\"\nmeasure = \"luck\"", "luck");
    refused("rule", &format!("{CONTROL}\nepochs = 1"), "epochs");
    refused("rule", "rule = \"choice\"\nmeasure = \"nll\"", "measure");
    refused("rule", &warmed("nll", "../warm.jsonl", 2), "score.rows: a plain file name");
    refused("rule", &warmed("nll", "warm.jsonl", 0), "nonzero");
    refused("rule", &warmed("nll", "warm.jsonl", 65), "score.epochs: over the limit");
    let negative =
        with("rule", CONTROL).replace("margin_micronats = 50_000", "margin_micronats = -1");
    assert!(Spec::parse(&negative).unwrap_err().to_string().contains("score.margin_micronats"));
}

#[test]
fn only_the_nll_does_without_wrong_candidates() {
    let one =
        |line: &str| Spec::parse(&with("rule", line).replace("candidates = 4", "candidates = 1"));
    assert!(one(CONTROL).is_ok() && one(&warmed("nll", "warm.jsonl", 2)).is_ok());
    for rule in ["rule = \"control\"\nmeasure = \"choice\"", &warmed("choice", "warm.jsonl", 2)] {
        let error = one(rule).unwrap_err().to_string();
        assert!(error.contains("benchmark.candidates: a choice needs two"), "{error}");
    }
}

#[test]
fn a_lock_pins_the_warm_up_rows() {
    let spec = Spec::parse(&with("rule", &warmed("nll", "warm.jsonl", 2))).unwrap();
    let join = |lock: &str| PinnedSpec::new(spec.clone(), SpecLock::parse(lock).unwrap());
    assert!(join(LOCK).unwrap_err().to_string().contains("\"warm.jsonl\" is not pinned"));
    let pin = format!("[files]\n\"warm.jsonl\" = \"{}\"", "0".repeat(64));
    assert!(join(&LOCK.replace("[files]", &pin)).is_ok());
}

#[test]
fn a_template_is_text_and_known_tokens() {
    let spec = Spec::parse(&with("after_input", r#"after_input = [1, "\n", 2]"#)).unwrap();
    let text = Piece::Text("\n".into());
    assert_eq!(spec.model.after_input, [Piece::Token(1), text, Piece::Token(2)]);
    refused("after_input", "after_input = [1024]", "not in the vocabulary");
    refused("after_input", "after_input = [-1]", "after_input");
    refused("after_input", &format!("after_input = {:?}", vec![1; 64]), "too many");
}

#[test]
fn heads_divide() {
    refused("kv_heads", "kv_heads = 3", "model.llama.kv_heads");
    refused("heads", "heads = 6", "model.llama.heads");
    // Rotary positions turn pairs.
    refused("width", "width = 20", "head width must be even");
}

#[test]
fn names_stay_inside_their_folder() {
    refused("name", r#"name = "../date""#, "name");
    refused("name", r#"name = "Date""#, "name");
    for path in ["../row.schema.json", "/etc/passwd", r"a\\b", "", ".hidden", ".."] {
        let file = |key: &str, old: &str| {
            let old = format!("{key} = \"{old}\"");
            assert_eq!(SPEC.matches(&old).count(), 1, "{old}");
            let text = SPEC.replace(&old, &format!("{key} = \"{path}\""));
            Spec::parse(&text).expect_err(path).to_string()
        };
        assert!(file("schema", "row.schema.json").contains("rows.schema: a plain file name"));
        assert!(file("schema", "schema-1.0.0").contains("kernels.schema: a plain file name"));
        let tokenizer = file("tokenizer", "tokenizer-1.0.0");
        assert!(tokenizer.contains("kernels.tokenizer: a plain file name"), "{tokenizer}");
    }
}

#[test]
fn a_root_is_64_digits() {
    refused("root", r#"root = "fc4a""#, "64 hexadecimal digits");
}

#[test]
fn a_lock_pins_exactly_what_the_spec_names() {
    let join = |lock: &str| {
        let spec = Spec::parse(SPEC).unwrap();
        SpecLock::parse(lock).and_then(|lock| PinnedSpec::new(spec, lock)).map(|pinned| pinned.id())
    };
    let error = |lock: &str| join(lock).expect_err("a bad lock").to_string();
    assert!(error(&LOCK.replace("row.schema.json", "other.json")).contains("row.schema.json"));
    let digest = "0".repeat(64);
    let more = LOCK.replace("[kernels]", &format!("[kernels]\nother = \"{digest}\""));
    assert!(error(&more).contains("the spec does not name it"));
    assert!(error("[files]\n").contains("spec.lock"));
    let changed = LOCK.replacen('9', "8", 1);
    assert_ne!(join(&changed).unwrap(), join(LOCK).unwrap(), "the id covers the lock");
}

const CHECKS: &str = r#"
[checks]
shape = { kind = "pair" }
fuel_per_row = 1
checker = "checker-1.0.0"

[checks.script]
any_of = ["Latn"]
share_min_ppm = 1_000_000

[checks.copies]
kernel = "similarity-1.0.0"
similarity_min_ppm = 950_000
share_max_ppm = 20_000

[checks.known]
kernel = "contamination-1.0.0"
index = "known.index"
share_max_ppm = 500_000

[checks.variety]
kernel = "diversity-1.0.0"
distinct2_min_ppm = 300_000
compression_max_ppm = 6_000_000
self_similarity_max_ppm = 400_000
"#;

/// The published spec in format 2, with every rule, changed in one place.
fn checked(old: &str, new: &str) -> Result<Spec, String> {
    let text = with("format", "format = 2") + CHECKS;
    assert_eq!(text.matches(old).count(), 1, "{old}");
    Spec::parse(&text.replace(old, new)).map_err(|error| error.to_string())
}

#[track_caller]
fn unchecked(old: &str, new: &str, mention: &str) {
    let error = checked(old, new).expect_err("a bad spec");
    assert!(error.contains(mention), "{error}");
}

#[test]
fn the_rules_of_format_2_are_complete_and_within_limits() {
    let spec = checked("fuel_per_row = 1", "fuel_per_row = 2").unwrap();
    assert_eq!(spec.files(), ["row.schema.json", "known.index"]);
    let named = ["similarity-1.0.0", "contamination-1.0.0", "diversity-1.0.0", "checker-1.0.0"];
    assert_eq!(spec.kernels()[2..], named);
    unchecked("format = 2", "format = 1", "checks: a table of format 2");
    unchecked("count_max = 1000", "count_max = 2001", "variety is measured of at most 2,000");
    unchecked("fuel_per_row = 1", "", "fuel_per_row");
    unchecked("fuel_per_row = 1", "fuel_per_row = 1\ncolour = 1", "colour");
    unchecked(
        "similarity_min_ppm = 950_000",
        "similarity_min_ppm = 1_000_001",
        "a share is at most 1,000,000",
    );
    unchecked("[\"Latn\"]", "[\"Latin\"]", "codes of four letters");
    unchecked("[\"Latn\"]", "[]", "1 to 16 codes");
    unchecked("\"checker-1.0.0\"", "\"../checker\"", "a kernel's name is a plain file name");
    unchecked("\"known.index\"", "\"/etc/passwd\"", "checks: a plain file name");
    unchecked("{ kind = \"pair\" }", "{ kind = \"poem\" }", "poem");
    let dialogue =
        "{ kind = \"dialogue\", template = \"chat\", bos_token = \"\", eos_token = \"\" }";
    unchecked("{ kind = \"pair\" }", dialogue, "rows.output: not rows.input");
}

/// With a lock of all that it names.
fn pinned(spec: Spec) -> PinnedSpec {
    let pin = |name: &String| format!("{name:?} = \"{}\"\n", "0".repeat(64));
    let files: String = spec.files().into_iter().map(pin).collect();
    let kernels: String = spec.kernels().into_iter().map(pin).collect();
    let artifacts: String = [&spec.model.weights, &spec.model.tokenizer].map(pin).concat();
    let lock = format!("[files]\n{files}[kernels]\n{kernels}[artifacts]\n{artifacts}");
    let lock = SpecLock::parse(&lock).expect("a lock");
    PinnedSpec::new(spec, lock).expect("all is pinned")
}

/// Other rules are another spec, and rules that are absent are part of the id.
#[test]
fn the_rules_are_part_of_the_id() {
    let id = |old: &str, new: &str| pinned(checked(old, new).unwrap()).id();
    let whole = id("fuel_per_row = 1", "fuel_per_row = 1");
    assert_ne!(id("fuel_per_row = 1", "fuel_per_row = 2"), whole);
    assert_ne!(id("any_of = [\"Latn\"]", "any_of = [\"Grek\"]"), whole);
    let script = "\n[checks.script]\nany_of = [\"Latn\"]\nshare_min_ppm = 1_000_000\n";
    assert_ne!(id(script, ""), whole);
}

/// The published spec in format 3, with this said of its 150 rows.
fn pooled(drawn: &str) -> Result<Spec, String> {
    let text = with("format", "format = 3").replace("rows = 150", &format!("rows = 150\n{drawn}"));
    Spec::parse(&(text + CHECKS)).map_err(|error| error.to_string())
}

#[test]
fn rows_are_drawn_from_format_3_on() {
    let measured = |drawn| pooled(drawn).unwrap().benchmark.measured().get();
    assert_eq!(["", "drawn = 1", "drawn = 150"].map(measured), [150, 1, 150]);
    for (drawn, mention) in [
        ("drawn = 0", "nonzero"),
        ("drawn = -1", "drawn"),
        ("drawn = 151", "benchmark.drawn: more than benchmark.rows"),
    ] {
        let error = pooled(drawn).unwrap_err();
        assert!(error.contains(mention), "{error}");
    }
    for earlier in [SPEC.to_owned(), with("format", "format = 2") + CHECKS] {
        let text = earlier.replace("rows = 150", "rows = 150\ndrawn = 7");
        let error = Spec::parse(&text).unwrap_err().to_string();
        assert!(error.contains("benchmark.drawn: a key of format 3"), "{error}");
    }
    let odd = SPEC.replace("public_set = \"date\"", "public_set = \"\\u0001\"");
    let error = Spec::parse(&odd).unwrap_err().to_string();
    assert!(error.contains("benchmark.public_set"), "{error}");
    let ids = ["", "drawn = 149", "drawn = 150"].map(|drawn| pinned(pooled(drawn).unwrap()).id());
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "part of the id");
}

/// An id is a promise: proofs name it. A published spec that hashes to another is another spec.
#[test]
fn published_specs_keep_their_ids() {
    macro_rules! published {
        ($($name:literal is $id:literal;)*) => {$(
            let spec = include_str!(concat!("../../../eval-specs/", $name, "/spec.toml"));
            let lock = include_str!(concat!("../../../eval-specs/", $name, "/spec.lock"));
            let lock = SpecLock::parse(lock).unwrap();
            let pinned = PinnedSpec::new(Spec::parse(spec).unwrap(), lock).unwrap();
            assert_eq!(pinned.id().to_string(), $id, $name);
        )*};
    }
    published! {
        "date/1" is "57d67d1f8cab9ca6ff941da282679d34c4761cf16771d4e806c1b57eb34cff71";
        "date/2" is "204228e73f914cc93471265c8d3c4dcda6a984967b51b01430aef9d4a4d77f09";
        "date/3" is "c8e2012e520c776cb47192461de7d23d70506073e4487742b632db729a876d6a";
        "diagnosis/1" is "eade3bc42729814c57865132e217cec0fa284bc2c45f61746f8fa41fcb0f4349";
    }
}
