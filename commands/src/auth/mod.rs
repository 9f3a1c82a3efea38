//! Commands about accounts.

mod register_user;

pub use register_user::RegisterUser;
#[cfg(any(test, feature = "story"))]
pub(crate) use register_user::registered_for_tests;
