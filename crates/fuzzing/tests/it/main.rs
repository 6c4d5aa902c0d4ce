//! Whatever comes from outside: an answer or a documented fault, never a panic, and work that fits its size.

mod deep;
mod readers;
mod requests;
mod work;
