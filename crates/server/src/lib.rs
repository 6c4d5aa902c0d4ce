//! Placeholder until its first lines.
