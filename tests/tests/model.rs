//! The argument of `docs/exactly-once.md`, checked by machine: small models of the two halves of
//! the way, in which everything may happen in any order. With every guard nothing goes wrong;
//! without any one of them something does.

mod log;
mod tables;

use stateright::{Checker as _, HasDiscoveries, Model};

/// Looks at every state that can be reached and returns the properties that do not hold.
fn broken<M>(model: M) -> Vec<&'static str>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + std::fmt::Debug + std::hash::Hash + PartialEq + Send + Sync,
    M::Action: Clone + std::fmt::Debug + PartialEq,
{
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    let discoveries = checker.discoveries();
    for (name, path) in &discoveries {
        println!("{name}: {:?}", path.clone().into_actions());
    }
    discoveries.into_keys().collect()
}
