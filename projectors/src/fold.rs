//! Rows that a batch makes, and those of earlier batches that it changes: each is touched once.

use std::hash::Hash;

use crate::map::HashMap;

type Pairs<A, B> = Vec<(A, B)>;

/// What becomes of rows in a batch. `N` makes a row, `C` is what has become of it since.
#[derive(Debug)]
pub(crate) struct Fold<K, N, C> {
    new: Vec<(N, C)>,
    /// Where in `new` they are.
    places: HashMap<K, usize>,
    /// Those of earlier batches.
    stored: HashMap<K, C>,
}

/// By hand: a key or a row need not have a default.
impl<K, N, C> Default for Fold<K, N, C> {
    fn default() -> Self {
        Self { new: Vec::new(), places: HashMap::default(), stored: HashMap::default() }
    }
}

impl<K: Eq + Hash, N, C: Default> Fold<K, N, C> {
    /// A row is new.
    pub(crate) fn add(&mut self, key: K, new: N) {
        self.places.insert(key, self.new.len());
        self.new.push((new, C::default()));
    }

    /// What has become of a row.
    pub(crate) fn change(&mut self, key: K) -> &mut C {
        match self.places.get(&key).and_then(|place| self.new.get_mut(*place)) {
            Some((_, change)) => change,
            None => self.stored.entry(key).or_default(),
        }
    }

    /// The new rows, and the changes of those of earlier batches.
    pub(crate) fn into_parts(self) -> (Pairs<N, C>, Pairs<K, C>) {
        (self.new, self.stored.into_iter().collect())
    }
}
