//! Jobs in process, over the reference store, with a clock that the test moves.

mod elastic;
mod events;
mod house;
mod lives;
mod races;
