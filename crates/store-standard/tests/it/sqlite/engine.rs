//! What the SQLite engine promises beyond the contract.
