//! Gives bytes to the reader `record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::record(bytes);
});
