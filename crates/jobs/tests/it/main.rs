//! Jobs in process, over the reference store, with a clock that the test moves.

mod house;
mod lives;
mod races;
