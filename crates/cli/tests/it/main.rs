//! The program as users call it, against real services.

mod auth;
mod bench;
#[cfg(target_os = "linux")]
mod confirm;
mod examples;
mod files;
mod formats;
mod home;
mod loading;
mod manual;
mod new_ids;
mod pairs;
mod parallel;
mod parity;
mod parties;
#[cfg(feature = "plugins")]
mod plugin;
mod reading;
mod removing;
mod runs;
mod script;
mod stubs;
mod tap;
mod verbose;
