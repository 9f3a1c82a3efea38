//! Where a projection writes.

use crate::Projection;
use crate::sql::Sql;

/// The tables that a projection is written into: the live ones, or a copy of them in a schema of
/// its own. The same code writes them all, so a copy can be compared with the live tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    projection: Projection,
    prefix: Option<&'static str>,
}

impl Target {
    /// The tables that everyone reads.
    #[must_use]
    pub fn live(projection: Projection) -> Self {
        Self { projection, prefix: None }
    }

    /// A copy that is being built.
    #[must_use]
    pub fn shadow(projection: Projection) -> Self {
        Self { projection, prefix: Some("shadow") }
    }

    /// What the live tables were before a copy replaced them.
    #[must_use]
    pub fn old(projection: Projection) -> Self {
        Self { projection, prefix: Some("old") }
    }

    /// The projection.
    #[must_use]
    pub fn projection(&self) -> Projection {
        self.projection
    }

    /// The schema of the tables.
    #[must_use]
    pub fn schema(&self) -> String {
        match self.prefix {
            None => self.projection.schema().to_owned(),
            Some(prefix) => format!("{prefix}_{}", self.projection.name()),
        }
    }

    /// The name in `projection.checkpoints`, `.parked` and `.folds`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.prefix {
            None => self.projection.name().to_owned(),
            Some(prefix) => format!("{prefix}:{}", self.projection.name()),
        }
    }

    /// A statement about these tables: `{schema}` in the template is their schema.
    pub(crate) fn sql(&self, template: &str) -> Sql {
        Sql::new(template.replace("{schema}", &self.schema()))
    }
}
