//! The program as users call it, against real services.

mod home;
mod parity;
mod runs;
mod script;
