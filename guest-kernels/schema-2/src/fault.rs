//! Faults and the JSON pointers that say where they are.

use crate::Fault;

/// A fault of the row as a whole.
pub(crate) fn whole_row(reason: impl Into<String>) -> Fault {
    Fault { pointer: String::new(), reason: reason.into() }
}

/// A fault of a top-level member, or with further steps of what is in it.
pub(crate) fn at(steps: &[&dyn Step], reason: impl Into<String>) -> Fault {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        step.push_to(&mut pointer);
    }
    Fault { pointer, reason: reason.into() }
}

/// One reference token of a JSON pointer (RFC 6901).
pub(crate) trait Step {
    fn push_to(&self, pointer: &mut String);
}

impl Step for &str {
    fn push_to(&self, pointer: &mut String) {
        pointer.push_str(&self.replace('~', "~0").replace('/', "~1"));
    }
}

impl Step for usize {
    fn push_to(&self, pointer: &mut String) {
        pointer.push_str(&self.to_string());
    }
}
