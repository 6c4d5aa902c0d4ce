//! Gives bytes to the reader `sql`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzzing::readers::sql(bytes);
});
