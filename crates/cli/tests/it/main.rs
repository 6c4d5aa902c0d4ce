//! The program as a user runs it, against services of its own.

mod script;
