//! The program as users call it, against real services.

mod home;
mod parity;
mod reading;
mod removing;
mod runs;
mod script;
