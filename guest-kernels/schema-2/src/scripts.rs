//! Scripts of letters: the share of a row's letters that belong to those asked for.
//!
//! Letters are the characters of general category L, each of one script (the property Script; what
//! a character is used with besides, Script_Extensions, plays no part). Letters of Common and
//! Inherited, which go with any script, are not counted. Both properties are of Unicode 16.0, by
//! crates whose versions are pinned: no compiler changes them.

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_script::{Script, UnicodeScript};

use crate::Fault;
use crate::fault::whole_row;

/// One, in parts per million.
const WHOLE_PPM: u32 = 1_000_000;

/// The scripts that letters should belong to. None: any.
pub(crate) struct Scripts {
    asked: Vec<Script>,
    ppm_min: u32,
}

impl Scripts {
    /// Fails for a code that is none, or a share that is none.
    pub(crate) fn new(codes: &[String], ppm_min: u32) -> Result<Self, String> {
        if ppm_min > WHOLE_PPM {
            return Err(format!("script-ppm-min is {ppm_min}: a share is at most {WHOLE_PPM}"));
        }
        let asked = codes.iter().map(|code| script(code)).collect::<Result<_, _>>()?;
        Ok(Self { asked, ppm_min })
    }

    /// A count for one row.
    pub(crate) fn letters(&self) -> Letters<'_> {
        Letters { of: self, counted: 0, asked: 0 }
    }
}

fn script(code: &str) -> Result<Script, String> {
    match Script::from_short_name(code) {
        None => Err(format!("no script has the code {code:?}: Unicode names them, such as Latn")),
        Some(Script::Common | Script::Inherited) => {
            Err(format!("letters of the script {code} are not counted: name others"))
        }
        Some(script) => Ok(script),
    }
}

/// Letters of one row.
pub(crate) struct Letters<'a> {
    of: &'a Scripts,
    counted: u64,
    asked: u64,
}

impl Letters<'_> {
    /// Counts those of a text.
    pub(crate) fn count(&mut self, text: &str) {
        if self.of.asked.is_empty() {
            return;
        }
        for script in text.chars().filter_map(script_of_letter) {
            self.counted += 1;
            self.asked += u64::from(self.of.asked.contains(&script));
        }
    }

    /// Fails if too few of those counted belong to the scripts.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let (asked, least) = (self.asked * u64::from(WHOLE_PPM), u64::from(self.of.ppm_min));
        if asked >= least * self.counted {
            return Ok(());
        }
        let share = asked / self.counted;
        Err(whole_row(format!(
            "{share} of a million letters are of the scripts asked for, the least is {least}"
        )))
    }
}

/// None for what is not counted.
fn script_of_letter(character: char) -> Option<Script> {
    // Tables are searched for the others only.
    if character.is_ascii() {
        return character.is_ascii_alphabetic().then_some(Script::Latin);
    }
    let letter = matches!(
        get_general_category(character),
        GeneralCategory::UppercaseLetter
            | GeneralCategory::LowercaseLetter
            | GeneralCategory::TitlecaseLetter
            | GeneralCategory::ModifierLetter
            | GeneralCategory::OtherLetter
    );
    let script = letter.then(|| character.script())?;
    (!matches!(script, Script::Common | Script::Inherited)).then_some(script)
}
