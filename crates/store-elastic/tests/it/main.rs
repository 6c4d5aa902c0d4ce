//! The engines of elastic tables under the suite of `store`, and what each promises beyond it.

mod lsm;
mod postgres;
