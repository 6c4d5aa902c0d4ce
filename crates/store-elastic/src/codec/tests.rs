//! Rows as bytes and back, over definitions that have moved on.
