//! Commands about profiles and blocking.

mod block_user;
mod unblock_user;
mod update_profile;

pub use block_user::BlockUser;
pub use unblock_user::UnblockUser;
pub use update_profile::UpdateProfile;
