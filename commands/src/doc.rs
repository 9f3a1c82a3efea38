//! What the reference says about a command; stands beside its fields, checked by a test.

/// A command as the reference describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Doc {
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What its target is.
    pub target: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// The events that it may lead to.
    pub events: &'static [&'static str],
    /// When it is refused: code and circumstance.
    pub refused: &'static [(&'static str, &'static str)],
    /// A body with every field that may stand together.
    pub example: &'static str,
}

/// A field of a command's body.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type and limits.
    pub kind: &'static str,
    /// Whether it has to be there.
    pub required: bool,
}

/// A field that has to be there.
pub(crate) const fn required(name: &'static str, kind: &'static str) -> Field {
    Field { name, kind, required: true }
}

/// A field that may be left out.
pub(crate) const fn optional(name: &'static str, kind: &'static str) -> Field {
    Field { name, kind, required: false }
}
