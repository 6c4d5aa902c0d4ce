//! The pipeline over the in-memory reference store: messages in, outcomes and faults out.

mod define;
mod elastic;
mod house;
mod together;
mod write;
