//! Gives bytes to the reader `reference`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::reference(bytes);
});
