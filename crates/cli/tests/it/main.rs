//! The program as users call it, against real services.

mod home;
mod runs;
mod script;
