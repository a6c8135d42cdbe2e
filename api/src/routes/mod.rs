//! The endpoints.

pub(crate) mod batches;
pub(crate) mod groups;
pub(crate) mod info;
pub mod matrix;
pub mod pairs;
pub mod present;
pub mod select;
pub mod sweeps;
pub(crate) mod tries;
