//! The engines of standard tables under the suite of `store`, and what each promises beyond it.

mod postgres;
mod sqlite;
