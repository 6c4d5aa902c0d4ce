//! The pipeline over the in-memory reference store: messages in, outcomes and faults out.

mod define;
mod elastic;
mod house;
mod lowest;
mod rights;
mod steps;
mod together;
mod write;
