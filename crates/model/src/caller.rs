//! Who a message runs for.

use uuid::Uuid;

/// The user a message runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `systemuserid` of the user whose rights count and who is created-by.
    pub user: Uuid,
    /// The user's business unit.
    pub business_unit: Uuid,
    /// The real caller when `user` is impersonated.
    pub on_behalf_of: Option<Uuid>,
}
