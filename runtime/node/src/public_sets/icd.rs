//! The ICD-10-CM tabular list: a diagnosis to the chapter that it belongs to.
//!
//! Kept are diagnoses that no other one refines. Dropped are texts that occur in two chapters (no
//! answer would be right) and all but the first of those that differ only in side or in spelling:
//! a hidden row whose left-handed twin was trained on would measure memory.

use std::collections::{BTreeMap, BTreeSet};

use dataforge_core::dataset::Row;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::{PublicSetError, check_size};

const SET: &str = "icd10cm-tabular";

/// Elements inside elements. The list uses 12; a deeper file is refused.
const DEPTH_MAX: usize = 64;

/// The chapters' labels, chapter 1 first: one common lower-case word or two each, so that a small
/// model's alphabet can spell them and no label gives itself away by its length.
pub const CHAPTER_LABELS: [&str; 22] = [
    "infection",
    "tumor",
    "blood",
    "metabolism",
    "mind",
    "nerves",
    "eye",
    "ear",
    "heart",
    "lungs",
    "digestion",
    "skin",
    "bones",
    "kidneys",
    "pregnancy",
    "newborn",
    "birth defect",
    "symptom",
    "injury",
    "accident",
    "health care",
    "special code",
];

/// The leaf diagnoses of the list, in its order: description and chapter label.
///
/// # Errors
/// [`PublicSetError`] with the byte offset.
pub fn icd_chapter_rows(xml: &[u8]) -> Result<Vec<Row>, PublicSetError> {
    check_size(SET, xml)?;
    let mut reader = Reader::from_reader(xml);
    let mut walk = Walk::default();
    loop {
        let at = reader.buffer_position();
        let fault = |reason: String| PublicSetError::BadFormat {
            set: SET,
            at: format!("byte {at}"),
            reason,
        };
        let event = reader.read_event().map_err(|error| fault(error.to_string()))?;
        if matches!(event, Event::Eof) {
            // The reader reports a wrong end tag, not a missing one.
            walk.finish().map_err(fault)?;
            return Ok(distinct(walk.rows));
        }
        walk.step(event).map_err(fault)?;
    }
}

/// What an open element means to this parser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Chapter,
    Diagnosis,
    Name,
    Description,
    Other,
}

/// An open diagnosis.
#[derive(Default)]
struct Diagnosis {
    text: String,
    refined: bool,
}

#[derive(Default)]
struct Walk {
    open: Vec<Element>,
    diagnoses: Vec<Diagnosis>,
    label: Option<&'static str>,
    text: String,
    rows: Vec<Row>,
}

impl Walk {
    fn step(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.start(tag.name().as_ref()),
            Event::End(_) => self.end(),
            Event::Text(text) if self.is_reading() => {
                self.text.push_str(&text);
                Ok(())
            }
            Event::CData(text) if self.is_reading() => {
                self.text.push_str(&text);
                Ok(())
            }
            Event::GeneralRef(entity) if self.is_reading() => {
                self.text.push(resolve(&entity)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_reading(&self) -> bool {
        matches!(self.open.last(), Some(Element::Name | Element::Description))
    }

    fn start(&mut self, name: &str) -> Result<(), String> {
        if self.open.len() == DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} elements inside each other"));
        }
        let element = match name {
            "chapter" => Element::Chapter,
            "diag" => Element::Diagnosis,
            "name" => Element::Name,
            "desc" => Element::Description,
            _ => Element::Other,
        };
        if element == Element::Diagnosis {
            if let Some(parent) = self.diagnoses.last_mut() {
                parent.refined = true;
            }
            self.diagnoses.push(Diagnosis::default());
        }
        self.text.clear();
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let closed = self.open.pop();
        match (self.open.last(), closed) {
            (Some(Element::Chapter), Some(Element::Name)) => {
                self.label = Some(label(self.text.trim())?);
            }
            (Some(Element::Diagnosis), Some(Element::Description)) => {
                if let Some(diagnosis) = self.diagnoses.last_mut() {
                    // Line breaks and indentation are the file's, not the description's.
                    diagnosis.text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
                }
            }
            (_, Some(Element::Diagnosis)) => self.keep()?,
            (_, Some(Element::Chapter)) => self.label = None,
            _ => {}
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), String> {
        if self.open.is_empty() {
            Ok(())
        } else {
            Err("the file ends inside an element".to_owned())
        }
    }

    fn keep(&mut self) -> Result<(), String> {
        let Some(diagnosis) = self.diagnoses.pop().filter(|diagnosis| !diagnosis.refined) else {
            return Ok(());
        };
        let label = self.label.ok_or("a diagnosis outside of a numbered chapter")?;
        if diagnosis.text.is_empty() {
            return Err("a diagnosis without a description".to_owned());
        }
        self.rows.push(Row { input: diagnosis.text, output: label.to_owned() });
        Ok(())
    }
}

fn label(number: &str) -> Result<&'static str, String> {
    let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let label = index.and_then(|index| CHAPTER_LABELS.get(index));
    label.copied().ok_or_else(|| format!("unknown chapter {number:.20}"))
}

/// Only what XML itself defines: a document's own entities are how XML bombs are built.
fn resolve(entity: &BytesRef<'_>) -> Result<char, String> {
    if let Some(character) = entity.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character);
    }
    match entity.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err("an entity that XML does not define".to_owned()),
    }
}

fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        labels.entry(fold(&row.input)).or_default().insert(row.output.clone());
    }
    let mut seen = BTreeSet::new();
    rows.into_iter()
        .filter(|row| {
            let key = fold(&row.input);
            labels.get(&key).is_some_and(|labels| labels.len() == 1) && seen.insert(key)
        })
        .collect()
}

/// Equal for descriptions that differ in case, punctuation or the side of the body. Folds ASCII
/// only, so that the result depends on no Unicode table.
fn fold(description: &str) -> String {
    description
        .to_ascii_lowercase()
        .split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric())
        .filter(|word| !matches!(*word, "" | "left" | "right" | "bilateral" | "unspecified"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chapters: &str) -> Result<Vec<(String, String)>, String> {
        let xml = format!("<?xml version=\"1.0\"?><list>{chapters}</list>");
        let rows = icd_chapter_rows(xml.as_bytes()).map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(|row| (row.input, row.output)).collect())
    }

    fn chapter(number: u32, diagnoses: &str) -> String {
        format!("<chapter><name>{number}</name><desc>c</desc>{diagnoses}</chapter>")
    }

    fn diagnosis(text: &str, inside: &str) -> String {
        format!("<diag><name>A0</name><desc>{text}</desc>{inside}</diag>")
    }

    fn check(chapters: &str, expect: &[(&str, &str)]) {
        let expect: Vec<_> =
            expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(parse(chapters).unwrap(), expect);
    }

    #[test]
    fn leaves_are_kept_with_their_chapter() {
        let inner = format!("{}{}", diagnosis("Cholera one", ""), diagnosis("Cholera two", ""));
        let chapters =
            chapter(1, &diagnosis("Cholera", &inner)) + &chapter(7, &diagnosis("Stye", ""));
        check(
            &chapters,
            &[("Cholera one", "infection"), ("Cholera two", "infection"), ("Stye", "eye")],
        );
    }

    #[test]
    fn notes_inside_a_diagnosis_are_not_its_description() {
        let note = "<includes><note>other</note></includes><visRange><desc>x</desc></visRange>";
        check(&chapter(1, &diagnosis("Cholera", note)), &[("Cholera", "infection")]);
    }

    #[test]
    fn references_and_white_space_are_resolved() {
        check(&chapter(2, &diagnosis("a &amp;\n  b&#33;", "")), &[("a & b!", "tumor")]);
    }

    #[test]
    fn twins_are_kept_once_and_ambiguous_texts_not_at_all() {
        let eyes = ["Stye, right eye", "Stye, left eye", "Pain"].map(|text| diagnosis(text, ""));
        let chapters = chapter(7, &eyes.concat()) + &chapter(18, &diagnosis("pain", ""));
        check(&chapters, &[("Stye, right eye", "eye")]);
    }

    #[test]
    fn hostile_xml_is_refused() {
        let deep = "<diag>".repeat(DEPTH_MAX + 1);
        for (xml, message) in [
            (chapter(23, ""), "unknown chapter"),
            (diagnosis("x", ""), "outside of a numbered chapter"),
            (chapter(1, &diagnosis("&bomb;", "")), "does not define"),
            (chapter(1, &diagnosis("", "")), "without a description"),
            (deep, "inside each other"),
            ("</chapter>".to_owned(), "byte"),
            ("<chapter>".to_owned(), "byte"),
        ] {
            let error = parse(&xml).unwrap_err();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
        for xml in [&b"<list>"[..], b"<list>\xff</list>", b"<list><desc>\xff</desc></list>"] {
            assert!(icd_chapter_rows(xml).is_err(), "{xml:?}");
        }
    }
}
