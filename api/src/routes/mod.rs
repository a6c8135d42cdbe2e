//! The endpoints.

pub(crate) mod batches;
pub(crate) mod groups;
pub(crate) mod info;
pub mod present;
pub(crate) mod tries;
