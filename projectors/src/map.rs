//! Hash maps for ids: a batch looks up several for each event, and the standard library's hash costs
//! more than the rest of a look-up.

/// A map with a fast hash that is seeded anew in each process.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// A set with the same.
pub(crate) type HashSet<K> = std::collections::HashSet<K, foldhash::fast::RandomState>;
