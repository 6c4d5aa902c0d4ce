//! Gives bytes to the reader `order`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::order(bytes);
});
