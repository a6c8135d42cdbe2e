//! Escape tests.

mod smoke;
