//! Gives bytes to the reader `targets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::targets(bytes);
});
